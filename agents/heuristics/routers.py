"""Classical routers: they choose a server by load, place or chance, and its best service.

The best service is the one that pays most there (`view.View.value`): in the base model it is known
from the topology, as the prophet knows it; in the extended model it is observed. All but
capacity-random look at what fits, as far as the gateway knows; where nothing does they do the least
harm (`View.least_bad`). Those that balance load use the cloud where no server of the edge will do.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge_marl.agents.heuristics.basic import Actions, Heuristic, RandomHeuristic
from edge_marl.agents.heuristics.view import View, best_action, first_that_has_any, pick
from edge_marl.agents.registry import register
from edge_marl.errors import AgentError

__all__ = ["CapacityRandom", "CloudOnly", "Nearest", "PowerOfTwo", "ShortestQueue", "WarmFirst"]


@register("shortest-queue")
class ShortestQueue(Heuristic):
    """The least loaded server with room for the task: that with the largest share of free capacity.

    Of equals the first, which is the nearest. Winston, "Optimality of the shortest line
    discipline", J. Applied Probability 14 (1977); Weber, "On the optimal assignment of customers
    to parallel servers", J. Applied Probability 15 (1978).
    """

    def choose(self, view: View) -> Actions:
        """Return one action per row."""
        allowed = first_that_has_any(view.safe & view.edge, view.candidates)
        return best_of_server(view, allowed, view.free_share)


@register("power-of-two")
class PowerOfTwo(RandomHeuristic):
    """The less loaded of two servers picked at random; the other one where only it has room.

    Where neither has room: the cloud, or without one the least loaded server that has.
    Mitzenmacher, "The power of two choices in randomized load balancing", IEEE Trans. Parallel and
    Distributed Systems 12 (2001).
    """

    def choose(self, view: View) -> Actions:
        """Return one action per row."""
        polled = self._poll(first_that_has_any(view.usable & view.edge, view.usable))
        allowed = first_that_has_any(
            view.safe & polled, view.safe & view.cloud, view.fits & polled, view.candidates
        )
        return best_of_server(view, allowed, view.free_share)

    def _poll(self, possible: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Return the possible actions (B, N, V) on two random servers, or on the only one."""
        rows = np.arange(len(possible))
        picked = np.zeros(possible.shape[:2], dtype=np.bool_)
        for _ in range(2):
            left = possible.any(-1) & ~picked
            picked[rows, pick(left, self.draw(len(rows)))] = True
        return possible & picked[..., None]


@register("capacity-random")
class CapacityRandom(RandomHeuristic):
    """A random server of the edge, with probability in proportion to its capacity.

    A router without state: it looks at no load, and so it crashes servers. Such a router ties the
    greedy policy that is called optimal in the environment of LAD-TS (arXiv 2412.18212), an
    overloaded one.
    """

    heeds_room = False

    def choose(self, view: View) -> Actions:
        """Return one action per row."""
        possible = first_that_has_any(view.usable & view.edge, view.usable)
        weights = np.where(possible.any(-1), view.capacity, 0)
        server = pick(weights, self.draw(view.rows))
        return best_action(possible & view.of_server(server), view.value)


@register("nearest")
class Nearest(Heuristic):
    """The gateway's own server, or where that has no room the next nearest that has.

    Servers are in order of distance; in the base model, which has no places, by their number. The
    usual baseline of work on offloading to edge servers.
    """

    def choose(self, view: View) -> Actions:
        """Return one action per row."""
        return best_of_server(view, view.candidates, -np.arange(view.legal.shape[1]))


@register("warm-first")
class WarmFirst(Heuristic):
    """The best-paying service among models that are resident on a server with room.

    Where no such model is, the best-paying service that fits, a cold one or the cloud's. Where all
    models are resident it is the prophet. After locality-aware request distribution: Pai et al.,
    "Locality-aware request distribution in cluster-based network servers", ASPLOS 1998.
    """

    def choose(self, view: View) -> Actions:
        """Return one action per row."""
        allowed = first_that_has_any(view.safe & view.warm & view.edge, view.candidates)
        return best_action(allowed, view.value)


@register("cloud-only")
class CloudOnly(Heuristic):
    """The best-paying service of the cloud, for every task: what serving without the edge gets.

    Raises (from `reset` on):
        AgentError: if the scenario has no cloud.
    """

    heeds_room = False

    def reset(self, seed: int) -> None:
        """Nothing is kept between decisions."""
        if self.scenario.cloud is None:
            raise AgentError(
                f"agent 'cloud-only': scenario '{self.scenario.label}' has no cloud; leave the "
                "agent out, or give the scenario a section cloud"
            )

    def choose(self, view: View) -> Actions:
        """Return one action per row."""
        return best_action(view.legal & view.cloud, view.value)


def best_of_server(
    view: View, allowed: npt.NDArray[np.bool_], score: npt.NDArray[np.floating | np.integer]
) -> Actions:
    """Return the best-paying allowed action of the server with the highest score, (B,).

    Args:
        view: what is seen.
        allowed: (B, N, V) with any in each row.
        score: (B, N) or (N,); the first of equals.
    """
    server = np.where(allowed.any(-1), score, -np.inf).argmax(1)
    return best_action(allowed & view.of_server(server), view.value)
