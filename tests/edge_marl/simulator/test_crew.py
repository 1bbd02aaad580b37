"""Threads that share the rows of a step: every row once, whoever is awake."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from itertools import product

import numba
import numpy as np
import pytest
from numba.core import types

from edge_marl.memory import pointer
from edge_marl.simulator import crew as crews
from edge_marl.simulator.crew import Crew
from edge_marl.simulator.rows import ACTIONS, JOB_WORDS, REWARDS
from edge_marl.simulator.stepping import PERIOD, TRIALS, Pace, Work

DEADLINE_S = 60.0

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="plain Python has no pointers")


@numba.cfunc(types.int64(*[types.int64] * 4))
def count_rows(job: int, first: int, stop: int, thread: int) -> int:
    """Add to each row's reward its action."""
    words = numba.carray(pointer(job), (JOB_WORDS,), np.int64)
    given = numba.carray(pointer(words[ACTIONS]), (stop,), np.int64)
    got = numba.carray(pointer(words[REWARDS]), (stop,), np.float64)
    for row in range(first, stop):
        got[row] += given[row]
    return 0


JOB = np.zeros(JOB_WORDS, dtype=np.int64)


def work_of(rewards: np.ndarray, number: int) -> Work:
    return Work(np.full(len(rewards), number), rewards, None, None)


def step(crew: Crew, rewards: np.ndarray, number: int) -> None:
    crew.post(count_rows.address, JOB.ctypes.data, work_of(rewards, number))
    crew.finish()
    assert (rewards == number * (number + 1) / 2).all()


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)


def own_threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name.startswith("edge-marl-rows")]


@pytest.mark.parametrize(
    ("rows", "threads", "chunk"), list(product([1, 7, 64, 1000], [1, 2, 5], [1, 16]))
)
def test_every_row_is_done_once_in_every_step(rows: int, threads: int, chunk: int) -> None:
    crew, rewards = Crew(rows, threads, chunk), np.zeros(rows)
    for number in range(1, 300):
        step(crew, rewards, number)


def test_threads_that_sleep_are_woken_and_those_that_do_not_come_are_not_waited_for() -> None:
    crew, rewards = Crew(64, 3, 16), np.zeros(64)
    for number in range(1, 6):
        wait_until(lambda: crews.read_word(crew._base + crews.ASLEEP) == 2)
        step(crew, rewards, number)


def test_threads_end_with_their_crew() -> None:
    before = own_threads()
    crew, rewards = Crew(64, 3, 16), np.zeros(64)
    step(crew, rewards, 1)
    started = [thread for thread in own_threads() if thread not in before]
    assert len(started) == 2
    del crew
    gc.collect()
    wait_until(lambda: not any(thread.is_alive() for thread in started))


@pytest.mark.parametrize(("alone_s", "together_s"), [(0.002, 0.0), (0.0, 0.002)])
def test_the_faster_way_is_taken(alone_s: float, together_s: float) -> None:
    done: list[str] = []

    def alone() -> None:
        done.append("alone")
        time.sleep(alone_s)

    def together() -> None:
        done.append("together")
        time.sleep(together_s)

    pace = Pace()
    for _ in range(2 * TRIALS + 20):
        pace.run(alone, together)
    assert set(done[-20:]) == {"together" if alone_s else "alone"}
    assert done.count("together" if together_s else "alone") <= TRIALS


def test_it_is_tried_again() -> None:
    done: list[str] = []
    pace = Pace()
    for _ in range(PERIOD + 2 * TRIALS):
        pace.run(lambda: done.append("alone"), lambda: done.append("together"))
    assert set(done[-2 * TRIALS :]) == {"alone", "together"}


def test_an_interrupt_between_a_steps_halves_loses_nothing() -> None:
    crew, rewards = Crew(64, 3, 16), np.zeros(64)
    crew.post(count_rows.address, JOB.ctypes.data, work_of(rewards, 1))
    step(crew, rewards, 2)
