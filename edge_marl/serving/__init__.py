"""A policy in front of real model servers: what `edge-marl serve` and `edge-marl backend` run."""

import asyncio
import signal
from importlib.util import find_spec

from edge_marl.errors import ServingError

__all__ = ["check_installed", "stop_asked"]


def check_installed() -> None:
    """Raise ServingError unless the library for HTTP is there, which is an extra."""
    if find_spec("aiohttp") is None:
        raise ServingError("aiohttp is not installed: pip install 'edge-marl[serve]'")


def stop_asked() -> asyncio.Event:
    """Return what is set when SIGTERM or SIGINT comes to the running event loop."""
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    return stop
