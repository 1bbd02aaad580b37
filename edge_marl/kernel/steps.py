"""A step of one environment, and what it needs of memory."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from edge_marl.kernel.clock import live_on, show_next
from edge_marl.kernel.decision import dispatch
from edge_marl.kernel.observe import observe
from edge_marl.kernel.world import (
    EXTENDED,
    NUM_GATEWAYS,
    SERVER_FEATURES,
    SHOWN,
    World,
)


def fetch_line(array: npt.NDArray[Any], index: tuple[int, ...]) -> None:
    """Ask for the memory at an index ahead of its use: nothing here, `compiled.py` has its own."""


def step(w: World, e: int, action: int) -> float:
    """One decision of environment e, in place; return the reward."""
    total = w.spec[NUM_GATEWAYS]
    extended = w.spec[EXTENDED] == 1
    if extended:
        w.owed[e, total] = 0.0
    k = w.episode[e, SHOWN]
    reward = dispatch(w, e, k, action)
    w.rewards[e, k] = reward
    if extended:
        live_on(w, e)
        reward += w.owed[e, total]
    else:
        show_next(w, e)
    observe(w, e)
    return reward


def prefetch(w: World, e: int, server: int) -> None:
    """Ask for the memory that a step of environment e will touch; changes nothing."""
    k = w.episode[e, SHOWN]
    fetch_line(w.tasks, (e, k, 0))
    fetch_line(w.tasks, (e, k + 1, 0))
    fetch_line(w.rewards, (e, k))
    fetch_line(w.servers, (e, 0, 0))
    fetch_line(w.servers, (e, server, 0))
    fetch_line(w.running, (e, server, 0, 0))
    fetch_line(w.ends, (e, server, 0))
    fetch_line(w.soonest, (e, 0))
    fetch_line(w.soonest, (e, (w.soonest.shape[1] >> 1) + server))
    fetch_line(w.observations, (e, 0))
    fetch_line(w.observations, (e, SERVER_FEATURES * server))
