"""Wrappers and tests of other libraries, and the conventions that they go by."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
import supersuit
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import vector as wrappers
from hypothesis import given, settings
from hypothesis import strategies as st
from pettingzoo.utils.wrappers.multi_episode_env import MultiEpisodeEnv
from pettingzoo.utils.wrappers.multi_episode_parallel_env import MultiEpisodeParallelEnv

from edge_marl import EdgeAIGCVectorEnv, edge_aigc_v0
from edge_marl.errors import ActionError, EpisodeOverError
from tests.worlds.transcripts import frozen


def make_vec(num_envs: int, mode: AutoresetMode = AutoresetMode.NEXT_STEP, **made: Any) -> Any:
    return gymnasium.make_vec(
        "EdgeAIGC-v0", num_envs, **{"scenario": "smoke", "autoreset_mode": mode, **made}
    )


@settings(max_examples=12, deadline=None)
@given(
    num_envs=st.integers(1, 4),
    tier=st.sampled_from(["smoke", "agod"]),
    action_mask=st.sampled_from(["info", "observation"]),
    seed=st.integers(0, 10**6),
)
def test_next_step_is_gymnasiums_own_batch(
    num_envs: int, tier: str, action_mask: str, seed: int
) -> None:
    """Observations, rewards, ends and infos, bit for bit, across several ends."""
    made: dict[str, Any] = {"scenario": tier, "action_mask": action_mask}
    ours = make_vec(num_envs, **made)
    theirs: Any = gymnasium.make_vec("EdgeAIGC-v0", num_envs, vectorization_mode="sync", **made)
    assert ours.autoreset_mode == theirs.autoreset_mode == ours.metadata["autoreset_mode"]
    rng = np.random.default_rng(seed)
    left, right = ours.reset(seed=seed), theirs.reset(seed=seed)
    ends = np.zeros(num_envs, dtype=int)
    for _ in range(1500):
        assert frozen(left) == frozen(right)
        if ends.min() == 2:
            break
        actions = rng.integers(ours.single_action_space.n, size=num_envs)
        left, right = ours.step(actions), theirs.step(actions)
        ends += left[2] | left[3]


WRAPPERS: list[Callable[[Any], Any]] = [
    wrappers.NormalizeObservation,
    wrappers.FlattenObservation,
    partial(wrappers.RescaleObservation, min_obs=np.float32(-1), max_obs=np.float32(1)),
    partial(wrappers.DtypeObservation, dtype=np.float64),
    partial(wrappers.TransformObservation, func=lambda observation: observation),
]


@pytest.mark.parametrize("wrap", WRAPPERS)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")  # within Gymnasium's Box
def test_gymnasiums_vector_wrappers(wrap: Callable[[Any], Any]) -> None:
    env = wrap(make_vec(2))
    seen, _ = env.reset(seed=0)
    ended = 0
    for _ in range(90):
        assert seen.shape == env.observation_space.shape
        seen, _, terminated, truncated, _ = env.step(np.zeros(2, dtype=int))
        ended += int((terminated | truncated).sum())
    assert ended > 0


def play(env: Any) -> int:
    """Play a Parallel environment to its end; return how many steps it took."""
    env.reset(seed=1)
    for step in range(5000):
        if not env.agents:
            return step
        env.step({agent: env.action_space(agent).sample() for agent in env.agents})
    raise AssertionError("it does not end")


@pytest.mark.parametrize(
    "wrap",
    [
        supersuit.black_death_v3,
        partial(supersuit.frame_skip_v0, num_frames=3),
        partial(supersuit.frame_skip_v0, num_frames=(1, 3)),
        partial(MultiEpisodeParallelEnv, num_episodes=3),
    ],
)
def test_wrappers_of_the_parallel_game(wrap: Callable[[Any], Any]) -> None:
    assert play(wrap(edge_aigc_v0.parallel_env(scenario="smoke"))) > 1


def test_wrappers_of_the_game_in_turns() -> None:
    env = MultiEpisodeEnv(edge_aigc_v0.env(scenario="smoke"), num_episodes=3)
    env.reset(seed=1)
    turns = 0
    for agent in env.agent_iter(10_000):
        *_, terminated, truncated, _ = env.last()
        env.step(None if terminated or truncated else env.action_space(agent).sample())
        turns += 1
    assert turns > 3 * 2 * 30  # an episode of `smoke` has more than 30 tasks
    assert not env.agents


def test_skipped_frames_follow_the_seed() -> None:
    env = edge_aigc_v0.parallel_env(scenario="smoke")
    env.reset(seed=4)
    first = env.np_random.random()
    env.reset(seed=4)
    assert env.np_random.random() == first


def test_a_step_without_agents_is_empty_after_the_end_only() -> None:
    env = edge_aigc_v0.parallel_env(scenario="smoke")
    with pytest.raises(EpisodeOverError, match=r"call reset\(\) first"):
        env.step({})
    play(env)
    assert env.step({}) == ({}, {}, {}, {}, {})
    with pytest.raises(EpisodeOverError, match=r"call reset\(\) first"):
        env.step({"gateway_0": 0})


def test_a_batch_axis_of_one() -> None:
    single, vector = gymnasium.make("EdgeAIGC-v0", scenario="smoke"), make_vec(3)
    game: Any = edge_aigc_v0.parallel_env(scenario="smoke")
    for env in (single, vector, game):
        env.reset(seed=0)
    single.step(np.array([1]))
    vector.step(np.ones((3, 1), dtype=int))
    game.step({agent: np.array([1]) for agent in game.agents})
    for wrong in (np.array([1.0]), np.array([]), [1.0], np.array([True])):
        with pytest.raises(ActionError, match="must be a whole number"):
            single.step(wrong)
    with pytest.raises(ActionError, match="must be 3 whole numbers"):
        vector.step(np.ones((3, 2), dtype=int))


def test_masks_by_method() -> None:
    vector: Any = EdgeAIGCVectorEnv(2, scenario="smoke")
    _, info = vector.reset(seed=0)
    masks = vector.action_masks()
    assert masks.dtype == np.bool_
    np.testing.assert_array_equal(masks, info["action_mask"])


@pytest.mark.parametrize("vector", [False, True])
def test_a_process_that_has_not_imported_the_package_makes_it_by_its_full_name(
    vector: bool,
) -> None:
    make = "gymnasium.make_vec(name, 2)" if vector else "gymnasium.make(name)"
    code = f"import gymnasium, sys\nname = sys.argv[1]\nprint({make}.unwrapped)"
    whole, alone = (
        subprocess.run([sys.executable, "-c", code, name], capture_output=True, text=True)
        for name in ("edge_marl:EdgeAIGC-v0", "EdgeAIGC-v0")
    )
    assert whole.returncode == 0, whole.stderr
    assert "EdgeAIGC" in whole.stdout
    assert "Environment `EdgeAIGC` doesn't exist" in alone.stderr  # as the docs say
