"""Saved states: what goes on from one is what went on there, or what a workload brings."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
from gymnasium.error import AlreadyPendingCallError
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_marl import EdgeAIGCRows, draw_workload, edge_aigc_v0, load_scenario
from edge_marl.agents.training.state_file import read_state, write_state
from edge_marl.envs import EdgeAIGCEnv, EdgeAIGCVectorEnv
from edge_marl.errors import EpisodeOverError, StateError, WorkloadError
from edge_marl.kernel import world as k
from edge_marl.scenario import Scenario
from edge_marl.workload import Workload
from tests.worlds.every_part import TERMS, world
from tests.worlds.strategies import THOROUGH
from tests.worlds.transcripts import assert_same, frozen

SMOKE = load_scenario("smoke")
EVERY_PART = world(
    arrivals={"horizon_s": 150.0, "rate_per_s": 2.0},
    outages={"every_s": 200, "repair_s": 20},
    tasks=TERMS["tasks"] | {"fail_share": 0.3},
    **{name: part for name, part in TERMS.items() if name != "tasks"},
)
SLEEPING = EVERY_PART.with_clock(5.0, hold=True).with_sleep(20.0, 10.0)
GAMES: dict[str, Any] = {"smoke-game": "smoke-game", "every part": EVERY_PART, "sleeping": SLEEPING}
SINGLES: dict[str, Any] = {"smoke": "smoke", "campus@2": "campus@2", "every part": EVERY_PART}
MAKERS: dict[str, Callable[..., Any]] = {
    **{name: partial(EdgeAIGCEnv, scenario=s) for name, s in SINGLES.items()},
    **{f"game: {name}": partial(edge_aigc_v0.parallel_env, s) for name, s in GAMES.items()},
    "turns": partial(edge_aigc_v0.raw_env, "smoke-game", reward="local"),
}


@cache
def twins(name: str) -> tuple[Any, Any]:
    """Two environments, of which the second has room for other episodes."""
    return MAKERS[name](), MAKERS[name]()


def go_on(env: Any, seed: int, steps: int) -> Iterator[Any]:
    """What some steps of an environment return, resets after the end of an episode included."""
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        if isinstance(env, EdgeAIGCEnv):
            allowed = np.flatnonzero(env.action_masks())
            returned = env.step(int(rng.choice(allowed)))
            yield returned
            if returned[2] or returned[3]:
                yield env.reset()
        elif not env.agents:
            yield env.reset()
        elif hasattr(env, "agent_selection"):
            agent = env.agent_selection
            over = env.terminations[agent] or env.truncations[agent]
            env.step(None if over else env.action_space(agent).sample(env.last()[4]["action_mask"]))
            yield env.agent_selection, env.last() if env.agents else None
        else:
            choices = {agent: int(rng.integers(env.action_space(agent).n)) for agent in env.agents}
            yield env.step(choices)


def seen(env: Any, seed: int, steps: int) -> list[Any]:
    """`go_on`, to compare; where agents take turns, what is sampled is decided as well."""
    if hasattr(env, "agent_selection"):
        for agent in env.possible_agents:
            env.action_space(agent).seed(seed)
    return [frozen(returned) for returned in go_on(env, seed, steps)]


@pytest.mark.parametrize("name", MAKERS)
def test_what_goes_on_from_a_state_is_what_went_on_there(name: str) -> None:
    env, other = twins(name)

    @settings(THOROUGH, max_examples=6)
    @given(st.integers(0, 9), st.integers(0, 150))
    def check(seed: int, steps: int) -> None:
        env.reset(seed=seed)
        seen(env, seed, steps)
        state = env.save_state()
        kept = copy.deepcopy(state)
        first = seen(env, seed + 1, 60)
        other.restore_state(pickle.loads(pickle.dumps(state)))
        assert_same(seen(other, seed + 1, 60), first)
        env.restore_state(state)
        assert_same(seen(env.clone(), seed + 1, 60), first)
        assert_same(seen(env, seed + 1, 60), first)
        np.testing.assert_equal(state, kept)  # nobody has written to it

    check()


def test_a_state_goes_on_where_nobody_was_before() -> None:
    """And what `restore_state` returns is what was seen last."""
    env = edge_aigc_v0.parallel_env("smoke-game", action_mask="observation")
    env.reset(seed=2)
    last = env.step(dict.fromkeys(env.agents, 0))
    new = edge_aigc_v0.parallel_env("smoke-game", action_mask="observation")
    assert_same([frozen(new.restore_state(env.save_state()))], [frozen((last[0], last[4]))])
    while env.agents:
        env.step(dict.fromkeys(env.agents, 0))
    new.restore_state(env.save_state())
    assert new.agents == []
    assert new.metrics() == pytest.approx(env.metrics(), nan_ok=True)


def test_a_given_workload_goes_on_and_the_seed_after_it() -> None:
    env, other = twins("smoke")
    env.reset(seed=4)
    env.reset(options={"workload": draw_workload(SMOKE, 11)})
    seen(env, 0, 5)
    other.restore_state(env.save_state())
    assert_same(seen(other, 1, 200), seen(env, 1, 200))


@pytest.mark.parametrize(
    ("make", "alone"),
    [
        (partial(EdgeAIGCVectorEnv, scenario=EVERY_PART), partial(EdgeAIGCEnv, EVERY_PART)),
        (partial(EdgeAIGCRows, scenario="smoke-game"), MAKERS["game: smoke-game"]),
    ],
)
def test_rows_go_on_by_themselves(make: Any, alone: Any, tmp_path: Any) -> None:
    """Some into others, one into all, in and out of an environment of its own, and by a file."""
    envs, single = make(3), alone()
    shape = (3, getattr(envs, "num_gateways", 1))[: 1 + hasattr(envs, "num_gateways")]
    envs.reset(seed=0)
    for action in (0, 1, 2):
        before = envs.step(np.full(shape, action))[0]
    write_state(tmp_path / "state", envs.save_state(rows=[2]))
    state = read_state(tmp_path / "state")
    now = envs.restore_state(state, rows=[0])[0]
    np.testing.assert_array_equal(now, before[[2, 1, 2]])
    single.restore_state(state)
    more = make(2)
    more.restore_state(single.save_state())
    steps = [envs.step(np.full(shape, action)) for action in (3, 0, 1)]
    again = [more.step(np.full((2, *shape[1:]), action)) for action in (3, 0, 1)]
    for one, two in zip(steps, again, strict=True):
        for part in (0, 1):  # what is seen and paid
            np.testing.assert_array_equal(one[part][[0, 2]], two[part])


def test_a_batch_that_has_begun_a_step_stands_nowhere() -> None:
    envs = EdgeAIGCVectorEnv(2, scenario="smoke")
    envs.reset(seed=0)
    state = envs.save_state()
    envs.step_async(np.zeros(2, dtype=int))
    for call in (envs.save_state, envs.clone, partial(envs.restore_state, state)):
        with pytest.raises(AlreadyPendingCallError, match="call step_wait first"):
            call()


# ------------------------------------------------------------ other futures


def own_workload(env: Any, seed: int) -> Workload:
    return draw_workload(env.scenario, seed)


@pytest.mark.parametrize("name", [name for name in MAKERS if name != "turns"])
def test_the_future_of_the_own_workload_is_the_true_one(name: str) -> None:
    env, _ = twins(name)
    for seed, steps in ((0, 1), (1, 12), (2, 30)):
        env.reset(seed=seed)
        seen(env, seed, steps)
        if name.startswith("game") and not env.agents:
            env.reset()
        state = env.save_state()
        episode = int(state["next_episode"][0]) - 1
        workload = draw_workload(env.scenario, seed, episode=episode)
        true = seen(env, seed + 1, 50)
        env.restore_state(state, workload=workload)
        assert_same(seen(env, seed + 1, 50), true)


def same_up_to_now(env: Any, true: Workload, other: Workload) -> Workload:
    """A workload that nobody could tell from the true one yet: all that is to come is the other's.

    So are ends in failure, turned over, and what stages ask for that are not ready.
    """
    log = env.log()
    now, fate = log.clock_ms, log.tasks[:, k.STATUS]
    assert true.details is not None
    assert other.details is not None
    there = int(np.searchsorted(true.tasks[:, k.ARRIVAL], now, side="right"))
    come = int(np.searchsorted(other.tasks[:, k.ARRIVAL], now, side="right"))
    tasks, details = true.tasks[:there].copy(), true.details[:there].copy()
    ended = (fate == k.ADMITTED) & (log.tasks[:, k.END] <= now)
    for task in range(there):
        runs = fate[task] == k.ADMITTED and not ended[task]
        if runs or fate[task] == k.WAITING:
            details[task, k.FAILS] ^= 1
        if details[task, k.STAGE] > 0 and fate[task] == k.WAITING and not ended[task - 1]:
            asked = [k.RUN_TIME, k.DEMAND, k.TYPE]
            tasks[task, asked] = other.tasks[task, asked]
            details[task, [k.LOAD_TIME, k.DOWNLOAD]] = other.details[
                task, [k.LOAD_TIME, k.DOWNLOAD]
            ]
            details[task, k.UPLOAD] = details[task - 1, k.DOWNLOAD]
    return Workload(
        true.topology,
        np.concatenate([tasks, other.tasks[come:]]),
        np.concatenate([details, other.details[come:]]),
        joined(true.outages, other.outages, now, lambda one: one[:, k.TIME]),
        None
        if true.weights is None
        else np.concatenate([true.weights[:there], weights(other)[come:]]),
        joined(true.sleeps, other.sleeps, now, lambda one: one[:, k.LOCATION]),
    )


def weights(workload: Workload) -> Any:
    return workload.weights


def joined(true: Any, other: Any, now: int, order: Callable[[Any], Any]) -> Any:
    """What has begun of one and begins later of the other, where that is not amid the former."""
    if true is None:
        return None
    past, comes = true[true[:, k.TIME] <= now], other[other[:, k.TIME] > now]
    amid = [
        ((past[:, k.LOCATION] == place) & (past[:, k.TIME] + past[:, k.DURATION] > time)).any()
        for time, place, _ in comes.tolist()
    ]
    both = np.concatenate([past, comes[~np.array(amid, dtype=bool)]])
    return both[np.argsort(order(both), kind="stable")]


@pytest.mark.parametrize("name", ["every part", "game: every part", "game: sleeping"])
def test_nothing_of_the_true_future_is_in_a_simulation(name: str) -> None:
    """Two episodes that are the same up to now, each with a future of its own."""
    env, other = twins(name)
    for seed, steps in ((0, 8), (1, 14)):
        true = own_workload(env, seed)
        env.reset(options={"workload": true})
        past = seen(env, seed, steps)
        twin = same_up_to_now(env, true, own_workload(env, seed + 10))
        other.reset(options={"workload": twin})
        assert_same(seen(other, seed, steps), past)
        believed = own_workload(env, seed + 20)
        rng = np.random.default_rng(seed)
        actions: list[Any] = rng.integers(9, size=200).tolist()
        if name.startswith("game"):
            actions = [dict.fromkeys(env.possible_agents, action) for action in actions]
        ahead = [[frozen(s) for s in e.simulate(actions, workload=believed)] for e in (env, other)]
        assert_same(*ahead)
        assert seen(env, seed, 15) != seen(other, seed, 15)


def test_rows_look_ahead_side_by_side() -> None:
    env = EdgeAIGCEnv("smoke")
    env.reset(seed=0)
    env.step(0)
    believed = [draw_workload(SMOKE, seed) for seed in (7, 8)]
    envs = EdgeAIGCVectorEnv(3, scenario="smoke")
    envs.restore_state(env.save_state(), workloads=[None, *believed])
    rewards = np.stack([envs.step(np.full(3, action))[1] for action in (1, 5, 2, 0, 3)])
    for row, workload in enumerate(believed, start=1):
        ahead = env.simulate((1, 5, 2, 0, 3), workload=workload)
        np.testing.assert_array_equal(rewards[:, row], [step[1] for step in ahead])
    assert [env.step(action)[1] for action in (1, 5, 2, 0, 3)] == rewards[:, 0].tolist()


def test_turns_look_ahead_in_a_clone() -> None:
    env, _ = twins("turns")
    env.reset(seed=0)
    env.step(0)
    ahead = env.clone(workload=own_workload(env, 5))
    assert ahead.agent_selection == env.agent_selection == "gateway_1"
    for one in (ahead, env):
        one.step(0)
        one.step(0)
    assert ahead._game.log().tasks.shape != env._game.log().tasks.shape


# ------------------------------------------------------------ what is refused


def state_of(make: Any) -> Any:
    env = make()
    env.reset(seed=0)
    return env.save_state()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (None, "the state is 'NoneType': must be 'edge-marl-state-1', what `save_state` of"),
        ({"format": "edge-marl-state-0"}, "the state is 'edge-marl-state-0': must be"),
        (MAKERS["game: smoke-game"], r"of scenario 'smoke-game@1' \(\w{12}\), .* plays 'smoke'"),
        (partial(edge_aigc_v0.parallel_env, "smoke"), "is of the game of gateways .*, this env"),
        (partial(EdgeAIGCVectorEnv, 2, scenario="smoke"), "is of 2 rows, to be restored to 1"),
    ],
)
def test_states_of_something_else(state: Any, message: str) -> None:
    env, _ = twins("smoke")
    env.reset(seed=3)
    before = env.save_state()
    with pytest.raises(StateError, match=message):
        env.restore_state(state_of(state) if callable(state) else state)
    np.testing.assert_equal(env.save_state(), before)


def test_turns_need_to_know_whose_it_is() -> None:
    with pytest.raises(StateError, match="does not say whose turn it is"):
        twins("turns")[0].restore_state(state_of(MAKERS["game: smoke-game"]))


@pytest.mark.parametrize("rows", [[2], [-1], [0, 0], [], [0.5], 1])
def test_rows_that_are_not_there(rows: Any) -> None:
    envs = EdgeAIGCVectorEnv(2, scenario="smoke")
    envs.reset(seed=0)
    with pytest.raises(StateError, match="must be a list of different whole numbers from 0 to 1"):
        envs.save_state(rows=rows)


def test_futures_that_cannot_be() -> None:
    env = EdgeAIGCEnv("smoke")
    with pytest.raises(EpisodeOverError, match="before the first reset"):
        env.save_state()
    env.reset(seed=0)
    with pytest.raises(WorkloadError, match="is a str: must be a Workload"):
        env.clone(workload="w.npz")  # type: ignore[arg-type]
    envs = EdgeAIGCVectorEnv(2, scenario="smoke")
    with pytest.raises(WorkloadError, match="must be a list of 2, one per row that is restored"):
        envs.restore_state(env.save_state(), workloads=[None])
    while not (step := env.step(0))[3]:
        assert not step[2]
    with pytest.raises(EpisodeOverError, match="there is nothing that another future could be"):
        env.simulate([0], workload=draw_workload(SMOKE, 0))


@pytest.mark.parametrize(
    ("scenario", "message"),
    [
        (load_scenario("paper"), "the episode ends with its last task, so that one has to come"),
        (EVERY_PART, "the workload has none like it"),
    ],
)
def test_workloads_with_too_little(scenario: Scenario, message: str) -> None:
    """To end with, or to take what is not known yet from."""
    env = EdgeAIGCEnv(scenario)
    env.reset(seed=0)
    whole = draw_workload(scenario, 1)
    if whole.details is not None:
        alone = whole.details.copy()
        alone[:, :2] = 0
        short = Workload(whole.topology, whole.tasks, alone, whole.outages, whole.weights)
    else:
        short = Workload(whole.topology, whole.tasks[:2])
    for _ in range(60):
        env.step(int(np.flatnonzero(env.action_masks())[0]))
    with pytest.raises(WorkloadError, match=message):
        env.simulate([0], workload=short)
