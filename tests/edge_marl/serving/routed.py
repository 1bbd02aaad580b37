"""What a router of Ray Serve is made of in tests: a gateway's file, and an agent's beside it."""

from __future__ import annotations

from pathlib import Path

__all__ = ["write_routed"]

ALWAYS = """
import numpy as np
from edge_marl.agents.base import Agent

class Always(Agent):
    name = "always"
    deterministic = True

    def reset(self, seed):
        pass

    def act(self, observation, info):
        return np.ones(len(observation), dtype=np.int64)
"""


def write_routed(folder: Path) -> None:
    """Write `serve.toml`, of three backends, and `own.py`, whose `Always` takes action 1."""
    (folder / "own.py").write_text(ALWAYS, "utf-8")
    backends = "".join(
        f'[[backends]]\nname = "{name}"\naddress = "http://127.0.0.1:9"\nmodels = ["x", "y"]\n'
        for name in "abc"
    )
    (folder / "serve.toml").write_text(f'scenario = "smoke"\n{backends}', "utf-8")
