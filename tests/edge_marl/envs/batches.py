"""Runs of a batch, for the tests of several APIs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["run_batch"]


def run_batch(env: Any, **reset: Any) -> Iterator[Any]:
    """What 100 steps of a vector environment or of rows return: more than an episode."""
    rng = np.random.default_rng(0)
    yield env.reset(**reset)
    shape = (env.num_envs, env.num_gateways) if hasattr(env, "num_gateways") else env.num_envs
    for _ in range(100):
        yield env.step(rng.integers(env.single_action_space.n, size=shape))
        if hasattr(env, "state"):
            yield env.state()
