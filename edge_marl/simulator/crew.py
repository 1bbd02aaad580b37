"""Threads that share the rows of a step, below the interpreter.

A hand-over from Python costs some 20 us, a step of a few hundred rows not much more. So each thread
stays in compiled code between steps: it watches a word, and when a new step is posted takes rows of
it, its own first, in chunks, and then those that others have not come to. Who posts a step works
like everyone, so that a thread that the machine has no processor for keeps nobody waiting, except
for the one chunk that it may have begun. A thread that sees nothing new for a while goes to sleep
in Python, and is woken at the next step.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl.jit import jit
from edge_marl.memory import call
from edge_marl.simulator.atomics import add, give_way, read, relax, write
from edge_marl.simulator.rows import ACTIONS, HANDED, MASKS, REWARDS, SEEN

__all__ = ["Crew", "aim", "alone"]

LINE = 64
"""Bytes of a cache line: words that different threads write to have one each."""

GENERATION, DONE, ASLEEP, STOP, FUNCTION, JOB, ROWS, THREADS, CHUNK = (LINE * k for k in range(9))
TICKETS = LINE * 9
"""Offsets in bytes of the words that a crew shares. One ticket per thread follows: the number of
the next chunk of its own rows."""

WATCHED = 10_000
"""Times that a word is looked at before a thread goes to sleep: some 250 us, in which a caller has
looked at the last step and chosen the next actions."""

PATIENCE = 2_000
"""Times that the last chunk is looked for before another thread may have the processor."""


def _take(base: int, owner: int, own: int) -> None:
    """Do, as a thread, those of an owner's rows that nobody has begun."""
    rows, threads, chunk = read(base + ROWS), read(base + THREADS), read(base + CHUNK)
    stop = rows * (owner + 1) // threads
    while True:
        # Whoever has a ticket does its chunk, whatever step he came for: the next step is not
        # posted before all chunks of this one are done, so what he reads after it is of its step.
        begin = rows * owner // threads + add(base + TICKETS + LINE * owner, 1) * chunk
        if begin >= stop:
            return
        call(read(base + FUNCTION), read(base + JOB), begin, min(begin + chunk, stop), own)
        add(base + DONE, min(begin + chunk, stop) - begin)


def _work(base: int, own: int) -> None:
    """Do rows until none are left that nobody has begun."""
    threads = read(base + THREADS)
    for k in range(threads):
        take(base, (own + k) % threads, own)


def _watch(base: int, own: int) -> bool:
    """Work on steps as they come; return when it is time to sleep: False if for good."""
    looked, step = 0, 0
    while looked < WATCHED:
        if read(base + STOP) != 0:
            return False
        now = read(base + GENERATION)
        if now != step:
            work(base, own)
            step, looked = now, 0
        looked += 1
        relax()
    # A step that is posted just now is done without this thread; the next one wakes it.
    add(base + ASLEEP, 1)
    return True


def _aim(job: int, entry: int, seen: Any, masks: Any) -> None:
    """Have a job hand out what is seen into arrays.

    Args:
        job: its address.
        entry: 0, or the address of a word that says where observations are written: at once into
            what is handed out, then, and nothing is copied.
        seen: to write to.
        masks: likewise.
    """
    write(job + 8 * SEEN, seen.ctypes.data if entry == 0 else 0)
    if entry != 0:
        write(entry, seen.ctypes.data)
    write(job + 8 * MASKS, masks.ctypes.data)
    write(job + 8 * HANDED, len(seen))


def _give(job: int, actions: Any, rewards: Any) -> None:
    """Have a job take actions, and write rewards."""
    write(job + 8 * ACTIONS, actions.ctypes.data)
    write(job + 8 * REWARDS, rewards.ctypes.data)


def _post(base: int, function: int, job: int, actions: Any, rewards: Any) -> int:
    """Post a step; return how many threads are asleep: they are no longer counted as that."""
    give(job, actions, rewards)
    write(base + FUNCTION, function)
    write(base + JOB, job)
    write(base + DONE, 0)
    for thread in range(read(base + THREADS)):
        write(base + TICKETS + LINE * thread, 0)
    add(base + GENERATION, 1)
    asleep: int = read(base + ASLEEP)
    if asleep > 0:
        add(base + ASLEEP, -asleep)
    return asleep


def _finish(base: int) -> None:
    """Work on the step that was posted, and wait for chunks that others have begun."""
    work(base, 0)
    rows, looked = read(base + ROWS), 0
    while read(base + DONE) < rows:
        looked += 1
        if looked > PATIENCE:
            give_way()
        relax()


def _alone(function: int, job: int, rows: int, actions: Any, rewards: Any) -> None:
    """Do a step without a crew."""
    give(job, actions, rewards)
    call(function, job, 0, rows, 0)


take, work, watch, aim, give, post, finish, alone = (
    jit(body, nogil=True, error_model="numpy")
    for body in (_take, _work, _watch, _aim, _give, _post, _finish, _alone)
)


@jit
def write_word(address: int, value: int) -> None:
    """`write`, for Python."""
    write(address, value)


@jit
def read_word(address: int) -> int:
    """`read`, for Python."""
    word: int = read(address)
    return word


class Crew:
    """This thread and others that help it.

    Args:
        rows: of every step.
        threads: this one included.
        chunk: rows that are taken at a time.
    """

    def __init__(self, rows: int, threads: int, chunk: int) -> None:
        self._words = np.zeros((TICKETS + LINE * (threads + 1)) // 8, dtype=np.int64)
        self._base = -(-self._words.ctypes.data // LINE) * LINE
        for offset, value in ((ROWS, rows), (THREADS, threads), (CHUNK, chunk)):
            write_word(self._base + offset, value)
        self._wake = threading.Semaphore(0)
        self._held: Any = None
        """Arrays of the step that was posted, while threads may write to them."""
        for own in range(1, threads):
            threading.Thread(
                target=_serve,
                args=(self._words, self._base, own, self._wake),
                name=f"edge-marl-rows-{own}",
                daemon=True,
            ).start()
        weakref.finalize(self, _dismiss, self._words, self._base, self._wake, threads, os.getpid())

    def post(self, function: int, job: int, work: Any) -> None:
        """Let the others begin with a step; `finish` has to follow before the next one.

        Args:
            function: address of a C function (job, first row, stop, thread).
            job: address of what it takes, as `compiled.py` says.
            work: what the job's addresses are of: `actions`, `rewards` and more, which are held.
        """
        if self._held is not None:  # a keyboard interrupt came between the two
            self.finish()
        self._held = work
        asleep = post(self._base, function, job, work.actions, work.rewards)
        if asleep:
            self._wake.release(asleep)

    def finish(self) -> None:
        """Help with the step that was posted, and return when it is done."""
        finish(self._base)
        self._held = None


def _serve(words: npt.NDArray[Any], base: int, own: int, wake: threading.Semaphore) -> None:
    """Be one of the others; `words` is held for as long as its address is used."""
    while watch(base, own):
        wake.acquire()


def _dismiss(
    words: npt.NDArray[Any], base: int, wake: threading.Semaphore, threads: int, process: int
) -> None:
    """Let the others end; a fork has none, and its semaphore may be held by one of them."""
    if process == os.getpid():
        write_word(base + STOP, 1)
        wake.release(threads)
