"""Bid-price control: capacity has a price, and each task goes where it leaves the most after it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl.agents.heuristics.basic import Actions, Heuristic
from edge_marl.agents.heuristics.view import View, best_action
from edge_marl.agents.registry import register
from edge_marl.bound import has_bound, upper_bound
from edge_marl.draw import draw_workload
from edge_marl.errors import AgentError
from edge_marl.kernel.world import ARRIVAL
from edge_marl.scenario import Scenario
from edge_marl.workload import Workload

__all__ = ["BidPrice"]

WORKLOADS = 4
"""Training workloads, seeds 0 and up, that the prices are the mean over."""

Prices = npt.NDArray[np.float64]


@register("bid-price")
class BidPrice(Heuristic):
    """The largest value less price x demand x time held, among the places that fit.

    The price is what a denoising step of capacity is worth for a millisecond: the duals of the
    bound's linear program, averaged over the time of training workloads. Where the servers are
    always the same (base model), each has its own price; where every episode draws new ones, there
    is one for all, the mean over their capacity, and none for the cloud. A task is never refused:
    that costs more than any price. Talluri and van Ryzin, "An analysis of bid-price controls for
    network revenue management", Management Science 44 (1998).

    The linear programs are solved at the first `reset`: seconds, minutes for thousands of servers.

    Raises (from `reset` on):
        AgentError: if there is no bound for the scenario, and so no prices.
    """

    @property
    def settings(self) -> dict[str, Any]:
        """How many training workloads the prices are from."""
        return {"workloads": WORKLOADS}

    def reset(self, seed: int) -> None:
        """Nothing is kept between decisions but the prices."""
        if not has_bound(self.scenario):
            raise AgentError(
                f"agent 'bid-price': scenario '{self.scenario.label}' has no bound to take prices "
                "from (overload.refund is off); leave the agent out, or set overload.refund = true"
            )
        self._prices = learn_prices(self.scenario)

    def choose(self, view: View) -> Actions:
        """Return one action per row."""
        price = np.where(view.cloud, 0.0, self._prices[:, None])
        cost = price * view.demand[:, None, None] * view.until_end_ms
        return best_action(view.candidates, view.value - cost)


@lru_cache(maxsize=16)
def learn_prices(scenario: Scenario) -> Prices:
    """Return prices per denoising step and ms of each neighbour, (N,), from training workloads."""
    workloads = [draw_workload(scenario, k, split="train") for k in range(WORKLOADS)]
    prices = [_mean_prices(scenario, workload) for workload in workloads]
    if scenario.extended:
        edge = slice(scenario.servers.count)
        means = [
            np.average(price[edge], weights=workload.topology.capacity[edge])
            for price, workload in zip(prices, workloads, strict=True)
        ]
        return np.full(scenario.num_neighbours, np.mean(means))
    return np.asarray(np.mean(prices, axis=0))


def _mean_prices(scenario: Scenario, workload: Workload) -> Prices:
    """Return each server's price of a denoising step for a ms, mean over time, (S,)."""
    bound = upper_bound(scenario, workload)
    if bound.edges is not None:
        return np.average(bound.prices, axis=0, weights=np.diff(bound.edges))
    arrivals = workload.tasks[:, ARRIVAL]
    mean: Prices = bound.prices.sum(axis=0) / max(1, int(arrivals[-1] - arrivals[0]))
    return mean
