"""`adp`: bid-price control by a value function of the load: approximate dynamic programming.

What a state is worth is less the more of the capacity is in use. The value function is a sum over
servers of the edge. Where u is the part of a server in use, v that of all servers that are seen, C
its capacity, p its price (`bid-price`) and T the time that it is held, one of them costs

    T C p (a u + b (u^2 - u) / 2 + c (v - 1/2) u).

A task that is sent there takes u further by d / C, so its denoising steps have a price each of

    p (a + b (u - 1/2) + c (v - 1/2)),

u in the middle of the way. With a = 1 and b = c = 0 it is `bid-price`. Besides, a model that is not
in memory costs e, for what its loading throws out; and where the servers are always the same (base
model) each has a price of its own: f of the mean price more, or less. A few numbers, each of which
says something: prices that rise where a server is full (b) keep room on every server, those that
rise where all are (c) keep good places for the tasks that pay for them.

Where gateways decide at once (in slots) others may come to the same server, and one that has little
room left then fails: a place costs g_0, g_1 or g_2 where it leaves room for no other task, one or
two of the mean size, in between what a straight line says, and nothing where it leaves room for
three. Where servers have lines, what is missing counts as no room.

Value functions that are separable and simple in the resources: Powell, "Approximate dynamic
programming" (2nd edition, 2011), chapter 13; Adelman, "Dynamic bid prices in revenue management",
Operations Research 55 (2007).
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from edge_marl.agents.checkpoint import read_checkpoint, write_checkpoint
from edge_marl.agents.heuristics.bid_price import BidPrice
from edge_marl.agents.heuristics.queueing import outstanding_share
from edge_marl.agents.heuristics.view import View
from edge_marl.agents.planning.settings import AdpConfig
from edge_marl.errors import AgentError
from edge_marl.kernel.world import Floats
from edge_marl.scenario import Scenario

__all__ = ["AdpAgent", "first_weights", "scales"]

LEVEL, OWN, AROUND, COLD = range(4)
"""Weights a, b, c, e; those of the servers, f, and of room for others, g, follow."""
NUM_SHARED = 4
NUM_ROOMS = 3
"""Rooms for others that cost something: for none, one, two."""
FIRST_ROOMS = (0.3, 0.2, 0.1)
"""Where a fit of what they cost begins, in utility."""


def first_weights(scenario: Scenario) -> Floats:
    """Return where a fit begins, (K,): the weights of `bid-price`, and of room for others."""
    servers = 0 if scenario.extended else scenario.num_neighbours
    weights = np.zeros(NUM_SHARED + servers + _num_rooms(scenario))
    weights[LEVEL] = 1.0
    if _num_rooms(scenario):
        weights[-NUM_ROOMS:] = FIRST_ROOMS
    return weights


def _num_rooms(scenario: Scenario) -> int:
    at_once = scenario.clock.slot_s > 0 and scenario.gateways.count > 1
    return NUM_ROOMS if at_once else 0


def scales(scenario: Scenario) -> Floats:
    """Return how far each weight may be expected to move, (K,); 0: it has nothing to weigh."""
    scale = np.ones(len(first_weights(scenario)))
    # A cold model costs utility, and not a multiple of a price: a tenth of a task's at the most.
    scale[COLD] = 0.1 if scenario.residency else 0.0
    scale[len(scale) - _num_rooms(scenario) :] = 0.3  # likewise: a part of what a crash costs
    return scale


class AdpAgent(BidPrice):
    """Takes what is worth the most with what it leaves of the value of the state.

    Args:
        scenario: the world.
        config: settings that it was fitted with.
        weights: (K,), or (B, K) for rows with weights of their own.
    """

    name = "adp"

    def __init__(self, scenario: Scenario, config: AdpConfig, weights: Floats) -> None:
        super().__init__(scenario)
        self.config = config
        self.weights = np.atleast_2d(weights)
        self.reset(0)

    @property
    def settings(self) -> dict[str, Any]:
        """Settings that the agent was fitted with."""
        return asdict(self.config)

    def left_of(self, view: View) -> Floats:
        """Return what each place leaves of its value after its cost to those to come, (B, N, V)."""
        load = outstanding_share(view)[..., None]
        load = load + 0.5 * view.steps / np.maximum(view.capacity, 1)[..., None]
        price = self._price(load, _load_around(view))
        cold = self._of_rows(COLD) * ~view.warm
        cost = price * view.steps * (view.until_end_ms - view.wait_ms) + cold
        cost = cost + self._of_room(view)
        left: Floats = view.value - np.where(view.cloud, 0.0, cost)
        return left

    def _price(self, own: Floats, around: Floats) -> Floats:
        """Return the price of a denoising step for a millisecond, (B, N, V).

        Args:
            own: (B, N, V) part of each server in use.
            around: (B, 1, 1) part of all servers in use.
        """
        prices = self._prices[:, None]
        mean = self._prices[~self._known.cloud].mean()
        if not self.scenario.extended:
            own_prices = self.weights[:, NUM_SHARED : NUM_SHARED + self.scenario.num_neighbours]
            prices = prices + mean * own_prices[..., None]
        price: Floats = prices * (
            self._of_rows(LEVEL)
            + self._of_rows(OWN) * (own - 0.5)
            + self._of_rows(AROUND) * (around - 0.5)
        )
        return price

    def _of_room(self, view: View) -> Floats | float:
        """Return what it costs to leave little room for others, (B, N, V)."""
        rooms = _num_rooms(self.scenario)
        if rooms == 0:
            return 0.0
        left = (view.free[..., None] - view.steps) / self._known.mean_steps
        left = np.maximum(left, 0.0)
        costs = self.weights[:, -rooms:, None, None]
        parts = [
            costs[:, room] * np.maximum(0.0, 1.0 - np.abs(left - room)) for room in range(rooms)
        ]
        cost: Floats = np.add.reduce(parts)
        return cost

    def _of_rows(self, weight: int) -> Floats:
        """Return a weight of each row, (B or 1, 1, 1)."""
        return self.weights[:, weight, None, None]

    def save(self, folder: str | Path) -> None:
        """Write settings and weights."""
        weights: dict[str, npt.NDArray[Any]] = {"value": self.weights[0]}
        write_checkpoint(Path(folder), self.name, self.scenario, self.settings, weights)

    @classmethod
    def load(cls, folder: str | Path, scenario: Scenario, *, transfer: bool = False) -> Self:
        """Return the agent that `save` wrote (see `Agent.load`); prices are the scenario's own."""
        settings, weights = read_checkpoint(Path(folder), cls.name, scenario, transfer)
        try:
            config, value = AdpConfig(**settings), weights["value"]
        except (AgentError, TypeError, KeyError) as error:
            raise AgentError(
                f"{folder}: settings or weights are not those of this version's 'adp' ({error})"
            ) from None
        shape = first_weights(scenario).shape
        if value.shape != shape or value.dtype != np.float64 or not np.isfinite(value).all():
            raise AgentError(
                f"{folder}: value has shape {value.shape} and type {value.dtype}: must be finite "
                f"float64 of shape {shape} for '{scenario.label}'"
            )
        return cls(scenario, config, value)


def _load_around(view: View) -> Floats:
    """(B, 1, 1) part in use of the capacity of all servers of the edge that are seen."""
    edge = ~view.cloud[:, 0]
    size = view.capacity[:, edge].sum(1)
    used = size - view.free[:, edge].sum(1)
    load: Floats = (used / np.maximum(size, 1))[:, None, None]
    return load
