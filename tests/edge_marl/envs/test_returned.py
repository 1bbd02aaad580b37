"""What every API returns: decided by its seed, different without one, and never used again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import gymnasium
import numpy as np
import pytest

from edge_marl import EdgeAIGCRows, Simulator, draw_workload, edge_aigc_v0, load_scenario
from tests.edge_marl.envs.batches import run_batch
from tests.worlds.transcripts import Choices, assert_same, frozen, play, turns


def run_single(env: Any, **reset: Any) -> Iterator[Any]:
    """What an episode of the single environment returns."""
    rng = np.random.default_rng(0)
    ended = False
    yield env.reset(**reset)
    while not ended:
        returned = env.step(int(rng.integers(env.action_space.n)))
        ended = returned[2] or returned[3]
        yield returned


def run_parallel(env: Any, **reset: Any) -> Iterator[Any]:
    """What an episode of a Parallel environment returns."""
    return play(env, Choices(0), **reset)


def run_turns(env: Any, **reset: Any) -> Iterator[Any]:
    """What an episode of an AEC environment returns, and what an agent sees on a second look."""
    for turn in turns(env, Choices(0), **reset):
        yield turn
        yield env.observe(turn.agent)
        yield env.state()


SLOTS: dict[str, Any] = {"slot_s": 900.0, "hold": True, "gateways": "servers"}
APIS: dict[str, tuple[Callable[..., Any], Callable[..., Iterator[Any]]]] = {
    "single": (partial(gymnasium.make, "EdgeAIGC-v0"), run_single),
    "vector": (partial(gymnasium.make_vec, "EdgeAIGC-v0", num_envs=3), run_batch),
    "parallel": (edge_aigc_v0.parallel_env, run_parallel),
    "parallel-slots": (partial(edge_aigc_v0.parallel_env, **SLOTS), run_parallel),
    "turns": (edge_aigc_v0.env, run_turns),
    "turns-slots": (partial(edge_aigc_v0.env, **SLOTS), run_turns),
    "rows": (partial(EdgeAIGCRows, 3), run_batch),
    "rows-slots": (partial(EdgeAIGCRows, 3, **SLOTS, reward="local"), run_batch),
}
each_api = pytest.mark.parametrize(("make", "run"), APIS.values(), ids=APIS)


@each_api
@pytest.mark.parametrize("seed", [0, 7])
def test_a_seed_decides_its_episodes(make: Any, run: Any, seed: int) -> None:
    """From the reset to the end, infos included: no time of day is in them."""

    def episode(env: Any, **reset: Any) -> list[Any]:
        return [frozen(returned) for returned in run(env, **reset)]

    env, twin = make(scenario="smoke"), make(scenario="smoke")
    first, second = episode(env, seed=seed), episode(env)
    for other in (env, twin):
        assert_same(episode(other, seed=seed), first)
        assert_same(episode(other), second)
    assert first != second
    assert episode(env, seed=seed + 1) not in (first, second)


@each_api
def test_unseeded_environments_differ(make: Any, run: Any) -> None:
    first, second = ([*map(frozen, run(make(scenario="smoke")))] for _ in range(2))
    assert first != second


def has_objects(value: Any) -> bool:
    """Whether it is an array of objects, such as the last observations of a vector environment."""
    return isinstance(value, np.ndarray) and value.dtype.hasobject


def parts(value: Any, kind: type) -> Iterator[Any]:
    """All arrays or dicts (`kind`) in what a call returned."""
    if isinstance(value, kind):
        yield value
    if isinstance(value, dict):
        value = value.values()
    elif not (isinstance(value, tuple) or has_objects(value)):
        return
    for part in value:
        yield from parts(part, kind)


@each_api
def test_nothing_returned_is_used_again(make: Any, run: Any) -> None:
    """What was returned stays as it was, shares no memory, and may be written to.

    The vector environment's masks never change: they are one array, which cannot be written to.
    """
    env = make(scenario="smoke")
    kept, copies = [], []
    for reset in ({"seed": 0}, {}):
        for returned in run(env, **reset):
            kept.append(returned)
            copies.append(frozen(returned))
    assert_same(list(map(frozen, kept)), copies)
    arrays = [array for array in parts(tuple(kept), np.ndarray) if array.flags.writeable]
    places = sorted((array.__array_interface__["data"][0], array.nbytes) for array in arrays)
    assert len(places) > len(kept)
    assert all(start + size <= after for (start, size), (after, _) in pairwise(places))
    dicts = [id(one) for one in parts(tuple(kept), dict)]
    assert len(dicts) == len(set(dicts))

    again = []
    for reset in ({"seed": 0}, {}):
        for returned in run(env, **reset):
            again.append(frozen(returned))
            for array in parts(returned, np.ndarray):
                if array.flags.writeable:
                    array[...] = np.ones((), array.dtype)
    assert_same(again, copies)


@pytest.mark.parametrize("scenario", ["smoke", "campus"])
def test_rows_that_are_not_reset_still_see_what_they_saw(scenario: str) -> None:
    """Whatever was done to the arrays that showed it; so do those of a state that was saved."""
    envs: Any = gymnasium.make_vec("EdgeAIGC-v0", num_envs=3, scenario=scenario)
    envs.reset(seed=0)
    for action in (0, 1, 2):
        seen = envs.step(np.full(3, action))[0]
    kept = seen.copy()
    seen[:] = -1.0
    state = envs.save_state()
    again = envs.reset(seed=5, options={"reset_mask": np.array([False, True, False])})[0]
    np.testing.assert_array_equal(again[[0, 2]], kept[[0, 2]])
    assert (again[1] != kept[1]).any()
    np.testing.assert_array_equal(envs.restore_state(state)[0], kept)


def test_a_step_without_observations_writes_none_into_earlier_ones() -> None:
    """The memory that was handed out before stays as it was."""
    simulator = Simulator(load_scenario("campus"), num_envs=2)
    for row in range(2):
        simulator.load(row, draw_workload(simulator.scenario, row))
    seen, masks = np.empty_like(simulator.observations), np.empty_like(simulator.feasible)
    actions, rewards = np.zeros(2, dtype=np.int64), np.zeros(2)
    simulator.step(actions, rewards, seen, masks)
    kept = seen.copy()
    np.testing.assert_array_equal(simulator.observations, kept)
    simulator.step(actions, rewards)
    np.testing.assert_array_equal(seen, kept)
    assert (simulator.observations != kept).any()
