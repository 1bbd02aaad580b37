"""A submission's policies, each asked in a process of its own (`policy_process.py`)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO, Protocol

import numpy as np
import numpy.typing as npt

from edge_marl.errors import SubmissionError
from edge_marl.layout import ObservationLayout
from edge_marl.leaderboards.submission.chain import Moment
from edge_marl.scenario import Scenario
from edge_marl.workload import Workload

__all__ = ["LIMITS", "Ask", "OpenPolicy", "policies_of"]

LIMITS = {
    "address_space": 12 * 2**30,
    "cpu_s": 3600,
    "file_size": 64 * 2**20,
    "open_files": 256,
}
"""Of a policy's process: bytes, seconds, bytes of a file that it writes, files open at once."""

WALL_S = 2 * LIMITS["cpu_s"]
"""A policy that sleeps uses no time of the processor."""

KEPT = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "SYSTEMROOT")
KEPT_PREFIXES = ("NUMBA_", "NPY_", "PYTHON", "OPENBLAS_", "MKL_")
"""What of the environment a policy's process keeps: no tokens, no proxies, no home."""


class Ask(Protocol):
    """Asks a policy for its actions."""

    network: str
    """How its process was kept from the network."""

    def __call__(self, moment: Moment) -> npt.NDArray[np.int64]:
        """Return (E,) actions for what is seen and legal."""


OpenPolicy = Callable[[int, Sequence[Workload]], AbstractContextManager[Ask]]
"""Opens the policy of a training seed at the start of episodes, one per workload.

A submitted policy is not told the workloads. They are handed over so that a test can give them to
one that plans with the whole future known, and show that it is found out.
"""


def policies_of(folder: Path, scenario: Scenario, code: str | None = None) -> OpenPolicy:
    """Return how the policies in a submission's folder are opened.

    Args:
        folder: the submission's.
        scenario: what they decide in.
        code: `module:Class` or `file.py:Class` of an agent that is not registered; it runs in the
            policy's process only.
    """
    if code is not None:
        place, _, name = code.rpartition(":")
        code = f"{Path(place).resolve()}:{name}" if place.endswith(".py") else code

    def open_policy(seed: int, workloads: Sequence[Workload]) -> AbstractContextManager[Ask]:
        policy = (folder / "policy" / f"seed-{seed}").resolve()
        return _process(policy, scenario, seed, len(workloads), code)

    return open_policy


@contextmanager
def _process(
    folder: Path, scenario: Scenario, seed: int, rows: int, code: str | None
) -> Iterator[Ask]:
    order = {
        "folder": str(folder),
        "scenario": scenario.model_dump_json(),
        "seed": seed,
        "rows": rows,
        "observed": ObservationLayout(scenario).size,
        "actions": scenario.num_actions,
        "code": code,
        "limits": LIMITS,
    }
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryFile() as noise:
        process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("policy_process.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=noise,
            cwd=home,
            env=_environment(os.environ, home),
            start_new_session=True,
        )
        clock = threading.Timer(WALL_S, process.kill)
        clock.daemon = True
        clock.start()
        try:
            yield _Asking(process, order, noise)
        finally:
            clock.cancel()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # and what it has started
            with suppress(OSError):  # what was still to be sent
                process.communicate()


def _environment(whole: Mapping[str, str], home: str) -> dict[str, str]:
    kept = {k: v for k, v in whole.items() if k in KEPT or k.startswith(KEPT_PREFIXES)}
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    return kept | dict.fromkeys(threads, "1") | {"HOME": home, "TMPDIR": home}


class _Asking:
    """The verifier's end of the pipe."""

    def __init__(self, process: subprocess.Popen[bytes], order: object, noise: IO[bytes]) -> None:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("a policy needs pipes for its input and output")
        self._process, self._noise = process, noise
        self._to, self._from = process.stdin, process.stdout
        self._send(json.dumps(order).encode() + b"\n")
        line = self._from.readline(2000)
        if not line.endswith(b"\n"):
            raise SubmissionError(self._death())
        said = json.loads(line)
        if "error" in said:
            raise SubmissionError(f"the policy cannot be loaded: {said['error']}")
        self.network: str = said["network"]

    def __call__(self, moment: Moment) -> npt.NDArray[np.int64]:
        observation = moment.observation.astype("<f4", copy=False).tobytes()
        self._send(observation + moment.mask.astype(np.int8, copy=False).tobytes())
        size = 8 * len(moment.going)
        status = self._from.read(1)
        if status == b"\1":
            reason = self._from.readline(2000).decode("utf-8", "replace").strip()
            raise SubmissionError(f"decision {moment.number}: the policy failed: {reason}")
        content = self._from.read(size) if status else b""
        if len(content) != size:
            raise SubmissionError(f"decision {moment.number}: {self._death()}")
        return np.frombuffer(content, "<i8").astype(np.int64)

    def _send(self, content: bytes) -> None:
        with suppress(BrokenPipeError):  # its end is found when it does not answer
            self._to.write(content)
            self._to.flush()

    def _death(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=10)
        status = self._process.poll()
        self._noise.seek(0)
        last = self._noise.read()[-2000:].decode("utf-8", "replace").strip().rpartition("\n")[2]
        return f"the policy's process ended (status {status}; limits {LIMITS}): {last[:200]}"
