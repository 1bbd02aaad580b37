"""Episode after episode in a batch, begun below the interpreter or not: those of the seed."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from edge_marl import EdgeAIGCEnv, EdgeAIGCVectorEnv, Scenario, load_scenario
from tests.worlds.every_part import TERMS, world

SEEDS = [3, 0, 2**63 - 1, 2**63, 2**80 + 1]
"""Those from 2^63 on do not fit into a word: Python draws their episodes."""

SCENARIOS = {
    "base": load_scenario("smoke"),
    "every part": world(arrivals={"horizon_s": 60.0}),
    "terms": world(arrivals={"horizon_s": 60.0}, **TERMS),
}


def batch(scenario: Scenario, threads: int, mode: AutoresetMode) -> EdgeAIGCVectorEnv:
    with (
        patch("edge_marl.simulator.stepping.ROWS_PER_THREAD", 1),
        patch("numba.config.NUMBA_NUM_THREADS", threads),
    ):
        return EdgeAIGCVectorEnv(len(SEEDS), scenario=scenario, autoreset_mode=mode)


def steps_of(
    scenario: Scenario, seed: int, actions: Iterator[int], mode: AutoresetMode
) -> Iterator[list[Any]]:
    """What a row of a batch shows, by an environment of its own: observation, mask, reward, end."""
    env = EdgeAIGCEnv(scenario)
    seen, info = env.reset(seed=seed)
    yield [seen, info["action_mask"]]
    for action in actions:
        seen, reward, terminated, truncated, info = env.step(action)
        over = terminated or truncated
        if over and mode == AutoresetMode.SAME_STEP:
            seen, info = env.reset()
        yield [seen, info["action_mask"], reward, terminated, truncated]
        if over and mode == AutoresetMode.NEXT_STEP:
            next(actions)
            seen, info = env.reset()
            yield [seen, info["action_mask"], 0.0, False, False]


def assert_same(env: EdgeAIGCVectorEnv, returned: Any, rows: list[list[Any]]) -> None:
    seen, infos = returned[0], returned[-1]
    parts = [seen, infos["action_mask"], *returned[1:-1]]
    for part, expected in zip(parts, zip(*rows, strict=True), strict=True):
        np.testing.assert_array_equal(part, np.array(expected))


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", SCENARIOS)
def test_rows_play_the_episodes_of_their_seeds(
    name: str, threads: int, mode: AutoresetMode
) -> None:
    scenario = SCENARIOS[name]
    env = batch(scenario, threads, mode)
    actions = np.random.default_rng(0).integers(scenario.num_actions, size=(400, len(SEEDS)))
    games = [
        steps_of(scenario, seed, iter(actions[:, row].tolist()), mode)
        for row, seed in enumerate(SEEDS)
    ]
    assert_same(env, env.reset(seed=SEEDS), [next(game) for game in games])
    ends = np.zeros(len(SEEDS), dtype=int)
    for chosen in actions:
        returned = env.step(chosen)
        assert_same(env, returned, [next(game) for game in games])
        ends += returned[2] | returned[3]
    assert ends.min() >= 3


@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))],
    ids=["copy", "pickle"],
)
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_copy_goes_on_alike_and_by_itself(
    name: str, duplicate: Callable[[Any], EdgeAIGCVectorEnv]
) -> None:
    """Both play more than an episode after the other has: neither works on the other's memory."""
    scenario = SCENARIOS[name]
    env = batch(scenario, 1, AutoresetMode.SAME_STEP)
    env.reset(seed=SEEDS)
    actions = np.random.default_rng(1).integers(scenario.num_actions, size=(200, len(SEEDS)))
    for chosen in actions[:20]:
        env.step(chosen)
    other = duplicate(env)
    first = [env.step(chosen) for chosen in actions]
    second = [other.step(chosen) for chosen in actions]
    for ours, theirs in zip(first, second, strict=True):
        for mine, others in zip(ours[:4], theirs[:4], strict=True):
            np.testing.assert_array_equal(mine, others)


def test_an_episode_that_needs_more_room_gets_it() -> None:
    """Tasks come in bursts: an episode now and then has many more than the batch had room for."""
    bursts = {"ratio": 100, "quiet_s": 300, "busy_s": 20}
    scenario = world(arrivals={"horizon_s": 60.0, "bursts": bursts})
    env = batch(scenario, 1, AutoresetMode.SAME_STEP)
    room = env._simulator._world.tasks.shape[1]
    games = [steps_of(scenario, seed, iter(lambda: 0, 1), env.autoreset_mode) for seed in SEEDS]
    assert_same(env, env.reset(seed=SEEDS), [next(game) for game in games])
    while env._simulator._world.tasks.shape[1] == room:
        assert_same(env, env.step([0] * len(SEEDS)), [next(game) for game in games])
    for _ in range(50):
        assert_same(env, env.step([0] * len(SEEDS)), [next(game) for game in games])
