"""The choices of the extended model's bound, without those that others dominate."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edge_marl.bound.extended_facts import NEVER, PARTS, UNIT, WORST, Facts, Grid
from edge_marl.bound.extended_times import (
    before_turn,
    least_duration,
    may_be_late,
    return_time,
    sending_window,
    steps_at,
)
from edge_marl.jit import jit
from edge_marl.kernel.world import (
    AFTER,
    ARRIVAL,
    DEADLINE,
    GATEWAY,
    SERVER,
    STAGE,
    Floats,
    Ints,
)

__all__ = [
    "BEGIN",
    "KINK",
    "LAST",
    "LENGTH",
    "STEPS",
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
    """(M, 5) columns TO .. WORTH."""
    delays: Ints
    """(M, 4) columns COST .. LAST (stages that may be late)."""
    values: Floats
    """(M,) share of the request's value, if it is in time (stages that may be late)."""
    spared: Ints
    """(N,) worth of the best choice that holds no capacity, in units."""
    late: npt.NDArray[np.bool_]
    """(N,) whether each stage may be late."""


# Columns of `Choices.rows`: server; when the reservation begins (of a stage that may be late: at
# the earliest) and its length, in parts; the denoising steps that it holds; worth at that time,
# less the cost, in units.
TO, BEGIN, LENGTH, STEPS, WORTH = range(5)

# Columns of `Choices.delays`: the cost, in units; until when the value does not fall with lateness,
# from when it is zero, and when the reservation begins at the latest, in parts.
COST, KINK, ZERO, LAST = range(4)


class Offers(NamedTuple):
    """What the services of a link offer to a stage, at each level: C = V * Q of them."""

    gain: Floats
    """(C,) share of the request's value; of a stage that is not late, less what it costs."""
    cost: Floats
    """(C,) what else it costs."""
    duration: Ints
    """(C,) least time from dispatch to end (ms), or NEVER."""
    steps: Ints
    """(C,) denoising steps."""


# What each stage may choose.


@jit
def up(g: Grid, time: int) -> int:
    """Place of a time in parts, rounded up; it may lie outside of the blocks."""
    return -(-(time - g.start) * PARTS // g.length)


@jit
def _down(g: Grid, time: int) -> int:
    return (time - g.start) * PARTS // g.length


@jit
def _weigh(f: Facts, k: int, link: int, ready: int, rest: int, offers: Offers) -> None:
    """Write what each service of a link, at each level, would bring to its request.

    Where the time of dispatch is known, the cost is taken off the gain.
    """
    stages = f.details[k, STAGE] + f.details[k, AFTER] + 1
    limit, count = f.details[k, DEADLINE], len(offers.gain)
    server = f.links[f.tasks[k, GATEWAY], link, SERVER]
    back = return_time(f, k, link) + rest
    for c in range(count):
        service, level = c // len(f.levels), c % len(f.levels)
        offers.duration[c] = least_duration(f, k, link, service, level)
        if offers.duration[c] == NEVER:
            continue
        latency = ready + offers.duration[c] + back - f.tasks[k, ARRIVAL]
        if limit > 0 and latency >= 2 * limit:
            offers.duration[c] = NEVER
            continue
        offers.steps[c] = steps_at(f, k, level)
        gain = f.quality[k, link * count + c] / stages * (f.weights[k] / 1000)
        if limit > 0:
            gain = max(0.0, gain)
        cost = offers.steps[c] * f.price[server, service]
        if not may_be_late(f, k):
            if limit > 0 and latency > limit:
                gain *= (2 * limit - latency) / limit
            gain -= cost
            cost = 0.0
        offers.gain[c], offers.cost[c] = gain, cost


@jit
def _is_dominated(v: int, offers: Offers) -> bool:
    """Whether an offer of the same server is as good in all and better in one, or comes first."""
    gain, cost, duration, steps = offers
    for u in range(len(gain)):
        if duration[u] > duration[v] or gain[u] < gain[v] or cost[u] > cost[v]:
            continue
        if steps[u] > steps[v]:
            continue
        better = gain[u] > gain[v] or cost[u] < cost[v] or duration[u] < duration[v]
        if better or steps[u] < steps[v] or u < v:
            return True
    return False


@jit
def worth_at(place: int, value: float, delay: Ints) -> int:
    """Worth of a stage that begins at a place in time, less its cost, in units."""
    if place > delay[KINK]:
        value *= max(0, delay[ZERO] - place) / (delay[ZERO] - delay[KINK])
    worth = int(np.ceil(value * UNIT))
    return int(worth - delay[COST])


@jit
def list_choices(f: Facts, g: Grid, ready: Ints, rest: Ints) -> Choices:
    """Return every stage's choices that no other one dominates."""
    n, links, count = len(f.tasks), f.links.shape[1], f.takes.shape[1] * len(f.levels)
    first = np.zeros(n + 1, dtype=np.int64)
    rows = np.empty((n * links * count, WORTH + 1), dtype=np.int64)
    delays = np.empty((len(rows), LAST + 1), dtype=np.int64)
    values = np.empty(len(rows))
    spared, late = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.bool_)
    offers = Offers(
        np.empty(count),
        np.empty(count),
        np.empty(count, dtype=np.int64),
        np.empty(count, dtype=np.int64),
    )
    at = 0
    for k in range(n):
        first[k], late[k] = at, may_be_late(f, k)
        if ready[k] == NEVER:
            continue
        alone = f.details[k, STAGE] + f.details[k, AFTER] == 0
        spared[k] = 0 if alone else WORST
        for link in range(links):
            server = f.links[f.tasks[k, GATEWAY], link, SERVER]
            _weigh(f, k, link, ready[k], rest[k], offers)
            for c in range(count):
                if offers.duration[c] == NEVER or _is_dominated(c, offers):
                    continue
                values[at] = offers.gain[c]
                _fill_row(f, g, k, link, ready[k], rest[k], offers, c, rows[at], delays[at])
                if server == f.cloud:
                    spared[k] = max(spared[k], rows[at, WORTH])
                else:
                    at += 1
        _sort(rows, delays, values, first[k], at)
        while at > first[k] and rows[at - 1, WORTH] <= spared[k]:
            at -= 1
    first[n] = at
    return Choices(first, rows[:at].copy(), delays[:at].copy(), values[:at].copy(), spared, late)


@jit
def _sort(rows: Ints, delays: Ints, values: Floats, start: int, stop: int) -> None:
    """Bring the most worthy to the front, by insertion; equals stay in order."""
    for i in range(start + 1, stop):
        at = i
        while at > start and rows[at, WORTH] > rows[at - 1, WORTH]:
            values[at], values[at - 1] = values[at - 1], values[at]
            for table in (rows, delays):
                for column in range(table.shape[1]):
                    kept = table[at, column]
                    table[at, column] = table[at - 1, column]
                    table[at - 1, column] = kept
            at -= 1


@jit
def _fill_row(
    f: Facts,
    g: Grid,
    k: int,
    link: int,
    ready: int,
    rest: int,
    offers: Offers,
    c: int,
    row: Ints,
    delay: Ints,
) -> None:
    """Write a choice: worth rounded up, cost down, the reservation shortened."""
    duration = offers.duration[c]
    row[TO] = f.links[f.tasks[k, GATEWAY], link, SERVER]
    row[STEPS] = offers.steps[c]
    delay[COST] = int(np.floor(offers.cost[c] * UNIT))
    delay[KINK], delay[ZERO] = NEVER, NEVER + 1
    if may_be_late(f, k):
        offset = before_turn(f, k, link)
        holds = duration - offset
        begin, until = sending_window(f, k, row[TO], ready, offset, holds)
        row[BEGIN], delay[LAST] = _down(g, begin), up(g, until)
        row[LENGTH] = holds * PARTS // g.length
        limit = f.details[k, DEADLINE]
        if limit > 0:
            back = return_time(f, k, link) + rest
            in_time = f.tasks[k, ARRIVAL] + limit - holds - back
            delay[KINK] = up(g, in_time)
            delay[ZERO] = max(delay[KINK] + 1, up(g, in_time + limit))
    else:
        row[BEGIN] = delay[LAST] = up(g, ready)
        row[LENGTH] = max(0, _down(g, ready + duration) - row[BEGIN])
    row[WORTH] = worth_at(row[BEGIN], offers.gain[c], delay)
