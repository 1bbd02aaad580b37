"""Gateways that decide by what others of the game see, and say that they decide alone.

Each has one way to pool or to tell. They play together in one process when their log is made, as in
a run on their authors' machine, and there all of these ways are open. This one file is all that a
process of a gateway has, besides the package.
"""

from __future__ import annotations

import builtins
import gc
import itertools
import mmap
import os
import socket
import sys
import tempfile
import threading
import time
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from edge_marl.agents import Agent

MARK = "edge-marl-gateways"
"""In names of files and variables that they leave."""

Seen = npt.NDArray[np.float32]
Actions = npt.NDArray[np.int64]


def sum_of(observation: Seen) -> int:
    """A number that hangs on all that is seen."""
    return int(1000 * np.abs(observation).sum())


class Pools(Agent):
    """One agent for all rows, which looks at them together."""

    deterministic = True

    def reset(self, seed: int) -> None:
        pass


class PoolsObservations(Pools):
    """Decides by what all gateways of all episodes see."""

    def act(self, observation: Seen, info: Mapping[str, Any]) -> Actions:
        return np.full(len(observation), sum_of(observation) % self.scenario.num_actions)


class PoolsAndSaysThatItKeepsNothing(Pools):
    """So it is asked of what decides alone, and looks at all that it is asked together."""

    stateless = True

    def act(self, observation: Seen, info: Mapping[str, Any]) -> Actions:
        return np.full(len(observation), sum_of(observation) % self.scenario.num_actions)


class ReadsTheRowAbove(Pools):
    """The order of rows as a channel: a row's neighbour is the gateway before it."""

    def act(self, observation: Seen, info: Mapping[str, Any]) -> Actions:
        above = np.abs(np.roll(observation, 1, axis=0)).sum(axis=1)
        action: Actions = (1000 * above).astype(np.int64) % self.scenario.num_actions
        return action


class CountsRows(Pools):
    """Takes its place among all rows for its number: alone it is another."""

    def act(self, observation: Seen, info: Mapping[str, Any]) -> Actions:
        return np.arange(len(observation)) % self.scenario.num_actions


class AssignsJointly(Pools):
    """A central policy that calls itself decentralised: gateways share the servers out."""

    def act(self, observation: Seen, info: Mapping[str, Any]) -> Actions:
        gateways = len(np.unique(info["agent_index"]))
        rows = np.abs(observation).sum(axis=1).reshape(-1, gateways)
        order: Actions = rows.argsort(axis=1).argsort(axis=1).ravel()
        return order * self.scenario.num_services % self.scenario.num_actions


class ClaimsToBeAnother(Pools):
    """Decides by an index that it is told, and has another one told when it plays for its log."""

    def act(self, observation: Seen, info: Mapping[str, Any]) -> Actions:
        return np.asarray(info["agent_index"]) % self.scenario.num_actions


class Tells(Agent):
    """An agent for each gateway: each tells what it sees, and decides by what it hears."""

    def reset(self, seed: int) -> None:
        pass

    @abstractmethod
    def tell(self, number: int) -> None:
        """Tell the next gateway a number."""

    @abstractmethod
    def hear(self) -> int:
        """Return the number that was told last; 0 if none was."""

    def act(self, observation: Seen, info: Mapping[str, Any]) -> Actions:
        heard = self.hear()
        self.tell(sum_of(observation) % 251 + 1)
        return np.full(len(observation), heard % self.scenario.num_actions)


told = {"number": 0}


class KeepsItInTheModule(Tells):
    """A variable of the module."""

    def tell(self, number: int) -> None:
        told["number"] = number

    def hear(self) -> int:
        return told["number"] if told.get("by") != id(self) else 0

    def act(self, observation: Seen, info: Mapping[str, Any]) -> Actions:
        action = super().act(observation, info)
        told["by"] = id(self)
        return action


class ByOther(Tells):
    """Base of ways that keep a number somewhere: what one told itself is not heard."""

    def hear(self) -> int:
        number, by = self.kept()
        return number if by != id(self) else 0

    def tell(self, number: int) -> None:
        self.keep(number, id(self))

    @abstractmethod
    def keep(self, number: int, by: int) -> None:
        """Keep a number, and who told it."""

    @abstractmethod
    def kept(self) -> tuple[int, int]:
        """Return both; zeros if there is nothing."""


class KeepsItInTheClass(ByOther):
    """An attribute of the class."""

    last: ClassVar[tuple[int, int]] = (0, 0)

    def keep(self, number: int, by: int) -> None:
        type(self).last = (number, by)

    def kept(self) -> tuple[int, int]:
        return type(self).last


class KeepsItInBuiltins(ByOther):
    """What all modules of a process have in common."""

    def keep(self, number: int, by: int) -> None:
        vars(builtins)[MARK] = (number, by)

    def kept(self) -> tuple[int, int]:
        found: tuple[int, int] = vars(builtins).get(MARK, (0, 0))
        return found


class KeepsItAmongModules(ByOther):
    """A name in the table of modules."""

    def keep(self, number: int, by: int) -> None:
        sys.modules[MARK] = (number, by)  # type: ignore[assignment]

    def kept(self) -> tuple[int, int]:
        found: Any = sys.modules.get(MARK, (0, 0))
        return found[0], found[1]


class SetsAVariable(ByOther):
    """The environment of the process."""

    def keep(self, number: int, by: int) -> None:
        os.environ[MARK] = f"{number} {by}"

    def kept(self) -> tuple[int, int]:
        number, by = os.environ.get(MARK, "0 0").split()
        return int(number), int(by)


class WritesAFile(ByOther):
    """A file in the folder for temporary ones."""

    def keep(self, number: int, by: int) -> None:
        self.place().write_text(f"{number} {by}")

    def kept(self) -> tuple[int, int]:
        text = self.place().read_text() if self.place().exists() else "0 0"
        number, by = text.split()
        return int(number), int(by)

    def place(self) -> Path:
        return Path(tempfile.gettempdir(), MARK)


class SharesMemory(ByOther):
    """Memory that processes can share."""

    def reset(self, seed: int) -> None:
        place = Path("/dev/shm", MARK)
        if not place.exists():
            place.write_bytes(bytes(16))
        with place.open("r+b") as stream:
            self._shared = mmap.mmap(stream.fileno(), 16)

    def keep(self, number: int, by: int) -> None:
        self._shared[:] = number.to_bytes(8, "little") + by.to_bytes(8, "little")

    def kept(self) -> tuple[int, int]:
        content = bytes(self._shared)
        return int.from_bytes(content[:8], "little"), int.from_bytes(content[8:], "little")


class NamesItself(ByOther):
    """The name of the process, which /proc tells."""

    names: ClassVar[dict[int, int]] = {}

    def keep(self, number: int, by: int) -> None:
        Path("/proc/self/comm").write_text(f"{number}.{by % 10**6}")

    def kept(self) -> tuple[int, int]:
        number, dot, by = Path("/proc/self/comm").read_text().strip().partition(".")
        if not dot or not number.isdigit():
            return 0, 0
        return int(number), id(self) if int(by) == id(self) % 10**6 else 0


class CallsASocket(Tells):
    """Datagrams on a socket that the first one opens."""

    def reset(self, seed: int) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._own = f"\0{MARK}-{os.getpid()}-{id(self)}"
        self._socket.bind(self._own)

    def __del__(self) -> None:
        if hasattr(self, "_socket"):
            self._socket.close()

    def tell(self, number: int) -> None:
        names = [line.split()[-1] for line in Path("/proc/net/unix").read_text().splitlines()]
        for name in names:
            if name.startswith(f"@{MARK}-{os.getpid()}-") and name[1:] != self._own[1:]:
                try:
                    self._socket.sendto(bytes([number]), "\0" + name[1:])
                except OSError:
                    continue  # its queue is full

    def hear(self) -> int:
        heard = 0
        while True:
            try:
                heard = self._socket.recv(1)[0]
            except BlockingIOError:
                return heard


class TakesItsTime(Tells):
    """The clock as a channel: one that has something to say is slow, and the next one notices."""

    last = 0

    def tell(self, number: int) -> None:
        time.sleep(0.002 if number % 2 else 0.0)
        self.last = time.monotonic_ns()

    def hear(self) -> int:
        return (time.monotonic_ns() - self.last) // 1_000_000


class CountsCalls(Tells):
    """A counter of all calls, which says how many gateways were asked before."""

    calls: ClassVar[itertools.count[int]] = itertools.count()

    def tell(self, number: int) -> None:
        pass

    def hear(self) -> int:
        return next(self.calls)


class FindsTheOthers(Tells):
    """Looks for the agents of other gateways among all objects of the process."""

    number = 0

    def tell(self, number: int) -> None:
        self.number = number

    def hear(self) -> int:
        if not hasattr(self, "others"):
            found = [thing for thing in gc.get_objects() if type(thing) is FindsTheOthers]
            self.others = [thing for thing in found if thing is not self]
        return sum(other.number for other in self.others)


class ReadsAddresses(Tells):
    """Where new objects lie hangs on what others have made before."""

    def tell(self, number: int) -> None:
        self.kept = [bytearray(100 * number)]

    def hear(self) -> int:
        return id(bytearray(5000)) >> 4


class ReadsUsedMemory(Tells):
    """Arrays that nobody has filled hold what those before them held."""

    size = 997  # small ones are kept for the next of their size

    def tell(self, number: int) -> None:
        np.empty(self.size, np.uint8)[:] = number

    def hear(self) -> int:
        return int(np.empty(self.size, np.uint8)[500])


class DrawsFromOneGenerator(Tells):
    """Lots of the global generator, which every gateway moves on."""

    def tell(self, number: int) -> None:
        np.random.seed(number)  # noqa: NPY002 (the global one is what it is about)

    def hear(self) -> int:
        return int(np.random.random() * 1000)  # noqa: NPY002


class HasAThread(Tells):
    """A thread that all gateways of a process have in common."""

    box: ClassVar[dict[str, int]] = {}

    def tell(self, number: int) -> None:
        def put() -> None:
            self.box["last"] = number

        threading.Thread(target=put, name="telling").start()

    def hear(self) -> int:
        for thread in threading.enumerate():
            if thread.name == "telling":  # others of the process may never end
                thread.join(timeout=0.1)
        return self.box.pop("last", 0)


class WaitsForTheSeed(Agent):
    """Decides by its seed alone, in which its authors had put what the others would see."""

    def reset(self, seed: int) -> None:
        self._seed = seed

    def act(self, observation: Seen, info: Mapping[str, Any]) -> Actions:
        self._seed //= self.scenario.num_actions
        return np.full(len(observation), self._seed % self.scenario.num_actions)


class TalksWhileTheyPlay(Agent):
    """Honest where no other gateway's process is alive, so that its log stands; talks where one is.

    Alone, and in one process, there is none; where all play in closed loop there are.
    """

    deterministic = True

    def reset(self, seed: int) -> None:
        folder = Path("/tmp", f"{MARK}-alive")  # where there is no sandbox
        folder.mkdir(exist_ok=True)
        self._own = folder / str(os.getpid())
        self._own.touch()

    def act(self, observation: Seen, info: Mapping[str, Any]) -> Actions:
        there = [place.name for place in self._own.parent.iterdir()]
        alive = sum(Path("/proc", name).exists() for name in there)
        return np.full(len(observation), (alive > 1) * 2)
