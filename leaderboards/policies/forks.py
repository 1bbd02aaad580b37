"""Forking policies' processes from one that has imported what they need.

To import a learning library takes longer than to decide, and a game has a process for each gateway
of each run. So policies of the package's own agents are forked from a process that has loaded one
of them, in one sandbox: each is a process of its own, alone with what it is shown. Another's code
gets a sandbox of its own each time (`starting.py`).
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from edge_marl.leaderboards.policies.asking import START_S, Asking, PolicyError
from edge_marl.leaderboards.policies.no_processes import no_processes
from edge_marl.leaderboards.policies.sandbox import LIMITS, command_of
from edge_marl.leaderboards.policies.starting import Started, launched, pipes_of
from edge_marl.leaderboards.submission.ledger import Sandbox

__all__ = ["Forks"]

CREDENTIALS = struct.Struct("3i")
"""Process, user and group of who has sent a message, as the kernel says (unix(7))."""


class Forks:
    """Starts policies' processes by forks of one, which is started with the first.

    It ends with this object, and so do they.

    Args:
        policies: folder of the policies' folders; it alone of the submission is there inside.
        sandbox: where they run.
        over: is set when no policy shall be waited for any more.
    """

    def __init__(self, policies: Path, sandbox: Sandbox, over: threading.Event) -> None:
        self._policies, self._sandbox, self._over = policies.resolve(), sandbox, over
        self._control: socket.socket | None = None
        self._inside = ""
        self._one_at_a_time = threading.Lock()
        self._opened = ExitStack()
        weakref.finalize(self, self._opened.close)

    @contextmanager
    def start(
        self, policy: Path, order: Mapping[str, object], noise: IO[bytes]
    ) -> Iterator[Started]:
        """Start the process of a policy (`starting.Start`)."""
        with ExitStack() as pipes:
            (asked, to), (back, answers) = os.pipe(), os.pipe()
            for pipe in (to, back):
                pipes.callback(os.close, pipe)
            try:
                with self._one_at_a_time:
                    pid = self._fork(policy, order, noise, asked, answers)
            finally:
                os.close(asked)
                os.close(answers)
            try:
                yield Started(to, back, pid, self._facts(policy), _death)
            finally:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)  # its number stays its own: nobody waits for it

    def _facts(self, policy: Path) -> dict[str, object]:
        lock = no_processes().hex() if self._sandbox == "bwrap" else None
        return {"folder": f"{self._inside}/{policy.name}", "code": None, "filter": lock}

    def _fork(
        self, policy: Path, order: Mapping[str, object], noise: IO[bytes], *pipes: int
    ) -> int:
        """Have a process forked that has these pipes; return its number."""
        if self._control is None:
            self._control = self._begin(policy, order, noise)
        try:
            socket.send_fds(self._control, [b"f"], [*pipes, noise.fileno()])
            said, more, *_ = self._control.recvmsg(1, socket.CMSG_SPACE(CREDENTIALS.size))
        except OSError as error:
            raise PolicyError(f"when it was started: {error}") from None
        if not said:
            raise PolicyError(f"when it was started: {_death()}")
        pid: int = CREDENTIALS.unpack(more[0][2])[0]
        return pid

    def _begin(self, policy: Path, order: Mapping[str, object], noise: IO[bytes]) -> socket.socket:
        """Start the process that the others are forked from, and have it load a policy."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._opened.enter_context(ours)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        ours.settimeout(START_S)
        with theirs:
            may_fork = command_of(self._sandbox, self._policies, None, may_fork=True)
            command = self._opened.enter_context(may_fork)
            control = theirs.fileno()
            process = self._opened.enter_context(launched(command, noise, control))
        self._inside = command.folder
        own = {"filter": None, "forks": control, "give_up_network": False}  # forks give up theirs
        facts = self._facts(policy) | own
        Asking(Started(*pipes_of(process), process.pid, facts, _death), order, self._over)
        return ours


def _death() -> str:
    return f"the policy's process ended (limits {LIMITS})"
