"""A forked process goes on with a batch that was stepped in threads."""

from __future__ import annotations

import multiprocessing
import os
import select
import signal
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from edge_marl import EdgeAIGCRows, EdgeAIGCVectorEnv

DEADLINE_S = 120

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here"),
    # Python warns of forks in processes with threads: that is what is tested.
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),
]


def batch(make: Callable[..., Any]) -> tuple[Any, Any]:
    """A batch that was stepped in threads, and actions for it."""
    with (
        patch("edge_marl.simulator.stepping.ROWS_PER_THREAD", 1),
        patch("numba.config.NUMBA_NUM_THREADS", 2),
    ):
        env = make(4, scenario="smoke")
    assert env._simulator.stepper._num_threads == 2
    env._simulator.stepper._pace.run = lambda alone, together: together()
    env.reset(seed=0)
    shape = (4, env.num_gateways) if make is EdgeAIGCRows else 4
    actions = np.zeros(shape, dtype=np.int64)
    env.step(actions)
    return env, actions


each_batch = pytest.mark.parametrize("make", [EdgeAIGCVectorEnv, EdgeAIGCRows])


@each_batch
def test_after_os_fork(make: Callable[..., Any]) -> None:
    env, actions = batch(make)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        rewards = env.step(actions)[1]
        os.write(writer, rewards.tobytes())
        os._exit(0)
    os.close(writer)
    ready, _, _ = select.select([reader], [], [], DEADLINE_S)
    if not ready:
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert ready, "the child waits for threads that it does not have"
    assert os.read(reader, 10_000) == env.step(actions)[1].tobytes()  # the parent's still work
    os.close(reader)


@each_batch
def test_in_a_forked_worker(make: Callable[..., Any]) -> None:
    env, actions = batch(make)
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=lambda: sender.send(env.step(actions)[1]))
    child.start()
    answered = receiver.poll(DEADLINE_S)
    if not answered:
        child.kill()
    child.join()
    assert answered, "the worker waits for threads that it does not have"
    np.testing.assert_array_equal(receiver.recv(), env.step(actions)[1])
