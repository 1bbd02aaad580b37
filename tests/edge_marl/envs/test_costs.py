"""Costs and rewards in parts: what every API tells of a step adds up to what the metrics say."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, islice
from math import fsum
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_marl import (
    COSTS,
    REWARD_PARTS,
    EdgeAIGCEnv,
    EdgeAIGCRows,
    EpisodeLog,
    draw_workload,
    edge_aigc_v0,
    episode_metrics,
    load_scenario,
)
from edge_marl.errors import ScenarioError
from edge_marl.kernel import world as k
from edge_marl.scenario import Scenario
from edge_marl.workload import Workload
from tests.worlds.every_part import TERMS, world
from tests.worlds.extended_episode import ExtendedEpisode
from tests.worlds.extended_strategies import episodes
from tests.worlds.plain_python import printed
from tests.worlds.strategies import THOROUGH
from tests.worlds.transcripts import Choices, Choose

EVERY_PART = world(
    arrivals={"horizon_s": 150.0, "rate_per_s": 2.0},
    outages={"every_s": 200, "repair_s": 20},
    tasks=TERMS["tasks"] | {"fail_share": 0.3},
    **{name: part for name, part in TERMS.items() if name != "tasks"},
)
BUSY = (EVERY_PART, EVERY_PART.with_clock(5.0, hold=True))


def short(tier: str, horizon_s: float) -> Scenario:
    scenario = load_scenario(tier)
    arrivals = scenario.arrivals.model_copy(update={"horizon_s": horizon_s})
    return scenario.model_copy(update={"arrivals": arrivals})


PLACES = (load_scenario("smoke"), load_scenario("smoke-game"), short("campus@2", 120.0), *BUSY)


def steps_of_game(scenario: Scenario, workload: Workload, choose: Choose) -> Iterator[Any]:
    """The Parallel environment and what each of its steps returned, beside that of a plain one."""
    env = edge_aigc_v0.parallel_env(scenario, reward="vector", cost="lost")
    plain = edge_aigc_v0.parallel_env(scenario, reward="local")
    _, infos = env.reset(options={"workload": workload})
    plain.reset(options={"workload": workload})
    assert not any(info["cost"] or any(info["costs"].values()) for info in infos.values())
    while env.agents:
        masks = np.stack([info["action_mask"] for info in infos.values()])
        choices = dict(zip(env.agents, choose(masks), strict=True))
        _, rewards, _, _, infos = env.step(choices)
        yield env, rewards, plain.step(choices)[1], infos


def assert_adds_up(
    log: EpisodeLog, scenario: Scenario, costs: dict[str, float], parts: dict[str, float]
) -> None:
    """Costs and parts of an episode are what its metrics and its log say."""
    found = {name: 0.0 if np.isnan(x) else x for name, x in episode_metrics(log).items()}
    status = log.tasks[:, k.STATUS]
    assert costs["crash"] == found.get("server_crashes", 0.0)
    assert costs["lost"] == round(found["lost_fraction"] * found["tasks"])
    served = round(found["completion_rate"] * found["requests"])
    assert costs["late"] == served - round(found["on_time_rate"] * found["requests"])
    energy = found["energy_per_task_j"] * found["requests"]
    assert costs["energy"] == pytest.approx(energy, rel=1e-12)
    assert costs["price"] == pytest.approx(price_of(log, scenario), rel=1e-9)
    assert parts["price"] == pytest.approx(-costs["price"], rel=1e-12)
    assert parts["crash"] == pytest.approx(fsum(log.rewards[status == k.REFUSED]), rel=1e-12)
    fined = int(np.isin(status, (k.DROPPED, k.DENIED)).sum())
    assert parts["lost"] == pytest.approx(-scenario.overload.penalty * fined, rel=1e-12)
    total = fsum(parts.values())
    assert total == pytest.approx(found["utility"], abs=1e-9 * fsum(map(abs, parts.values())))


def price_of(log: EpisodeLog, scenario: Scenario) -> float:
    """What the log's tasks cost, from the scenario's prices."""
    status, place = log.tasks[:, k.STATUS], log.tasks[:, k.PLACE]
    total = 0.0
    if scenario.decline is not None and log.terms is not None:
        declined = log.terms[status == k.DECLINED, k.WEIGHT] / 1000
        total += scenario.decline.price * fsum(declined)
    started = np.isin(status, (k.ADMITTED, k.CRASHED, k.FAILED, k.OUTAGE))
    if log.energy_mj is None:
        return total
    for task in np.flatnonzero(started):
        steps = log.tasks[task, k.DEMAND] if log.terms is None else log.terms[task, k.STEPS]
        price = scenario.energy.weight * log.energy_mj.ravel()[place[task]] / 1000
        in_cloud = place[task] // log.num_services == len(log.capacity) - 1
        if scenario.cloud is not None and in_cloud:
            price += scenario.cloud.price_per_step
        total += steps * price
    return total


def check_game(scenario: Scenario, workload: Workload, choose: Choose) -> dict[str, float]:
    """Play an episode and check each step of it, and its sums; return what it cost."""
    costs, parts, env = dict.fromkeys(COSTS, 0.0), dict.fromkeys(REWARD_PARTS, 0.0), None
    for env, rewards, plain, infos in steps_of_game(scenario, workload, choose):
        for agent, reward in rewards.items():
            assert reward in env.reward_space(agent)
            assert reward.sum() == plain[agent]
            assert infos[agent]["cost"] == infos[agent]["costs"]["lost"]
            for name, cost in infos[agent]["costs"].items():
                assert cost >= 0
                costs[name] += cost
            for name, part in zip(parts, reward.tolist(), strict=True):
                parts[name] += part
    assert env is not None
    assert_adds_up(env.log(), scenario, costs, parts)
    return costs


@pytest.mark.parametrize("scenario", PLACES, ids=lambda place: f"{place.label}-{place.api}")
def test_what_episodes_cost_is_what_their_metrics_say(scenario: Scenario) -> None:
    total = np.zeros(len(COSTS))
    for seed in range(3):
        costs = check_game(scenario, draw_workload(scenario, seed), Choices(seed))
        total += list(costs.values())
    assert (total > 0).tolist() == [True, True, *[scenario in BUSY] * 3] or scenario.extended


@settings(THOROUGH, max_examples=25)
@given(episode=episodes())
def test_in_any_world(episode: ExtendedEpisode) -> None:
    choices = cycle(episode.choices)
    check_game(episode.scenario, episode.workload, lambda masks: list(islice(choices, len(masks))))


@settings(THOROUGH, max_examples=5)
@given(seed=st.integers(0, 2**31), tier=st.sampled_from([PLACES[0], PLACES[2]]))
def test_one_orchestrator_in_any_episode(seed: int, tier: Scenario) -> None:
    env = EdgeAIGCEnv(tier, reward="vector", cost="crash", action_mask="observation")
    plain = EdgeAIGCEnv(tier)
    _, info = env.reset(seed=seed)
    plain.reset(seed=seed)
    choose, steps, ended = Choices(seed), [], False
    while not ended:
        (action,) = choose(info["action_mask"][None])
        _, reward, terminated, truncated, info = env.step(action)
        assert reward in env.reward_space
        assert reward.sum() == plain.step(action)[1]
        steps.append((info["costs"], dict(zip(REWARD_PARTS, reward.tolist(), strict=True))))
        ended = terminated or truncated
    costs, parts = (
        {name: fsum(step[of][name] for step in steps) for name in steps[0][of]} for of in (0, 1)
    )
    assert_adds_up(env.log(), tier, costs, parts)


# ------------------------------------------------------------ the same on every API


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_rows_of_a_batch_cost_what_environments_do(mode: AutoresetMode) -> None:
    settings: dict[str, Any] = {"reward": "vector", "cost": "late"}
    envs: Any = gym.make_vec("EdgeAIGC-v0", 3, scenario=EVERY_PART, autoreset_mode=mode, **settings)
    assert envs.reward_space.shape == (3, 5)
    singles = [EdgeAIGCEnv(EVERY_PART, **settings) for _ in range(3)]
    _, infos = envs.reset(seed=7)
    over = [False] * 3
    for row, env in enumerate(singles):
        env.reset(seed=7 + row)
    choose, ends = Choices(0), 0
    for step in range(450):
        actions = np.array(choose(infos["action_mask"]))
        if step % 2:
            _, rewards, _, _, infos = envs.step(actions)
        else:
            envs.step_async(actions)
            _, rewards, _, _, infos = envs.step_wait()
        for row, env in enumerate(singles):
            costs = {name: infos["costs"][name][row] for name in COSTS}
            assert infos["cost"][row] == costs["late"]
            if over[row]:
                assert not rewards[row].any()
                assert not any(costs.values())
                over[row] = mode == AutoresetMode.DISABLED
                if mode == AutoresetMode.NEXT_STEP:
                    env.reset()
                continue
            _, reward, ended, cut, info = env.step(int(actions[row]))
            assert rewards[row].tobytes() == reward.tobytes()
            assert costs == info["costs"]
            if ended or cut:
                ends += 1
                over[row] = mode != AutoresetMode.SAME_STEP
                if mode == AutoresetMode.SAME_STEP:
                    env.reset()
    assert ends >= 3


def test_turns_and_rows_of_a_game_cost_what_its_steps_do() -> None:
    scenario, workload = BUSY[1], draw_workload(BUSY[1], 3)
    settings: dict[str, Any] = {"reward": "vector", "cost": "energy"}
    game = edge_aigc_v0.parallel_env(scenario, **settings)
    turns = edge_aigc_v0.env(scenario, **settings)
    rows = EdgeAIGCRows(2, scenario, **settings)
    _, infos = game.reset(options={"workload": workload})
    turns.reset(options={"workload": workload})
    rows.reset(options={"workloads": [workload, workload]})
    choose, total = Choices(1), 0.0
    while game.agents:
        chosen = choose(np.stack([info["action_mask"] for info in infos.values()]))
        for choice in chosen:
            turns.step(choice)
        _, rewards, _, _, infos = game.step(dict(zip(game.agents, chosen, strict=True)))
        _, of_rows, _, _, told = rows.step(np.array([chosen, chosen]))
        for g, agent in enumerate(rewards):
            heard = turns.infos[agent]
            assert infos[agent]["costs"] == heard["costs"]
            assert {name: told["costs"][name][1, g] for name in COSTS} == heard["costs"]
            assert heard["cost"] == told["cost"][1, g] == heard["costs"]["energy"]
            np.testing.assert_array_equal(turns.rewards[agent], rewards[agent])
            np.testing.assert_array_equal(of_rows[1, g], rewards[agent])
            total += heard["cost"]
        _, reward, *_, heard = turns.last()
        np.testing.assert_array_equal(reward, next(iter(rewards.values())))
        assert heard["costs"] == next(iter(infos.values()))["costs"]
    assert total > 0


def test_costs_go_on_from_a_state() -> None:
    settings: dict[str, Any] = {"reward": "vector", "cost": "lost"}
    scenario = EVERY_PART
    env, other = (EdgeAIGCEnv(scenario, **settings) for _ in range(2))
    env.reset(seed=3)
    for action in Choices(4)(np.ones((60, scenario.num_actions), np.int8)):
        env.step(action)
    state = env.save_state()
    twin = env.clone()
    _, info = other.restore_state(state)
    assert not any(info["costs"].values())
    told: list[list[Any]] = [[], [], []]
    for action in Choices(5)(np.ones((60, scenario.num_actions), np.int8)):
        for each, heard in zip((env, twin, other), told, strict=True):
            _, reward, *_, info = each.step(action)
            heard.append((reward.tolist(), info["costs"]))
    assert told[0] == told[1] == told[2]
    assert sum(costs["lost"] for _, costs in told[0]) > sum(
        reward[2] < 0 for reward, _ in told[0]
    )  # some of what was sent before the state is lost after it


def test_turns_go_on_from_a_state_with_what_nobody_has_heard_yet() -> None:
    env, other = (edge_aigc_v0.env("smoke-game", cost="lost") for _ in range(2))
    env.reset(seed=1)
    lost = 0.0
    while not any(env.truncations.values()):
        env.step(int(np.flatnonzero(env.last()[4]["action_mask"])[0]))
        other.restore_state(env.save_state())
        assert other.last()[4]["costs"] == env.last()[4]["costs"]
        lost += env.last()[4]["cost"]
    assert lost > 0


# ------------------------------------------------------------ asked for, or not there


def test_who_asks_for_nothing_is_told_nothing() -> None:
    env = EdgeAIGCEnv("smoke")
    assert env.reset(seed=0)[1].keys() == env.step(0)[4].keys() == {"action_mask", "agent_index"}
    assert env.reward_space.shape == ()
    only_parts = EdgeAIGCEnv("smoke", reward="vector")
    only_parts.reset(seed=0)
    assert only_parts.step(0)[4].keys() == {"action_mask", "agent_index"}


def test_wrong_names_are_told() -> None:
    with pytest.raises(ScenarioError, match="cost = 'crashes': did you mean 'crash'"):
        EdgeAIGCEnv("smoke", cost="crashes")  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(ScenarioError, match="reward = 'team': must be 'scalar' or 'vector'"):
        EdgeAIGCEnv("smoke", reward="team")  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(ScenarioError, match="must be 'team', 'local' or 'vector'"):
        EdgeAIGCRows(2, "smoke-game", reward="scalar")  # type: ignore[arg-type]  # wrong on purpose


def test_without_the_compiler_it_is_the_same() -> None:
    code = (
        "import numpy as np; from edge_marl import EdgeAIGCRows\n"
        "rows = EdgeAIGCRows(2, 'smoke-game', reward='vector', cost='lost')\n"
        "rows.reset(seed=0); rng = np.random.default_rng(0)\n"
        "for _ in range(70):\n"
        "    _, reward, *_, infos = rows.step(rng.integers(7, size=(2, rows.num_gateways)))\n"
        "    print(reward.tolist(), infos['costs'])\n"
    )
    assert len(printed(code)) == 1
