"""The state of extended games, each part of it against what the log and the workload say."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pettingzoo.test import state_test

from edge_marl import draw_workload, edge_aigc_v0, load_scenario
from edge_marl.kernel import world as k
from edge_marl.scenario import Scenario
from edge_marl.workload import Workload
from tests.worlds.every_part import TERMS, world

SLOT_S = 5.0
WORLD = world(
    arrivals={"horizon_s": 120.0, "rate_per_s": 3.0},
    outages={"every_s": 200, "repair_s": 20},
    **TERMS,
)
SLOTS = WORLD.with_clock(SLOT_S, hold=True)


class Parts:
    """A state taken apart, by the table in `docs/model/multi_agent.md`."""

    def __init__(self, scenario: Scenario, state: npt.NDArray[np.float32], task_size: int) -> None:
        g, s, v = scenario.gateways.count, scenario.num_servers, scenario.num_services
        sizes = {
            "time": (1,),
            "tasks": (g, task_size + 1),
            "load": (s, 4),
            "waiting": (g, 2),
            "down": (s, 2),
            "lines": (s, 3),
            "models": (s, v, 3),
            "age": (1,),
            "shown": (s, 2),
        }
        at = 0
        for name, shape in sizes.items():
            length = int(np.prod(shape))
            setattr(self, name, state[at : at + length].reshape(shape))
            at += length
        assert at == len(state)

    def __getattr__(self, name: str) -> npt.NDArray[np.float32]:
        raise AttributeError(name)


def check(env: Any, workload: Workload) -> None:
    """Hold the state against the log."""
    assert workload.outages is not None
    scenario, log = env.scenario, env.log()
    found = Parts(scenario, env.state(), env.layout.task_size)
    tasks, terms, now = log.tasks, log.terms, log.clock_ms
    ready = np.array(
        [
            tasks[row, k.STATUS] == k.WAITING
            and tasks[row, k.ARRIVAL] <= now
            and (log.details[row, k.STAGE] == 0 or done_before(log, row))
            for row in range(len(tasks))
        ]
    )
    server = tasks[:, k.PLACE] // scenario.num_services
    lives = (tasks[:, k.STATUS] == k.ADMITTED) & (tasks[:, k.END] > now)
    for g in range(scenario.gateways.count):
        own = ready & (tasks[:, k.GATEWAY] == g)
        count, steps = own.sum(), tasks[own, k.DEMAND].sum()
        np.testing.assert_allclose(
            found.waiting[g],
            [count / (count + 1), steps / (steps + env.layout.max_demand)],
            rtol=1e-6,
        )
    for s in range(scenario.num_servers):
        line = lives & (server == s) & (terms[:, k.TURN] > now)
        most = scenario.queue.limit
        np.testing.assert_allclose(found.lines[s, 0], line.sum() / most, rtol=1e-6)
        steps = terms[line, k.STEPS].sum() / (most * env.layout.max_demand)
        np.testing.assert_allclose(found.lines[s, 1], min(1.0, steps), rtol=1e-6)
        assert (found.lines[s, 2] > 0) == line.any()
    for number, at, duration in workload.outages[:, [k.LOCATION, k.TIME, k.DURATION]]:
        if at <= now < at + duration:
            assert found.down[number, 0] == 1
            assert found.down[number, 1] > 0
            assert not found.models[number].any()
    period = scenario.telemetry.period_ms
    np.testing.assert_allclose(found.age, now % period / period, atol=1e-6)


def done_before(log: Any, row: int) -> bool:
    """Whether the stage before one has come to its end well."""
    before = log.tasks[row - 1]
    return bool(before[k.STATUS] == k.ADMITTED and before[k.END] <= log.clock_ms)


def test_the_parts_say_what_the_log_says() -> None:
    met = np.zeros(3, dtype=np.bool_)
    for seed in range(2):
        env = edge_aigc_v0.parallel_env(scenario=SLOTS)
        workload = draw_workload(SLOTS, seed)
        _, infos = env.reset(options={"workload": workload})
        rng = np.random.default_rng(seed)
        while env.agents:
            check(env, workload)
            state = env.state()
            assert state in env.state_space
            found = Parts(SLOTS, state, env.layout.task_size)
            met[0] |= (found.waiting[:, 0] > 0.6).any()
            met[1] |= found.lines.any()
            met[2] |= found.models[..., 1].any()
            choices = {}
            for agent, info in infos.items():
                legal = np.flatnonzero(info["action_mask"])
                choices[agent] = int(legal[0] if rng.random() < 0.6 else rng.choice(legal))
            infos = env.step(choices)[4]
    assert met.all()  # two tasks at a gateway, a line, a model that is being loaded


def test_a_model_is_in_memory_once_it_was_sent_to() -> None:
    env = edge_aigc_v0.parallel_env(scenario=WORLD)
    _, infos = env.reset(seed=0)
    for _ in range(5):
        [acting] = [a for a in env.agents if not infos[a]["action_mask"][-1]]
        action = int(np.flatnonzero(infos[acting]["action_mask"])[0])
        before = Parts(WORLD, env.state(), env.layout.task_size)
        infos = env.step(dict.fromkeys(env.agents, WORLD.num_actions) | {acting: action})[4]
        log = env.log()
        sent = log.tasks[log.tasks[:, k.STATUS] == k.ADMITTED]
        if len(sent):
            place = int(sent[np.argmax(sent[:, k.START]), k.PLACE])
            server, service = divmod(place, WORLD.num_services)
            found = Parts(WORLD, env.state(), env.layout.task_size)
            if server < WORLD.num_servers - 1:  # the cloud loads nothing
                assert found.models[server, service, 0] == 1
                return
    pytest.fail(f"nothing was admitted on an edge server: {before}")


@pytest.mark.parametrize(
    "game", [SLOTS.with_sleep(30.0, 30.0), load_scenario("smoke-game").with_sleep(9e3, 9e3)]
)
def test_it_says_which_gateways_sleep(game: Scenario) -> None:
    count, size = game.gateways.count, edge_aigc_v0.parallel_env(game).layout.task_size
    at = 1 + count * (size + 1) + 4 * game.num_servers
    env, workload = edge_aigc_v0.parallel_env(game), draw_workload(game, 2)
    assert workload.sleeps is not None
    env.reset(options={"workload": workload})
    met: set[float] = set()
    while env.agents:
        now, asleep = env.log().clock_ms, np.zeros(count)
        for begin, gateway, length in workload.sleeps.tolist():
            asleep[gateway] += begin <= now < begin + length
        np.testing.assert_array_equal(env.state()[at : at + count], asleep)
        met |= set(asleep.tolist())
        env.step(dict.fromkeys(env.agents, game.num_actions))
    assert met == {0.0, 1.0}


def test_games_of_the_base_model_have_the_state_that_they_had() -> None:
    env = edge_aigc_v0.parallel_env(scenario="smoke", gateways=3)
    env.reset(seed=0)
    size = env.layout.task_size
    assert len(env.state()) == 1 + 3 * (size + 1) + 4 * env.scenario.num_servers


@pytest.mark.parametrize("scenario", [SLOTS, load_scenario("campus"), load_scenario("metro@1")])
def test_pettingzoo_accepts_it(scenario: Scenario) -> None:
    state_test(
        edge_aigc_v0.env(scenario=scenario), edge_aigc_v0.parallel_env(scenario=scenario), 20
    )
