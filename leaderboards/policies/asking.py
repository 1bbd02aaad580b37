"""Asking a policy in a process of its own (`process.py`).

Whatever comes from there is somebody else's: answers are numbers of a known size, each must come in
time, and nothing that a policy says is shown.
"""

from __future__ import annotations

import json
import os
import select
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edge_marl.errors import SubmissionError
from edge_marl.leaderboards.policies import process as protocol
from edge_marl.leaderboards.policies.starting import Started
from edge_marl.leaderboards.submission.chain import Moment

__all__ = ["START_S", "Ask", "Asking", "InProcess", "PolicyError"]

START_S, ANSWER_S, WALL_S = 600.0, 120.0, 7200.0
"""Deadlines, for a busy machine: for loading a policy, for one answer, for all of them."""

LOOK_S = 0.5
"""Seconds after which who waits for a policy looks whether the verification has ended."""

PROCESSOR_TIME = 2
"""Kind of a process's clock, in the last bits of its number (clock_getcpuclockid(3))."""


class Ask(Protocol):
    """Asks a policy for its actions."""

    def __call__(self, moment: Moment) -> npt.NDArray[np.int64]:
        """Return (R,) actions for what is seen and legal; what a row without a decision gets does
        not count."""

    def preferences(self) -> npt.NDArray[np.float64] | None:
        """Return (R, A), what it chose its last actions by (`Agent.preferences`).

        Of rows that it was not asked of, NaN.
        """


class InProcess(Ask, Protocol):
    """Asks a policy in its process."""

    stateless: bool
    """Whether it says that it keeps nothing (`Agent.stateless`): then it is asked of rows that
    decide alone."""
    used_s: float
    """Seconds that the last answer took: of its processor where that is known."""


class PolicyError(SubmissionError):
    """A policy that does not answer as it must."""


class Asking:
    """The verifier's end of the pipes.

    Args:
        process: the policy's.
        order: what it is to load; where it runs is added.
        over: is set when it shall be waited for no more, by another thread.

    Raises:
        PolicyError: it does not load, or later does not answer as it must.
    """

    def __init__(
        self, process: Started, order: Mapping[str, object], over: threading.Event
    ) -> None:
        self._process, self._over = process, over
        self._to, self._from = process.to, process.back
        os.set_blocking(self._to, False)
        self._end = time.monotonic() + WALL_S
        self._asked = "when it was loaded"
        self._clock: int | None = None
        self.used_s = 0.0
        self._asked_rows, self._shape = np.zeros(0, np.int64), (0, 0)
        content = json.dumps({**order, **process.facts}).encode() + b"\n"
        ready = self._answer(content, START_S, protocol.READY, protocol.READY_FOR_ANY)
        self.stateless = ready == protocol.READY_FOR_ANY
        self._clock = _clock_of(process.pid)

    def __call__(self, moment: Moment) -> npt.NDArray[np.int64]:
        """Return its actions (see `Ask`)."""
        self._asked = f"decision {moment.number}"
        asked = moment.going if self.stateless else np.ones_like(moment.going)
        self._asked_rows, self._shape = np.flatnonzero(asked), moment.mask.shape
        chosen = np.zeros(len(asked), np.int64)
        self.used_s = 0.0
        if count := len(self._asked_rows):
            before = self._now()
            self._answer(self._frame(moment.at(self._asked_rows)), ANSWER_S, protocol.GOOD)
            answer = self._read(8 * count, self._until)
            self.used_s = self._now() - before
            chosen[self._asked_rows] = np.frombuffer(answer, "<i8")
        return chosen

    def _frame(self, own: Moment) -> bytes:
        parts = (
            np.array([len(self._asked_rows)], "<i8"),
            self._asked_rows.astype("<i8", copy=False),
            own.observation.astype("<f4", copy=False),
            own.mask.astype(np.int8, copy=False),
            own.agent_index.astype("<i8", copy=False),
        )
        return protocol.DECIDE + b"".join(part.tobytes() for part in parts)

    def preferences(self) -> npt.NDArray[np.float64] | None:
        """Return what it chose by (see `Ask`)."""
        if self._answer(protocol.TELL, ANSWER_S, protocol.GOOD, protocol.NOTHING) != protocol.GOOD:
            return None
        size = 8 * len(self._asked_rows) * self._shape[1]
        told = np.full(self._shape, np.nan)
        answer = np.frombuffer(self._read(size, self._until), "<f8")
        told[self._asked_rows] = answer.reshape(-1, self._shape[1])
        return told

    def _answer(self, content: bytes, seconds: float, *expected: bytes) -> bytes:
        """Send a question, and return the first byte of the answer, which says what it is."""
        self._seconds, self._until = seconds, min(time.monotonic() + seconds, self._end)
        rest = memoryview(content)
        while rest:
            self._wait(self._to, select.POLLOUT, self._until)
            try:
                rest = rest[os.write(self._to, rest) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:  # what it still says comes first
                break
        kind = self._read(1, self._until)
        if kind == protocol.FAILED:
            raise PolicyError(f"{self._asked}: the policy raised an error")
        if kind not in expected:
            raise PolicyError(f"{self._asked}: the policy's process does not answer as agreed")
        return kind

    def _read(self, size: int, until: float) -> bytes:
        content = bytearray()
        while len(content) < size:
            self._wait(self._from, select.POLLIN, until)
            part = os.read(self._from, size - len(content))
            if not part:
                raise PolicyError(f"{self._asked}: {self._process.death()}")
            content += part
        return bytes(content)

    def _wait(self, pipe: int, event: int, until: float) -> None:
        """Wait until a pipe can be used, but no longer than until a time."""
        poll = select.poll()
        poll.register(pipe, event)
        while not poll.poll(1000 * max(0.0, min(LOOK_S, until - time.monotonic()))):
            if self._over.is_set():
                raise PolicyError(f"{self._asked}: the verification ended before it answered")
            if time.monotonic() < until:
                continue
            late = f"no answer within {self._seconds:.0f} s"
            if until == self._end:
                late = f"more than {WALL_S:.0f} s in all"
            raise PolicyError(f"{self._asked}: {late}: the policy was stopped")

    def _now(self) -> float:
        return time.monotonic() if self._clock is None else time.clock_gettime(self._clock)


def _clock_of(pid: int) -> int | None:
    """Return the clock of the processor time of a policy's process, which only the kernel sets.

    Args:
        pid: of what was started: the process itself, or bubblewrap, whose only child it is.
    """
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        clock = (~int(children[0] if children else pid) << 3) | PROCESSOR_TIME
        time.clock_gettime(clock)
    except (OSError, ValueError):
        return None
    return clock
