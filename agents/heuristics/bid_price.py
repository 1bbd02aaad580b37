"""Bid-price control: capacity has a price, and each task goes where it leaves the most after it."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_marl.agents.heuristics.basic import Actions, Ranking
from edge_marl.agents.heuristics.prices import WORKLOADS, learn_prices
from edge_marl.agents.heuristics.view import Bools, View, best_action
from edge_marl.agents.registry import register
from edge_marl.bound import has_bound
from edge_marl.errors import AgentError
from edge_marl.kernel.world import Floats

__all__ = ["BidPrice"]


@register("bid-price")
class BidPrice(Ranking):
    """The largest value less price x demand x time held, among the places that fit.

    The price is what a denoising step of capacity is worth for a millisecond: the duals of the
    bound's linear program, averaged over the time of training workloads. Where the servers are
    always the same (base model), each has its own price; where every episode draws new ones, there
    is one for all, the mean over their capacity, and none for the cloud. A task is refused only
    where the scenario has a price for that, and what it leaves is less. Talluri and van Ryzin, "An
    analysis of bid-price controls for network revenue management", Management Science 44 (1998).

    The linear programs of a scenario that is no tier are solved at its first `reset`: seconds,
    minutes for thousands of servers; then its prices are in the cache (`prices.py`).

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
                f"agent '{self.name}': scenario '{self.scenario.label}' has no bound to take "
                "prices from (overload.refund is off); leave the agent out, or set "
                "overload.refund = true"
            )
        self._prices = learn_prices(self.scenario)

    def choose(self, view: View) -> Actions:
        """Return one action per row."""
        allowed, worth = self.rank(view)
        action = best_action(allowed, worth)
        if self.scenario.decline is None:
            return action
        best = np.where(allowed, worth, -np.inf).max((1, 2))
        return view.or_decline(action, best < -self.scenario.decline.price * view.weight[:, 0, 0])

    def rank(self, view: View) -> tuple[Bools, Floats]:
        """Return the places that fit, and what each leaves, (B, N, V) both."""
        return view.candidates, self.left_of(view)

    def left_of(self, view: View) -> Floats:
        """Return what each place leaves of its value after the price of its capacity, (B, N, V)."""
        price = np.where(view.cloud, 0.0, self._prices[:, None])
        left: Floats = view.value - price * view.steps * (view.until_end_ms - view.wait_ms)
        return left
