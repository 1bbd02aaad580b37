"""Workloads made for a verification: held-out ones, and twins of the public ones.

Twins are one and the same up to a time, and go on differently after it. A policy cannot tell them
apart until then, so its decisions are the same until then, unless it knows what is to come.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from edge_marl.draw import draw_workload
from edge_marl.errors import SubmissionError
from edge_marl.kernel.world import ARRIVAL, DURATION, LOCATION, TIME, Ints
from edge_marl.scenario import Scenario
from edge_marl.workload import Workload

__all__ = ["Fresh", "draw_fresh", "draw_twin", "number_from"]

TRIES = 20
"""Times of parting that are tried before a workload is said to have no twin."""


@dataclass(frozen=True)
class Fresh:
    """Where held-out workloads come from: something that was not known when a policy was frozen."""

    source: str
    """For people."""
    value: str
    """What the workloads are drawn from."""
    entrants: dict[str, str] | None = None
    """Seal of each submission that was there in time; None where that is for others to check."""


def number_from(*parts: object) -> int:
    """Return a number of 63 bits that the parts decide and nobody can choose them by."""
    digest = hashlib.sha256("\n".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8]) >> 1


def draw_fresh(scenario: Scenario, workload: int, *parts: object) -> Workload:
    """Return a workload that did not exist before `parts` were known.

    It is a later episode of a test seed: of those all public test workloads are episode 0.
    """
    episode = 1 + number_from("fresh", workload, *parts)
    return draw_workload(scenario, workload, split="test", episode=episode)


def draw_twin(scenario: Scenario, workload: Workload, number: int, *parts: object) -> Workload:
    """Return a workload that agrees with another up to one of its arrivals in the middle half.

    Args:
        scenario: of both.
        workload: test workload `number`.
        number: which one.
        parts: decide where they part, and what comes after.

    Raises:
        SubmissionError: if none can be drawn (no arrivals in the second half, again and again).
    """
    count = workload.num_tasks
    for attempt in range(TRIES):
        share = number_from("cut", number, attempt, *parts) / 2**63
        last = int(count * (0.25 + 0.5 * share))
        cut = int(workload.tasks[min(last, count - 1), ARRIVAL])
        other = draw_fresh(scenario, number, "twin", attempt, *parts)
        if (other.tasks[:, ARRIVAL] > cut).any():
            return _join(workload, other, cut)
    raise SubmissionError(f"workload {number}: no twin can be drawn of it in {TRIES} attempts")


def _join(first: Workload, second: Workload, cut: int) -> Workload:
    """Return what comes up to a time (ms) in one workload, and after it in another."""
    before, after = first.tasks[:, ARRIVAL] <= cut, second.tasks[:, ARRIVAL] > cut
    tasks = np.concatenate([first.tasks[before], second.tasks[after]])
    details = outages = weights = None
    if first.details is not None and second.details is not None:
        details = np.concatenate([first.details[before], second.details[after]])
    if first.outages is not None and second.outages is not None:
        early, late = first.outages[:, TIME] <= cut, second.outages[:, TIME] > cut
        outages = np.concatenate([first.outages[early], second.outages[late]])
    if first.weights is not None and second.weights is not None:
        weights = np.concatenate([first.weights[before], second.weights[after]])
    sleeps = _join_sleeps(first.sleeps, second.sleeps, cut)
    return Workload(first.topology, tasks, details, outages, weights, sleeps)


def _join_sleeps(first: Ints | None, second: Ints | None, cut: int) -> Ints | None:
    """Return the sleeps of gateways up to a time in one workload, and after it in another.

    A gateway sleeps to the end of what it had begun; what would begin before that is left out.
    """
    if first is None or second is None:
        return None
    early = first[first[:, TIME] <= cut]
    awake_from = np.zeros(
        1 + max(early[:, LOCATION].max(initial=0), second[:, LOCATION].max(initial=0)), np.int64
    )
    np.maximum.at(awake_from, early[:, LOCATION], early[:, TIME] + early[:, DURATION])
    late = second[second[:, TIME] > cut]
    late = late[late[:, TIME] >= awake_from[late[:, LOCATION]]]
    joined = np.concatenate([early, late])
    order = np.lexsort((joined[:, TIME], joined[:, LOCATION]))
    sleeps: Ints = joined[order]
    return sleeps
