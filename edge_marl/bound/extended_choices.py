"""The choices of the extended model's bound, without those that others dominate."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edge_marl.bound.extended_facts import (
    NEVER,
    PARTS,
    UNIT,
    WORST,
    Facts,
    Grid,
    least_duration,
    return_time,
)
from edge_marl.jit import jit
from edge_marl.kernel.world import (
    AFTER,
    ARRIVAL,
    DEADLINE,
    DEMAND,
    GATEWAY,
    SERVER,
    STAGE,
    Floats,
    Ints,
)

__all__ = [
    "BEGIN",
    "KINK",
    "LENGTH",
    "TO",
    "WORTH",
    "ZERO",
    "Choices",
    "list_choices",
    "up",
    "worth_at",
]


class Choices(NamedTuple):
    """What each stage may choose that holds capacity, best first."""

    first: Ints
    """(N + 1,) where the choices of each task begin."""
    rows: Ints
    """(M, 7) columns TO .. ZERO."""
    values: Floats
    """(M,) share of the request's value, if it is in time (later stages)."""
    spared: Ints
    """(N,) worth of the best choice that holds no capacity, in units."""


# Columns of `Choices.rows`: server; when the reservation begins (of a later stage: at the earliest)
# and its length, in parts; worth at that time, less the cost, and the cost, in units; until when
# the value does not fall with lateness, and from when it is zero, in parts.
TO, BEGIN, LENGTH, WORTH, COST, KINK, ZERO = range(7)


# What each stage may choose.


@jit
def up(g: Grid, time: int) -> int:
    """Place of a time in parts, rounded up; it may lie outside of the blocks."""
    return -(-(time - g.start) * PARTS // g.length)


@jit
def _down(g: Grid, time: int) -> int:
    return (time - g.start) * PARTS // g.length


@jit
def _weigh(
    f: Facts,
    k: int,
    link: int,
    ready: int,
    rest: int,
    gain: Floats,
    cost: Floats,
    duration: Ints,
) -> None:
    """Write what each service of a link would bring to its request, and how long it takes.

    A first stage's cost is taken off its gain, since the time of its dispatch is known.
    """
    stages = f.details[k, STAGE] + f.details[k, AFTER] + 1
    limit, services = f.details[k, DEADLINE], len(duration)
    server = f.links[f.tasks[k, GATEWAY], link, SERVER]
    back = return_time(f, k, link) + rest
    for v in range(services):
        duration[v] = least_duration(f, k, link, v)
        if duration[v] == NEVER:
            continue
        latency = ready + duration[v] + back - f.tasks[k, ARRIVAL]
        if limit > 0 and latency >= 2 * limit:
            duration[v] = NEVER
            continue
        gain[v] = f.quality[k, link * services + v] / stages
        if limit > 0:
            gain[v] = max(0.0, gain[v])
        cost[v] = f.tasks[k, DEMAND] * f.price[server, v]
        if f.details[k, STAGE] == 0:
            if limit > 0 and latency > limit:
                gain[v] *= (2 * limit - latency) / limit
            gain[v] -= cost[v]
            cost[v] = 0.0


@jit
def _is_dominated(v: int, gain: Floats, cost: Floats, duration: Ints) -> bool:
    """Whether a service of the same server is as good in all and better in one, or comes first."""
    for u in range(len(duration)):
        as_good = gain[u] >= gain[v] and cost[u] <= cost[v] and duration[u] <= duration[v]
        better = gain[u] > gain[v] or cost[u] < cost[v] or duration[u] < duration[v]
        if as_good and (better or u < v):
            return True
    return False


@jit
def worth_at(place: int, value: float, row: Ints) -> int:
    """Worth of a later stage dispatched at a place in time, less its cost, in units."""
    if place > row[KINK]:
        value *= max(0, row[ZERO] - place) / (row[ZERO] - row[KINK])
    worth = int(np.ceil(value * UNIT))
    return int(worth - row[COST])


@jit
def list_choices(f: Facts, g: Grid, ready: Ints, rest: Ints) -> Choices:
    """Return every stage's choices that no other one dominates."""
    n, links, services = len(f.tasks), f.links.shape[1], f.takes.shape[1]
    first = np.zeros(n + 1, dtype=np.int64)
    rows = np.empty((n * links * services, ZERO + 1), dtype=np.int64)
    values = np.empty(len(rows))
    spared = np.zeros(n, dtype=np.int64)
    gain, cost = np.empty(services), np.empty(services)
    duration = np.empty(services, dtype=np.int64)
    at = 0
    for k in range(n):
        first[k] = at
        if ready[k] == NEVER:
            continue
        alone = f.details[k, STAGE] + f.details[k, AFTER] == 0
        spared[k] = 0 if alone else WORST
        for link in range(links):
            server = f.links[f.tasks[k, GATEWAY], link, SERVER]
            _weigh(f, k, link, ready[k], rest[k], gain, cost, duration)
            for v in range(services):
                if duration[v] == NEVER or _is_dominated(v, gain, cost, duration):
                    continue
                values[at] = gain[v]
                back = return_time(f, k, link) + rest[k]
                _fill_row(f, g, k, ready[k], duration[v], back, gain[v], cost[v], rows[at])
                rows[at, TO] = server
                if server == f.cloud:
                    spared[k] = max(spared[k], rows[at, WORTH])
                else:
                    at += 1
        _sort(rows, values, first[k], at)
        while at > first[k] and rows[at - 1, WORTH] <= spared[k]:
            at -= 1
    first[n] = at
    return Choices(first, rows[:at].copy(), values[:at].copy(), spared)


@jit
def _sort(rows: Ints, values: Floats, start: int, stop: int) -> None:
    """Bring the most worthy to the front, by insertion; equals stay in order."""
    for i in range(start + 1, stop):
        at = i
        while at > start and rows[at, WORTH] > rows[at - 1, WORTH]:
            values[at], values[at - 1] = values[at - 1], values[at]
            for column in range(rows.shape[1]):
                rows[at, column], rows[at - 1, column] = rows[at - 1, column], rows[at, column]
            at -= 1


@jit
def _fill_row(
    f: Facts,
    g: Grid,
    k: int,
    ready: int,
    duration: int,
    back: int,
    gain: float,
    cost: float,
    row: Ints,
) -> None:
    """Write a row of `Choices`: worth rounded up, cost down, the reservation shortened."""
    row[COST] = int(np.floor(cost * UNIT))
    row[KINK], row[ZERO] = NEVER, NEVER + 1
    if f.details[k, STAGE] == 0:
        row[BEGIN] = up(g, ready)
        row[LENGTH] = max(0, _down(g, ready + duration) - row[BEGIN])
    else:
        row[BEGIN] = _down(g, ready)
        row[LENGTH] = duration * PARTS // g.length
        limit = f.details[k, DEADLINE]
        if limit > 0:
            in_time = f.tasks[k, ARRIVAL] + limit - duration - back
            row[KINK] = up(g, in_time)
            row[ZERO] = max(row[KINK] + 1, up(g, in_time + limit))
    row[WORTH] = worth_at(row[BEGIN], gain, row)
