"""Steps of one environment, and of a range of rows."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from edge_marl.kernel.clock import live_on, show_next
from edge_marl.kernel.decision import dispatch
from edge_marl.kernel.observe import observe
from edge_marl.kernel.world import (
    DONE,
    EXTENDED,
    GOING_ON,
    NUM_GATEWAYS,
    NUM_SERVICES,
    SERVER_FEATURES,
    SHOWN,
    Floats,
    Ints,
    World,
)

LOOK_AHEAD = 4  # environments, in `step_rows`


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


def step_rows(w: World, first: int, stop: int, actions: Ints, step_rewards: Floats) -> None:
    """One decision of environments first..stop-1; one that has ended stays as it is and gets 0."""
    for e in range(first, stop):
        ahead = min(e + LOOK_AHEAD, stop - 1)
        prefetch(w, ahead, actions[ahead] // w.spec[NUM_SERVICES])
        step_rewards[e] = 0.0
        if w.episode[e, DONE] == GOING_ON:
            step_rewards[e] = step(w, e, actions[e])
