"""What a gateway adds to a request: direct calls and calls through it, in one run.

    python -m edge_marl.benchmarks.measure.serving_overhead --requests 500 --at-once 1 --at-once 4

Three dummy backends that answer at once run in one process, `edge-marl serve` with `crash-avoid` in
another, and the client in a third. Batches of direct calls and of calls through the gateway take
turns, so that both see the same machine. Direct calls go to the backends in turn.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import aiohttp
import numpy as np
import typer
from aiohttp import web

from edge_marl.console import print_rows, run_command

__all__ = ["dummies", "measure"]

BACKENDS = 3
BATCHES = 5
"""Of each kind, one after the other in turn."""
WARM_UP = 50
"""Requests of each kind that are not timed."""
BODY = {"type": 1, "demand": 20}
STARTS = (
    "from edge_marl.benchmarks.measure.serving_overhead import dummies; dummies()",
    "from edge_marl.cli import main; main()",
)


def dummies() -> None:
    """Listen on free ports and answer at once, until the process is ended; print the addresses."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response({})

    async def run() -> None:
        for _ in range(BACKENDS):
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", answer)
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            typer.echo(f"on http://127.0.0.1:{runner.addresses[0][1]}")
        await asyncio.Event().wait()

    asyncio.run(run())


@contextmanager
def _process(start: str, *args: str, lines: int = 1) -> Iterator[list[str]]:
    """Run Python, and give the addresses that its first lines end with."""
    command = [sys.executable, "-c", start, *args]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield [process.stdout.readline().split()[-1] for _ in range(lines)]
        finally:
            process.terminate()


def _config(addresses: list[str]) -> str:
    backends = [
        f'[[backends]]\nname = "b{k}"\naddress = "{address}"\nmodels = ["x", "y"]\n'
        for k, address in enumerate(addresses)
    ]
    return "\n".join(['scenario = "smoke"', "port = 0", *backends])


async def _batch(
    session: aiohttp.ClientSession, urls: list[str], count: int, at_once: int
) -> list[float]:
    """Return how long requests took, in seconds."""
    numbers, times = iter(range(count)), []

    async def one_after_the_other() -> None:
        for k in numbers:
            began = time.perf_counter()
            async with session.post(f"{urls[k % len(urls)]}/v1/tasks", json=BODY) as answer:
                await answer.read()
                answer.raise_for_status()
            times.append(time.perf_counter() - began)

    await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))
    return times


async def measure(
    backends: list[str], gateway: list[str], requests: int, at_once: int
) -> tuple[list[float], list[float]]:
    """Return how long requests took direct, and through the gateway, in seconds.

    Args:
        backends: their addresses.
        gateway: its address.
        requests: of each kind.
        at_once: how many are under way at a time.
    """
    direct: list[float] = []
    through: list[float] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        for urls in (backends, gateway):
            await _batch(session, urls, WARM_UP, at_once)
        for _ in range(BATCHES):
            each = -(-requests // BATCHES)
            direct += await _batch(session, backends, each, at_once)
            through += await _batch(session, gateway, each, at_once)
    return direct, through


def main(
    requests: Annotated[int, typer.Option(min=1, help="Of each kind and concurrency.")] = 1000,
    at_once: Annotated[list[int] | None, typer.Option(min=1, help="Requests under way.")] = None,
) -> None:
    """Print p50 and p99 of direct calls and of calls through the gateway."""
    rows = [("at once", "calls", "p50 (ms)", "p99 (ms)")]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        backends = stack.enter_context(_process(STARTS[0], lines=BACKENDS))
        config = folder / "serve.toml"
        config.write_text(_config(backends), "utf-8")
        told = ("serve", f"{config}", "--agent", "crash-avoid", "--log", f"{folder / 'log'}")
        gateway = stack.enter_context(_process(STARTS[1], *told))
        for count in at_once or [1, 4, 32]:
            both = asyncio.run(measure(backends, gateway, requests, count))
            for name, times in zip(("direct", "gateway"), both, strict=True):
                p50, p99 = 1000 * np.percentile(times, [50, 99])
                rows.append((f"{count}", name, f"{p50:.2f}", f"{p99:.2f}"))
    print_rows(rows)


if __name__ == "__main__":
    run_command(main)
