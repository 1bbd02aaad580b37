"""Real model servers on this machine, each a process of `edge-marl backend`."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp

from edge_marl.errors import ServingError

__all__ = ["Death", "Testbed"]

START_S = 120.0
"""For a server to start, on a machine that has much to do."""
IDLE_S = 0.05
"""Between two questions whether all servers are idle."""


@dataclass
class Death:
    """A server that died."""

    server: int
    at_s: float
    """By the event loop's clock."""
    down_s: float | None = None
    """Until it was ready again; None: it is not yet."""


class Testbed:
    """Runs model servers while it is entered (`async with`).

    Args:
        capacity: denoising steps that each has memory for.
        line: tasks that may wait at each; 0 is that memory decides.
        tiles: digits on a sheet.
    """

    def __init__(self, capacity: Sequence[int], line: int, tiles: int) -> None:
        self._capacity, self._line, self._tiles = capacity, line, tiles
        self._readers: list[asyncio.Task[None]] = []
        self._processes: list[Process] = []
        self._up = [asyncio.Event() for _ in capacity]
        self.addresses = [""] * len(capacity)
        self.deaths: list[Death] = []

    async def __aenter__(self) -> Self:
        """Start all servers.

        Raises:
            ServingError: one does not start.
        """
        try:
            for server, capacity in enumerate(self._capacity):
                process = await self._start(capacity)
                self._processes.append(process)
                self._readers.append(asyncio.create_task(self._read(server, process)))
            await self.all_up()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop all servers."""
        await self._stop()

    async def all_up(self) -> None:
        """Wait until every server is up.

        Raises:
            ServingError: that takes too long, or one has ended for good.
        """
        ready = asyncio.gather(*(event.wait() for event in self._up))
        ended = [asyncio.create_task(process.wait()) for process in self._processes]
        either: list[asyncio.Future[Any]] = [ready, *ended]
        try:
            done, _ = await asyncio.wait(
                either, timeout=START_S, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for one in either:
                one.cancel()
        if ready not in done:
            how = "has ended" if done else f"is not up within {START_S:g} s"
            raise ServingError(f"a model server {how}: run `edge-marl backend` to see what it says")

    async def idle(self) -> None:
        """Wait until every server is up and has nothing to do."""
        async with aiohttp.ClientSession() as session:
            while True:
                await self.all_up()
                try:
                    busy = [await _tasks_of(session, address) for address in self.addresses]
                except aiohttp.ClientError:  # it has just died
                    await asyncio.sleep(IDLE_S)
                    continue
                if not any(busy):
                    return
                await asyncio.sleep(IDLE_S)

    async def _start(self, capacity: int) -> Process:
        told = {"port": 0, "capacity": capacity, "line": self._line, "tiles": self._tiles}
        options = [part for name, value in told.items() for part in (f"--{name}", f"{value}")]
        command = (sys.executable, "-m", "edge_marl", "backend", *options)
        return await asyncio.create_subprocess_exec(*command, stdout=PIPE)

    async def _read(self, server: int, process: Process) -> None:
        """Note what the supervisor of a server says: that it is ready, or that it died."""
        assert process.stdout
        clock = asyncio.get_running_loop().time
        async for line in process.stdout:
            text = line.decode()
            if text.startswith("ready on "):
                self.addresses[server] = text.split()[2].rstrip(",")
                for death in self.deaths:
                    if death.server == server and death.down_s is None:
                        death.down_s = clock() - death.at_s
                self._up[server].set()
            else:
                self._up[server].clear()
                self.deaths.append(Death(server, clock()))

    async def _stop(self) -> None:
        for process in self._processes:
            if process.returncode is None:
                process.terminate()
        for process in self._processes:
            await process.wait()
        await asyncio.gather(*self._readers)


async def _tasks_of(session: aiohttp.ClientSession, address: str) -> int:
    async with session.get(f"{address}/report") as answer:
        return len((await answer.json())["tasks"])
