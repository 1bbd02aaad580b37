"""What queueing theory and operators of model servers bring: costs, work, indices, soft choices.

Like the routers they look at what fits as far as the gateway knows (`View.candidates`), and pick
the best-paying service where a rule is about servers only; those two use the cloud where no server
of the edge will do.
"""

from __future__ import annotations

import numpy as np

from edge_marl.agents.heuristics.basic import Actions, Heuristic, RandomHeuristic
from edge_marl.agents.heuristics.routers import best_of_server
from edge_marl.agents.heuristics.view import Bools, View, best_action, first_that_has_any, pick
from edge_marl.agents.registry import register
from edge_marl.kernel.world import Floats

__all__ = ["CMu", "JoinShortestWork", "LeastCost", "MaxWeight", "SoftProphet", "Threshold"]

SOFTNESS = 0.05
"""Utility by which a place has to be worse to be drawn e times less often."""
FINE = 2**20
"""Draws are in whole parts of the best place's weight, so that last bits of `exp` do not count."""
LEAST_PART = 0.5
"""Part of what a task is worth in time, below which it is declined."""


def outstanding_steps(view: View) -> Floats:
    """Denoising steps that run and wait at each server, (B, N), as far as the gateway knows.

    Tasks that wait are taken to be like this one.
    """
    running = view.capacity - view.free
    outstanding: Floats = running + view.waiting * view.demand[:, None]
    return outstanding


def outstanding_share(view: View) -> Floats:
    """The same as a share of the server's capacity; 0 where no server is shown."""
    share: Floats = outstanding_steps(view) / np.maximum(view.capacity, 1)
    return share


def pressure(view: View, allowed: Bools, queue: Floats) -> Floats:
    """Queue x work of each place, (B, N, V): see `MaxWeight`. The cloud has no queue.

    Args:
        view: what is seen.
        allowed: (B, N, V) places over which durations are averaged.
        queue: (B, N) outstanding steps of each server as a share of its capacity.
    """
    duration = np.where(allowed, view.duration_ms, 0.0)
    mean = duration.sum((1, 2)) / np.maximum(1, allowed.sum((1, 2)))
    time = view.duration_ms / np.maximum(mean, 1.0)[:, None, None]
    work = view.steps / np.maximum(view.capacity, 1)[..., None] * time
    pressed: Floats = np.where(view.cloud, 0.0, queue[..., None]) * work
    return pressed


@register("least-cost")
class LeastCost(Heuristic):
    """The server with the least outstanding cost, whatever its size or speed: cost is steps.

    After llm-d's router for diffusion models, which sends a request to the endpoint whose requests
    have the least declared cost in all (steps x pixels x images).
    """

    def choose(self, view: View) -> Actions:
        """Return one action per row."""
        allowed = first_that_has_any(view.safe & view.edge, view.candidates)
        return best_of_server(view, allowed, -outstanding_steps(view))


@register("join-shortest-work")
class JoinShortestWork(Heuristic):
    """The server that would be done soonest with what it has: the least work, in time.

    What runs and waits there, as if it took as long as this task does there: steps x duration over
    capacity. Of equals the nearest. Foss, "Approximation of multichannel queueing systems",
    Siberian Math. J. 21 (1980); Daley, "Certain optimality properties of the first-come
    first-served discipline for G/G/s queues", Stochastic Processes and their Applications 25
    (1987).
    """

    def choose(self, view: View) -> Actions:
        """Return one action per row."""
        allowed = first_that_has_any(view.safe & view.edge, view.candidates)
        fastest = np.where(allowed, view.duration_ms, np.inf).min(-1)
        fastest = np.where(np.isfinite(fastest), fastest, 0.0)
        work = outstanding_share(view) * fastest
        return best_of_server(view, allowed, -work)


@register("c-mu")
class CMu(Heuristic):
    """The place that pays most per denoising step and second that it takes.

    The c-mu rule serves by cost of waiting times rate of service; here the value of a task times
    the rate at which a place is through with it. Cox and Smith, "Queues" (1961); Buyukkoc, Varaiya
    and Walrand, "The c-mu rule revisited", Adv. Applied Probability 17 (1985).
    """

    def choose(self, view: View) -> Actions:
        """Return one action per row."""
        held = view.steps * (view.until_end_ms - view.wait_ms)
        return best_action(view.candidates, view.value / np.maximum(held, 1.0))


@register("max-weight")
class MaxWeight(Heuristic):
    """The largest value less queue x work: what is in use at a server weighs the work sent there.

    The queue of a server is its outstanding steps over its capacity, and work is the share of the
    capacity that the task takes, times its duration over the mean of places that fit. Tassiulas and
    Ephremides, "Stability properties of constrained queueing systems", IEEE Trans. Automatic
    Control 37 (1992); with a value beside it is drift plus penalty: Neely, "Stochastic network
    optimization" (2010).
    """

    def choose(self, view: View) -> Actions:
        """Return one action per row."""
        allowed, queue = view.candidates, outstanding_share(view)
        return best_action(allowed, view.value - pressure(view, allowed, queue))


@register("soft-prophet")
class SoftProphet(RandomHeuristic):
    """Draws among the prophet's places by exp(value / T): gateways that know the same part ways.

    Where telemetry is old, or decisions are taken at once, the greedy prophets of all gateways meet
    at the best server. T is 0.05 of utility. Luce, "Individual choice behavior" (1959).
    """

    @property
    def settings(self) -> dict[str, float]:
        """T."""
        return {"softness": SOFTNESS}

    def choose(self, view: View) -> Actions:
        """Return one action per row."""
        value = np.where(view.candidates, view.value, -np.inf).reshape(view.rows, -1)
        best = value.max(1, keepdims=True)
        below = np.where(np.isfinite(value), value - best, -np.inf)
        weights = np.rint(np.exp(below / SOFTNESS) * FINE).astype(np.int64)
        return pick(weights, self.draw(view.rows))


@register("threshold")
class Threshold(Heuristic):
    """The prophet, who says no to what has lost half of its worth: capacity is for the others.

    What is late for all places that fit pays little and holds as much as any. Where nobody may say
    no it is the prophet. Miller, "A queueing reward system with several customer classes",
    Management Science 16 (1969).
    """

    @property
    def settings(self) -> dict[str, float]:
        """The part of its worth below which a task is declined."""
        return {"least_part": LEAST_PART}

    def choose(self, view: View) -> Actions:
        """Return one action per row."""
        allowed = view.candidates
        pays = np.where(allowed, view.value, -np.inf).max((1, 2))
        worth = np.where(allowed, view.value_in_time, -np.inf).max((1, 2))
        return view.or_decline(best_action(allowed, view.value), pays < LEAST_PART * worth)
