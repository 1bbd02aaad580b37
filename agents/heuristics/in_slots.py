"""Heuristics made for slots: gateways that decide at once, each alone, keep out of the others' way.

To both a place is worth what `bid-price` says it leaves, less the queue x work of `max-weight`:
what capacity costs on average, and what it costs there now. Besides, in slots they keep room for
one task more, of the mean size: another gateway that comes to the same server in the slot then
overloads nothing. Which of several good places a gateway takes is settled without a word: by an
order of its own (`hashed`), or by its number (`staggered`).
"""

from __future__ import annotations

import hashlib
import math
from abc import abstractmethod
from typing import Any

import numpy as np

from edge_marl.agents.heuristics.basic import Ranking
from edge_marl.agents.heuristics.bid_price import BidPrice
from edge_marl.agents.heuristics.queueing import outstanding_share, pressure
from edge_marl.agents.heuristics.view import Bools, View, best_action, first_that_has_any
from edge_marl.agents.registry import register
from edge_marl.kernel.world import Floats, Ints
from edge_marl.scenario import Scenario

__all__ = ["Hashed", "InSlots", "Staggered"]

OWN_ORDER = 0.2
"""Utility that the first server of a gateway's own order is worth more than its last: of 0, 0.05,
0.1, 0.2 and 0.3 about the best on validation workloads of `paper-game` and `campus-game`."""


class InSlots(BidPrice):
    """What both have in common.

    Raises (from `reset` on):
        AgentError: if there is no bound for the scenario, and so no prices.
    """

    choose = Ranking.choose  # and not of `bid-price`, which says no for a price

    def rank(self, view: View) -> tuple[Bools, Floats]:
        """Return which places a gateway would take, and what each is worth, (B, N, V) both."""
        allowed = view.candidates
        if self._known.rivals > 0:
            allowed = first_that_has_any(view.safe & self._leaves_room(view), allowed)
        return self.prefer(view, allowed, self.left_of(view))

    @abstractmethod
    def prefer(self, view: View, allowed: Bools, left: Floats) -> tuple[Bools, Floats]:
        """Return what `rank` does, given places that are allowed and what each leaves."""

    def _leaves_room(self, view: View) -> Bools:
        """(B, N, V) places with room for another task after this one."""
        if self._known.max_waiting:
            room = (view.waiting + 1 < self._known.max_waiting)[..., None]
        else:
            room = view.steps + self._known.mean_steps <= view.free[..., None]
        return np.asarray(room | view.cloud)


@register("hashed")
class Hashed(InSlots):
    """Each gateway prefers servers in a fixed order of its own: coordination without talk.

    The order is by a hash of the gateway's number and of the server's among those that it sees, as
    in rendezvous hashing, which spreads keys over servers without an agreement: Thaler and
    Ravishankar, "Using name-based mappings to increase hit rates", IEEE/ACM Trans. Networking 6
    (1998). It settles between places that are about as good: the first server of the order is worth
    0.2 of utility more than the last.
    """

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        gateways, servers = scenario.gateways.count, scenario.num_neighbours
        order = [[_share_of(g, n) for n in range(servers)] for g in range(gateways)]
        self._bonus = OWN_ORDER * np.array(order)

    @property
    def settings(self) -> dict[str, Any]:
        """Those of the prices, and what the own order is worth."""
        return super().settings | {"own_order": OWN_ORDER}

    def prefer(self, view: View, allowed: Bools, left: Floats) -> tuple[Bools, Floats]:
        """Return the places, and their worth with what the gateway's own order adds."""
        worth = left - pressure(view, allowed, outstanding_share(view))
        return allowed, worth + self._bonus[view.gateway][..., None]


def _share_of(gateway: int, server: int) -> float:
    """Return the number in [0, 1) that a pair is hashed to."""
    digest = hashlib.sha256(f"edge-marl gateway {gateway} server {server}".encode()).digest()
    return (int.from_bytes(digest[:8]) >> 11) * 2.0**-53


@register("staggered")
class Staggered(InSlots):
    """Decides as if a few others with a task like its own had chosen before it.

    With n others to be expected in the slot, gateway g lets g mod (n + 1) go first: each takes what
    is best then, and its steps are gone, and weigh in the queue. So gateways that see the same take
    different places, and share one that is still the best for a second task. It is the cycle of
    time-division access to a shared channel, with servers for time: Rom and Sidi, "Multiple access
    protocols" (1990).
    """

    def prefer(self, view: View, allowed: Bools, left: Floats) -> tuple[Bools, Floats]:
        """Return the places that are open when it is the gateway's turn, and their worth then."""
        first = view.gateway % (1 + math.ceil(self._known.rivals))
        rows, queue = np.arange(view.rows), outstanding_share(view)
        taken = np.zeros(view.free.shape, dtype=np.int64)
        found = open_still, worth = self._after(view, allowed, left, queue, taken)
        for turn in range(int(first.max(initial=0))):
            server = best_action(open_still, worth) // view.legal.shape[2]
            taken[rows, server] += np.where(turn < first, view.demand, 0)
            open_still, worth = self._after(view, allowed, left, queue, taken)
            later = (turn < first)[:, None, None]
            found = np.where(later, open_still, found[0]), np.where(later, worth, found[1])
        return found

    def _after(
        self, view: View, allowed: Bools, left: Floats, queue: Floats, taken: Ints
    ) -> tuple[Bools, Floats]:
        """Return the same where servers have lost some steps, (B, N)."""
        open_still = allowed
        if not self._known.max_waiting:
            room = view.steps <= (view.free - taken)[..., None]
            open_still = first_that_has_any(allowed & (room | view.cloud), allowed)
        queue = queue + taken / np.maximum(view.capacity, 1)
        return open_still, left - pressure(view, open_still, queue)
