"""A step in two halves is the same step; between them nothing else is taken."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from gymnasium.error import AlreadyPendingCallError, NoAsyncCallError
from gymnasium.vector import AutoresetMode

from edge_marl import EdgeAIGCVectorEnv, Simulator, load_scenario
from tests.worlds.transcripts import frozen


def batch(threads: int, mode: AutoresetMode) -> EdgeAIGCVectorEnv:
    with (
        patch("edge_marl.simulator.stepping.ROWS_PER_THREAD", 1),
        patch("numba.config.NUMBA_NUM_THREADS", threads),
    ):
        return EdgeAIGCVectorEnv(40, scenario="smoke", autoreset_mode=mode)


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
@pytest.mark.parametrize("threads", [1, 3])
def test_it_is_the_same_step(threads: int, mode: AutoresetMode) -> None:
    one, two = batch(threads, mode), batch(1, mode)
    one.reset(seed=0)
    two.reset(seed=0)
    actions = np.random.default_rng(0).integers(6, size=(150, 40))
    for chosen in actions:
        one.step_async(chosen)
        ours, theirs = one.step_wait(), two.step(chosen)
        assert frozen(ours[0]) == frozen(theirs[0])
        for mine, others in zip(ours[1:4], theirs[1:4], strict=True):
            np.testing.assert_array_equal(mine, others)


@pytest.mark.parametrize("threads", [1, 3])
def test_actions_may_be_a_part_of_an_array(threads: int) -> None:
    one, two = batch(threads, AutoresetMode.SAME_STEP), batch(1, AutoresetMode.SAME_STEP)
    one.reset(seed=0)
    two.reset(seed=0)
    many = np.random.default_rng(0).integers(6, size=(60, 40, 2), dtype=np.int64)
    for chosen in many:
        ours, theirs = one.step(chosen[:, 1]), two.step(chosen[:, 1].copy())
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[1], theirs[1])
    chosen.flags.writeable = False
    one.step(chosen[:, 1])


def test_rewards_are_written_where_they_are_asked_for() -> None:
    simulator = Simulator(load_scenario("smoke"), 2)
    with pytest.raises(ValueError, match="rewards is a part of an array"):
        simulator.step(np.zeros(2, np.int64), np.zeros((2, 2))[:, 0])


def test_nothing_comes_between() -> None:
    env = batch(2, AutoresetMode.SAME_STEP)
    env.reset(seed=0)
    zeros = np.zeros(40, np.int64)
    with pytest.raises(NoAsyncCallError, match="no step has begun: call step_async first"):
        env.step_wait()
    env.step_async(zeros)
    for call in (lambda: env.step(zeros), lambda: env.step_async(zeros), lambda: env.reset()):
        with pytest.raises(AlreadyPendingCallError, match="call step_wait first"):
            call()
    env.step_wait()
    env.step(zeros)
