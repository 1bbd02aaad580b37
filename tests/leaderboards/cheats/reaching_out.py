"""Policies that reach for what is outside of their process.

Each tries when it starts, and raises `Stopped` where it got nothing. Where it got something it
plays on as any honest agent, so that the check that asks it again lets it pass: what must not
happen. This one file is all that its process has, besides the package.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import edge_marl
from edge_marl.agents import Agent

MARK = "edge-marl-cheat-mark"
"""In the verifier's environment, and in names of files and sockets that tests make."""

PORT = 47811
"""Where the test listens."""


class Stopped(Exception):
    """It got nothing."""


class Reaching(Agent):
    """Tries, and takes the first server all along."""

    deterministic = True

    def reset(self, seed: int) -> None:
        try:
            got = self.reach()
        except (OSError, ValueError, StopIteration) as error:
            raise Stopped(repr(error)) from None
        if not got:
            raise Stopped("nothing there")

    @abstractmethod
    def reach(self) -> bool:
        """Return whether something was got."""

    def act(
        self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        return np.zeros(len(observation), np.int64)


def other_processes() -> Iterator[Path]:
    """Yield the folders in /proc of processes of Python that are not this one."""
    for place in Path("/proc").iterdir():
        own = place.name in (str(os.getpid()), "self", "thread-self")
        if not own and place.name.isdigit() and b"python" in (place / "cmdline").read_bytes():
            yield place


def found_by_name(name: str) -> Path:
    """Return a file that the verifier's user has, by its name."""
    return next(Path("/tmp").glob(f"{MARK}*/{name}"))


class ReadsTheCommandLine(Reaching):
    """L1: looks there for the value of the beacon, or the file of the season."""

    def reach(self) -> bool:
        return any((place / "cmdline").read_bytes() for place in other_processes())


class ReadsTheEnvironment(Reaching):
    """L6: looks there for tokens."""

    def reach(self) -> bool:
        environments = ((place / "environ").read_bytes() for place in other_processes())
        return any(MARK.encode() in environment for environment in environments)


class InheritsTheEnvironment(Reaching):
    """A token that has the prefix of a variable that Python needs (W48)."""

    def reach(self) -> bool:
        return any(MARK in value for value in os.environ.values())


class ReadsTheSecret(Reaching):
    """Reads the secret of a season."""

    def reach(self) -> bool:
        return bool(found_by_name("spring.secret").read_text())


class WritesTheLedger(Reaching):
    """L6: enters itself as held-out."""

    def reach(self) -> bool:
        return found_by_name("digests.json").write_text("{}") > 0


class ReadsOtherSubmissions(Reaching):
    """Reads what others have handed in, such as the log of its own test workloads."""

    def reach(self) -> bool:
        return bool(found_by_name("actions.npz").read_bytes())


class OpensForeignMemory(Reaching):
    """L6: reads and changes what the verifier knows."""

    def reach(self) -> bool:
        (next(other_processes()) / "mem").open("r+b").close()
        return True


class SignalsTheVerifier(Reaching):
    """L6: could stop it, and go on in its place."""

    def reach(self) -> bool:
        os.kill(int(next(other_processes()).name), signal.SIGCONT)
        return True


class EntersItsNamespaces(Reaching):
    """L6: goes back to where there is a network."""

    def reach(self) -> bool:
        import ctypes

        place = next(other_processes()) / "ns" / "net"
        return bool(ctypes.CDLL(None).setns(os.open(place, os.O_RDONLY), 0) == 0)


class MakesNamespaces(Reaching):
    """Becomes root in a namespace of its own, which shows it more of the kernel."""

    def reach(self) -> bool:
        import ctypes

        new_user, new_mount = 0x10000000, 0x20000
        return bool(ctypes.CDLL(None).unshare(new_user | new_mount) == 0)


class BecomesRoot(Reaching):
    """Is somebody who may do more than nobody."""

    def reach(self) -> bool:
        status = Path("/proc/self/status").read_text()
        effective = next(line for line in status.splitlines() if line.startswith("CapEff"))
        return os.getuid() != 65534 or int(effective.split()[1], 16) != 0


class ChangesThePackage(Reaching):
    """L6: writes into what the verifier will import."""

    def reach(self) -> bool:
        place = Path(edge_marl.__file__).with_name(f"{MARK}.py")
        place.write_text("")
        place.unlink()
        return True


class FillsTheDisk(Reaching):
    """L6: 40 files of 64 MiB; here 128 MiB in files of 32, of which the sandbox has half."""

    def reach(self) -> bool:
        for number in range(4):
            Path(tempfile.gettempdir(), str(number)).write_bytes(bytes(32 * 2**20))
        return True


class FillsTheDevices(Reaching):
    """The same, where other temporary file systems are."""

    def reach(self) -> bool:
        for place in ("/dev", "/run", "/var/tmp", "/"):
            try:
                with tempfile.TemporaryFile(dir=place):
                    return True
            except OSError:
                continue
        return False


class Forks(Reaching):
    """L6: 2,000 processes, or a daemon that outlives the verification; one child is enough."""

    def reach(self) -> bool:
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        return True


class StartsAProgram(Reaching):
    """The same by vfork or posix_spawn."""

    def reach(self) -> bool:
        return subprocess.run(["/proc/self/exe", "-c", "pass"], check=False).returncode == 0


class CallsHome(Reaching):
    """Connects to a TCP port of this machine."""

    def reach(self) -> bool:
        socket.create_connection(("127.0.0.1", PORT), timeout=5).close()
        return True


class ConnectsToASocketFile(Reaching):
    """L6: such as that of an agent with keys, or of docker."""

    def reach(self) -> bool:
        place = found_by_name("socket")
        socket.socket(socket.AF_UNIX).connect(str(place))
        return True


class ConnectsToAnAbstractSocket(Reaching):
    """A unix socket that is in no file system but in the network's namespace."""

    def reach(self) -> bool:
        socket.socket(socket.AF_UNIX).connect(f"\0{MARK}")
        return True
