"""A step of one environment, and what it needs of memory."""

from __future__ import annotations

from edge_marl.kernel.clock import live_on, show_next
from edge_marl.kernel.decision import dispatch
from edge_marl.kernel.observe import observe
from edge_marl.kernel.world import (
    EXTENDED,
    NUM_GATEWAYS,
    SHOWN,
    World,
)


def decide(w: World, e: int, action: int) -> float:
    """One decision of environment e, in place, but for what is seen; return the reward."""
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
    return reward


def step(w: World, e: int, action: int) -> float:
    """One decision of environment e, in place; return the reward."""
    reward = decide(w, e, action)
    observe(w, e)
    return reward
