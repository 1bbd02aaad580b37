"""A submission's policies, each asked in a process of its own (`process.py`).

Whatever comes from there is somebody else's: answers are numbers of a known size, each must come in
time, and nothing that a policy says is shown. What it prints can be kept in a file.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO, Protocol

import numpy as np
import numpy.typing as npt

from edge_marl.agents.own_files import file_of
from edge_marl.agents.play import gateway_seed
from edge_marl.errors import SubmissionError, printable
from edge_marl.files import write_file
from edge_marl.layout import ObservationLayout
from edge_marl.leaderboards.policies import process as protocol
from edge_marl.leaderboards.policies.compiled import compiled_for
from edge_marl.leaderboards.policies.sandbox import LIMITS, command_of
from edge_marl.leaderboards.submission.chain import Moment
from edge_marl.leaderboards.submission.ledger import Sandbox
from edge_marl.scenario import Scenario
from edge_marl.workload import Workload

__all__ = ["Ask", "InProcess", "OpenGateways", "OpenPolicy", "policies_of"]

START_S, ANSWER_S, WALL_S = 600.0, 120.0, 7200.0
"""Deadlines, for a busy machine: for loading a policy, for one answer, for all of them."""

LOOK_S = 0.5
"""Seconds after which who waits for a policy looks whether the verification has ended."""

PROCESSOR_TIME = 2
"""Kind of a process's clock, in the last bits of its number (clock_getcpuclockid(3))."""

KEPT_OUTPUT = 2**20
"""Last bytes of what a policy printed that are kept."""


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


OpenPolicy = Callable[[int, Sequence[Workload]], AbstractContextManager[Ask]]
"""Opens the policy of a training seed at the start of episodes, one per workload.

A submitted policy is not told the workloads. They are handed over so that a test can give them to
one that plans with the whole future known, and show that it is found out.
"""


class OpenGateways(Protocol):
    """Opens a policy as `OpenPolicy` does, or some gateways of it."""

    def __call__(
        self,
        seed: int,
        workloads: Sequence[Workload],
        gateways: Sequence[int] = (),
        may_share: bool = False,
    ) -> AbstractContextManager[InProcess]:
        """Open the whole policy, or an agent for each of some gateways, in one process.

        If they may share, one that draws no lots is one for all of them (`play.Gateways`).
        """


def policies_of(
    folder: Path,
    scenario: Scenario,
    sandbox: Sandbox,
    code: str | None = None,
    output: Path | None = None,
    over: threading.Event | None = None,
) -> OpenGateways:
    """Return how the policies in a submission's folder are opened.

    Args:
        folder: the submission's.
        scenario: what they decide in.
        sandbox: where they run.
        code: `module:Class` or `file.py:Class` of an agent that is not registered; it runs in the
            policy's process only, and is one file.
        output: file that keeps what a policy that failed has printed.
        over: is set when no policy shall be waited for any more, by another thread.
    """
    over = over or threading.Event()
    if code is not None:
        place, _, name = code.rpartition(":")
        code = f"{file_of(place).resolve()}:{name}"

    @contextmanager
    def open_policy(
        seed: int,
        workloads: Sequence[Workload],
        gateways: Sequence[int] = (),
        may_share: bool = False,
    ) -> Iterator[InProcess]:
        policy = (folder / "policy" / f"seed-{seed}").resolve()
        facts = {
            "scenario": scenario.model_dump_json(),
            "seeds": [gateway_seed(seed, gateway) for gateway in gateways] or [seed],
            "may_share": may_share,
            "observed": ObservationLayout(scenario).size,
            "actions": scenario.num_actions,
            "limits": LIMITS,
            "give_up_network": sandbox == "none",
        }
        compiled = None if sandbox == "container" else compiled_for(scenario)
        opened = command_of(sandbox, policy, code, compiled)
        with tempfile.TemporaryFile() as noise, opened as command:
            process = subprocess.Popen(
                command.argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=noise,
                cwd="/",
                env=command.env,
                pass_fds=command.pass_fds,
                start_new_session=True,
            )
            order = facts | {
                "folder": command.folder,
                "code": command.code,
                "compiled": command.compiled,
            }
            try:
                with _keeping(noise, output):
                    yield _Asking(process, order, over)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # and what it has started
                process.wait()
                for pipe in (process.stdin, process.stdout):
                    if pipe is not None:
                        pipe.close()

    return open_policy


@contextmanager
def _keeping(noise: IO[bytes], output: Path | None) -> Iterator[None]:
    """Keep what a policy that fails has printed, and say where it is."""
    try:
        yield
    except _PolicyError as error:
        where = "what it printed is kept by --policy-output FILE"
        if output is not None:
            noise.seek(max(0, noise.seek(0, os.SEEK_END) - KEPT_OUTPUT))
            # Escaped: it may hold what a terminal obeys.
            lines = noise.read().decode("utf-8", "replace").splitlines()
            write_file(output, "\n".join(map(printable, lines)) + "\n", SubmissionError)
            where = f"what it printed is in {output}"
        raise SubmissionError(f"{error}; {where}") from None


class _PolicyError(SubmissionError):
    """A policy that does not answer as it must."""


class _Asking:
    """The verifier's end of the pipes."""

    def __init__(
        self, process: subprocess.Popen[bytes], order: dict[str, object], over: threading.Event
    ) -> None:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("a policy needs pipes for its input and output")
        self._process, self._over = process, over
        self._to, self._from = process.stdin.fileno(), process.stdout.fileno()
        os.set_blocking(self._to, False)
        self._end = time.monotonic() + WALL_S
        self._asked = "when it was loaded"
        self._clock: int | None = None
        self.used_s = 0.0
        self._asked_rows, self._shape = np.zeros(0, np.int64), (0, 0)
        content = json.dumps(order).encode() + b"\n"
        ready = self._answer(content, START_S, protocol.READY, protocol.READY_FOR_ANY)
        self.stateless = ready == protocol.READY_FOR_ANY
        self._clock = _clock_of(process.pid)

    def __call__(self, moment: Moment) -> npt.NDArray[np.int64]:
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
            raise _PolicyError(f"{self._asked}: the policy raised an error")
        if kind not in expected:
            raise _PolicyError(f"{self._asked}: the policy's process does not answer as agreed")
        return kind

    def _read(self, size: int, until: float) -> bytes:
        content = bytearray()
        while len(content) < size:
            self._wait(self._from, select.POLLIN, until)
            part = os.read(self._from, size - len(content))
            if not part:
                raise _PolicyError(f"{self._asked}: {self._death()}")
            content += part
        return bytes(content)

    def _wait(self, pipe: int, event: int, until: float) -> None:
        """Wait until a pipe can be used, but no longer than until a time."""
        poll = select.poll()
        poll.register(pipe, event)
        while not poll.poll(1000 * max(0.0, min(LOOK_S, until - time.monotonic()))):
            if self._over.is_set():
                raise _PolicyError(f"{self._asked}: the verification ended before it answered")
            if time.monotonic() < until:
                continue
            late = f"no answer within {self._seconds:.0f} s"
            if until == self._end:
                late = f"more than {WALL_S:.0f} s in all"
            raise _PolicyError(f"{self._asked}: {late}: the policy was stopped")

    def _now(self) -> float:
        return time.monotonic() if self._clock is None else time.clock_gettime(self._clock)

    def _death(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=10)
        status = self._process.poll()
        return f"the policy's process ended (status {status}; limits {LIMITS})"


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
