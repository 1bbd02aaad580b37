"""What each front end adds to a request: direct calls and calls through all of them, in one run.

    python -m edge_marl.benchmarks.measure.serving_overhead --requests 500 --at-once 1 --at-once 4

Three dummy backends that answer at once run in one process, each gateway (`edge-marl serve` with
`crash-avoid`), Envoy, and each replica of Ray's in one of its own, and the client in another.
Batches of each kind take turns, so that all see the same machine. Direct calls go to the backends
in turn.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import numpy as np
import typer

from edge_marl.benchmarks.measure.serving_fronts import FRONTS, Way, Ways
from edge_marl.console import print_rows, problems, run_command
from edge_marl.errors import ServingError

__all__ = ["measure"]

BATCHES = 5
"""Of each kind, one after the other in turn."""
WARM_UP = 50
"""Requests of each kind that are not timed."""
BODY = {"type": 1, "demand": 20}

Call = Callable[[int], Awaitable[None]]
"""Sends the request of that number, and waits for its answer."""


def _caller(session: aiohttp.ClientSession, way: Way) -> Call:
    """Return how a request is sent by a way."""

    async def by_url(k: int) -> None:
        async with session.post(f"{urls[k % len(urls)]}/v1/tasks", json=BODY) as answer:
            await answer.read()
            answer.raise_for_status()

    async def by_handle(k: int) -> None:
        await handle.remote(dict(BODY))

    if isinstance(way, list):
        urls: list[str] = way
        return by_url
    handle: Any = way
    return by_handle


async def _batch(call: Call, count: int, at_once: int) -> list[float]:
    """Return how long requests took, in seconds."""
    numbers, times = iter(range(count)), []

    async def one_after_the_other() -> None:
        for k in numbers:
            began = time.perf_counter()
            await call(k)
            times.append(time.perf_counter() - began)

    await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))
    return times


async def measure(ways: Ways, requests: int, at_once: int) -> dict[str, list[float]]:
    """Return how long requests took by each way, in seconds.

    Args:
        ways: to send a request by.
        requests: of each kind.
        at_once: how many are under way at a time.
    """
    times: dict[str, list[float]] = {name: [] for name in ways}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        calls = {name: _caller(session, way) for name, way in ways.items()}
        for call in calls.values():
            await _batch(call, WARM_UP, at_once)
        for _ in range(BATCHES):
            for name, call in calls.items():
                times[name] += await _batch(call, -(-requests // BATCHES), at_once)
    return times


def main(
    requests: Annotated[int, typer.Option(min=1, help="Of each kind and concurrency.")] = 1000,
    at_once: Annotated[list[int] | None, typer.Option(min=1, help="Requests under way.")] = None,
) -> None:
    """Print p50 and p99 of direct calls and of calls through each front end that is installed."""
    rows = [("at once", "calls", "p50 (ms)", "p99 (ms)")]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ways: dict[str, Way] = {}
        for front in FRONTS:
            try:
                ways |= stack.enter_context(front(folder))
            except ServingError as missing:
                problems().print(f"{front.__name__}: not measured: {missing}", markup=False)
        for count in at_once or [1, 4, 32]:
            for name, times in asyncio.run(measure(ways, requests, count)).items():
                p50, p99 = 1000 * np.percentile(times, [50, 99])
                rows.append((f"{count}", name, f"{p50:.2f}", f"{p99:.2f}"))
    print_rows(rows)


if __name__ == "__main__":
    run_command(main)
