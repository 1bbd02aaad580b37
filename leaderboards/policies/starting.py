"""Starting a policy's process, in a sandbox of its own."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from edge_marl.leaderboards.policies.sandbox import LIMITS, Command, command_of
from edge_marl.leaderboards.submission.ledger import Sandbox

__all__ = ["Start", "Started", "launched", "pipes_of", "starting_alone"]


@dataclass(frozen=True)
class Started:
    """A policy's process."""

    to: int
    """File descriptor of its standard input."""
    back: int
    """Of its standard output."""
    pid: int
    """Of what was started: the process itself, or bubblewrap, whose only child it is."""
    facts: Mapping[str, object]
    """What its order says of where it runs."""
    death: Callable[[], str]
    """Says how it ended, for people."""


Start = Callable[[Path, Mapping[str, object], IO[bytes]], AbstractContextManager[Started]]
"""Starts the process of a policy in a folder, which is going to get an order, and prints to a file;
the process is ended at the end."""


def starting_alone(sandbox: Sandbox, code: str | None) -> Start:
    """Return how each policy's process is started in a sandbox of its own.

    Args:
        sandbox: which.
        code: `file.py:Class` of an agent that is not registered.
    """

    @contextmanager
    def start(policy: Path, order: Mapping[str, object], noise: IO[bytes]) -> Iterator[Started]:
        with command_of(sandbox, policy, code) as command, launched(command, noise) as process:
            facts = {"folder": command.folder, "code": command.code}
            yield Started(*pipes_of(process), process.pid, facts, lambda: _death(process))

    return start


@contextmanager
def launched(command: Command, noise: IO[bytes], *more: int) -> Iterator[subprocess.Popen[bytes]]:
    """Launch a command, and end it and all that it has started at the end.

    Args:
        command: what.
        noise: file that it prints to.
        more: file descriptors that it is given besides.
    """
    process = subprocess.Popen(
        command.argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=noise,
        cwd="/",
        env=command.env,
        pass_fds=(*command.pass_fds, *more),
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def pipes_of(process: subprocess.Popen[bytes]) -> tuple[int, int]:
    """Return the file descriptors of a launched process's input and output."""
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("a policy needs pipes for its input and output")
    return process.stdin.fileno(), process.stdout.fileno()


def _death(process: subprocess.Popen[bytes]) -> str:
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=10)
    return f"the policy's process ended (status {process.poll()}; limits {LIMITS})"
