"""Prices of the extended model's bound: what given ones certify, and the search for good ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edge_marl.bound.extended_choices import (
    BEGIN,
    KINK,
    LAST,
    LENGTH,
    STEPS,
    TO,
    WORTH,
    ZERO,
    Choices,
    worth_at,
)
from edge_marl.bound.extended_facts import (
    DEAREST,
    NEVER,
    PART_BITS,
    PARTS,
    UNIT,
    WORST,
    Facts,
    Grid,
)
from edge_marl.jit import jit
from edge_marl.kernel.world import AFTER, Floats, Ints

__all__ = ["LONG_SEARCH", "MANY", "SEARCH", "search"]


class Steps(NamedTuple):
    """Steps of the search for prices."""

    rounds: int
    first: float
    """Part of the bound that the first step aims to take off it."""
    fading: float
    """Factor from step to step."""


SEARCH = Steps(800, 0.1, 0.9885)
MANY, LONG_SEARCH = 2**18, Steps(200, 0.002, 0.974)
"""More choices than that take a tenth of a second a round, and there few servers are ever full."""
DEFLECTION = 0.1
"""Weight of the newest subgradient in the direction of a step."""
SAFE = 2**30
"""Products of less than that are never too large."""
SLACK = 8
"""More units a step than rounding can make of the price of a reservation."""
TOO_SMALL = 1e-12
"""Squared length of a direction that leads nowhere."""


# The bound at given prices.


@jit
def _held_until(held: Ints, server: int, place: int) -> int:
    """Price of a unit of capacity from the start to a place in time, rounded down."""
    block = place >> PART_BITS
    price = held[server, block + 1] - held[server, block]
    return int(held[server, block] + (price * (place & (PARTS - 1)) >> PART_BITS))


@jit
def _charge(held: Ints, row: Ints, begin: int, end: int) -> int:
    """Price of what a choice holds from `begin` to `end`, rounded down; at most -WORST."""
    last = (held.shape[1] - 2) << PART_BITS
    begin, end = min(begin, last), min(end, last)
    unit = max(0, _held_until(held, row[TO], end) - _held_until(held, row[TO], begin) - 1)
    if unit >= SAFE or row[STEPS] >= SAFE:  # a division takes long
        unit = min(unit, -WORST // row[STEPS])
    return int(row[STEPS] * unit)


@jit
def _best_begin(held: Ints, row: Ints, delay: Ints, value: float, least: int) -> tuple[int, int]:
    """Best worth of a stage that may be late over its begins, if above `least`, and that begin.

    Worth and price are linear between the places where begin or end changes its block and where
    lateness begins, so one of these is best. Later ones are worth no more. What all reservations
    hold that begin in a span, from its end to the end of the first, prices the span as a whole.
    """
    place, stop = row[BEGIN], min(delay[ZERO], delay[LAST])
    best, when = least, place
    span = max(row[LENGTH] >> 2, 1)
    while place <= stop:
        worth, end = worth_at(place, value, delay), place + row[LENGTH]
        if worth <= best:
            break
        charge = _charge(held, row, place, end)
        if worth - charge > best:
            best, when = worth - charge, place
        if charge == 0 or place == stop:
            break
        while worth - _charge(held, row, place + span, end) <= best and place + span < stop:
            place += span
            worth, end = worth_at(place, value, delay), end + span
        place = _next_place(row[LENGTH], delay[KINK], place, stop)
    return best, when


@jit
def _next_place(length: int, kink: int, place: int, stop: int) -> int:
    """Return where begin or end next changes its block, or lateness begins; at most `stop`."""
    end = place + length
    begins = ((place >> PART_BITS) + 1) << PART_BITS
    ends = (((end >> PART_BITS) + 1) << PART_BITS) - length
    then = min(begins, ends, stop)
    return int(min(then, kink) if place < kink else then)


@jit
def _choose(c: Choices, held: Ints, k: int, before: Ints) -> tuple[int, int, int]:
    """Best worth of a stage less its price; which choice that is (-1: no capacity), and when.

    Args:
        c: the choices.
        held: prices summed from the start.
        k: the stage.
        before: choice of it at the prices of the round before, and when (-1: none). What is worth
            less than that one now need not be looked at, which changes nothing but the time.
    """
    best, choice, when = c.spared[k], -1, 0
    late = c.late[k]
    if before[0] >= 0:
        row, place = c.rows[before[0]], before[1]
        worth = worth_at(place, c.values[before[0]], c.delays[before[0]]) if late else row[WORTH]
        worth -= _charge(held, row, place, place + row[LENGTH])
        best = max(best, worth - SLACK * (row[STEPS] + 1))
    for i in range(c.first[k], c.first[k + 1]):
        row = c.rows[i]
        if row[WORTH] <= best:
            break
        if late:
            worth, place = _best_begin(held, row, c.delays[i], c.values[i], best)
        else:
            place = row[BEGIN]
            worth = row[WORTH] - _charge(held, row, place, place + row[LENGTH])
        if worth > best:
            best, choice, when = worth, i, place
    return best, choice, when


@jit
def _certificate(
    f: Facts, c: Choices, ready: Ints, prices: Ints, taken: Ints, held: Ints, load: Floats
) -> int:
    """The bound of the module's docstring in units; writes what the best choices would hold.

    Args:
        f: what is known.
        c: what each stage may choose.
        ready: (N,) earliest dispatch (ms).
        prices: (S, B) of a unit of capacity through a block, in units.
        taken: (N, 2) each stage's best choice of the round before (-1: none that holds capacity),
            and when it begins; those of this round are written.
        held: (S, B + 2) scratch: prices summed from the start.
        load: (S, B + 2) written: changes of the mean capacity held, from block to block.
    """
    servers, blocks = prices.shape
    total = 0
    for j in range(servers):
        for b in range(blocks):
            held[j, b + 1] = held[j, b] + prices[j, b]
            if j != f.cloud:
                total += prices[j, b] * f.room[j]
        held[j, blocks + 1] = held[j, blocks]
    load[:] = 0.0
    k = 0
    while k < len(f.tasks):
        stages = f.details[k, AFTER] + 1
        worth = WORST
        if ready[k] < NEVER:
            worth = 0
            for i in range(k, k + stages):
                best, choice, when = _choose(c, held, i, taken[i])
                taken[i, 0], taken[i, 1] = choice, when
                worth = max(WORST, worth + best)
        if worth > 0:
            total += worth
            for i in range(k, k + stages):
                if taken[i, 0] >= 0:
                    _hold(load, c.rows[taken[i, 0]], taken[i, 1])
        k += stages
    return total


@jit
def _hold(load: Floats, row: Ints, begin: int) -> None:
    """Add a reservation to the changes of load."""
    last = (load.shape[1] - 2) << PART_BITS
    begin, end = min(begin, last), min(begin + row[LENGTH], last)
    for place, change in ((begin, row[STEPS]), (end, -row[STEPS])):
        block, part = place >> PART_BITS, (place & (PARTS - 1)) / PARTS
        load[row[TO], block] += change * (1.0 - part)
        load[row[TO], block + 1] += change * part


# The prices.


@jit
def _turn(f: Facts, load: Floats, spent: Floats, direction: Floats, weight: float) -> float:
    """Turn the direction towards the newest subgradient; return its length, squared.

    What would take prices below 0 does not count.
    """
    total = 0.0
    for j in range(len(spent)):
        if j == f.cloud:
            continue
        holds = 0.0
        for b in range(spent.shape[1]):
            holds += load[j, b]
            direction[j, b] += weight * (holds / f.room[j] - 1.0 - direction[j, b])
            if spent[j, b] > 0.0 or direction[j, b] > 0.0:
                total += direction[j, b] * direction[j, b]
    return total


@jit
def _move(
    f: Facts, direction: Floats, step: float, most: float, spent: Floats, prices: Ints
) -> None:
    """Take a step; where all prices together would pass `most`, scale them down to it.

    A bound is never below what is spent at its prices, and with none it is `most`.
    """
    total = 0.0
    for j in range(len(spent)):
        if j != f.cloud:
            for b in range(spent.shape[1]):
                spent[j, b] = max(0.0, spent[j, b] + step * direction[j, b])
                total += spent[j, b]
    scale = min(1.0, most / max(total, most))
    for j in range(len(spent)):
        if j != f.cloud:
            for b in range(spent.shape[1]):
                spent[j, b] *= scale
                prices[j, b] = min(DEAREST, int(spent[j, b] / f.room[j] * UNIT))


@jit
def search(f: Facts, g: Grid, c: Choices, ready: Ints, steps: Steps) -> tuple[int, Ints]:
    """Return the least bound that was found, in units, and its prices: (S, B) of a block."""
    shape = (len(f.room), g.blocks)
    spent = np.zeros(shape)  # price of a server's whole capacity through a block
    direction = np.zeros(shape)
    prices = np.zeros(shape, dtype=np.int64)
    held = np.zeros((shape[0], g.blocks + 2), dtype=np.int64)
    load = np.zeros(held.shape)
    taken = np.full((len(f.tasks), 2), -1, dtype=np.int64)
    best = _certificate(f, c, ready, prices, taken, held, load)
    best_prices, most, total = prices.copy(), best / UNIT, best
    aim, weight = steps.first, 1.0
    for _ in range(steps.rounds):
        size = _turn(f, load, spent, direction, weight)
        if size < TOO_SMALL:  # no server is ever too full
            break
        _move(f, direction, aim * (total / UNIT) / size, most, spent, prices)
        aim, weight = aim * steps.fading, DEFLECTION
        total = _certificate(f, c, ready, prices, taken, held, load)
        if total < best:
            best = total
            best_prices[:] = prices
    return best, best_prices
