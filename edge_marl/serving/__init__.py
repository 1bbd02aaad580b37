"""A policy in front of real model servers: what `edge-marl serve` and `edge-marl backend` run."""

from importlib.util import find_spec

from edge_marl.errors import ServingError

__all__ = ["check_installed"]


def check_installed() -> None:
    """Raise ServingError unless the library for HTTP is there, which is an extra."""
    if find_spec("aiohttp") is None:
        raise ServingError("aiohttp is not installed: pip install 'edge-marl[serve]'")
