"""What is collected for an update, against Tianshou's own buffer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tianshou.algorithm.algorithm_base import Algorithm
from tianshou.data import Batch, VectorReplayBuffer

from edge_marl.agents.on_tianshou.replay_buffer import Rollout, replay_state, restore_replay

ROWS, STEPS = 3, 5


def step(generator: np.random.Generator) -> Batch:
    seen = [Batch(obs=generator.random((ROWS, 4), dtype=np.float32)) for _ in range(2)]
    ends: Any = {name: generator.random(ROWS) < 0.3 for name in ("terminated", "truncated")}
    return Batch(
        obs=seen[0],
        obs_next=seen[1],
        act=generator.integers(9, size=ROWS),
        rew=generator.random(ROWS),
        info=Batch(),
        **ends,
    )


def returns(buffer: Any, places: Any) -> Any:
    values = np.linspace(0.0, 1.0, len(places))
    batch = buffer[places]
    return Algorithm.compute_episodic_return(batch, buffer, places, values, values[::-1])


def test_it_is_tianshous_own() -> None:
    generator = np.random.default_rng(0)
    rollout, other = Rollout(STEPS, ROWS), VectorReplayBuffer(STEPS * ROWS, ROWS)
    for steps in (STEPS, 2, 4):
        for buffer in (rollout, other):
            buffer.reset(keep_statistics=True)
        assert len(rollout) == 0
        assert len(rollout.unfinished_index()) == 0
        for _ in range(steps):
            new = step(generator)
            rollout.add(new)
            other.add(new)
        places = rollout.sample_indices(0)
        np.testing.assert_array_equal(places, other.sample_indices(0))
        np.testing.assert_array_equal(rollout.unfinished_index(), other.unfinished_index())
        assert len(rollout) == len(other) == ROWS * steps
        own: Any = rollout[places]
        theirs: Any = other[places]
        for name in ("act", "rew", "done", "terminated", "truncated"):
            np.testing.assert_array_equal(own[name], theirs[name])
        np.testing.assert_array_equal(own.obs.obs, theirs.obs.obs)
        np.testing.assert_array_equal(own.obs_next.obs, theirs.obs_next.obs)
        for a, b in zip(returns(rollout, places), returns(other, places), strict=True):
            np.testing.assert_array_equal(a, b)


def test_it_goes_on_where_it_was() -> None:
    generator = np.random.default_rng(1)
    first, second = Rollout(STEPS, ROWS), Rollout(STEPS, ROWS)
    first.add(step(generator))
    restore_replay(second, replay_state(first))
    new = step(generator)
    for rollout in (first, second):
        rollout.add(new)
    places = first.sample_indices(0)
    np.testing.assert_array_equal(second[places].rew, first[places].rew)
    np.testing.assert_array_equal(second.unfinished_index(), first.unfinished_index())


def test_a_full_one_takes_no_more() -> None:
    generator = np.random.default_rng(2)
    rollout = Rollout(STEPS, ROWS)
    for _ in range(STEPS):
        rollout.add(step(generator))
    with pytest.raises(IndexError, match="a rollout of 5 steps is full"):
        rollout.add(step(generator))
