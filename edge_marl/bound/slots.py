"""When tasks of the base model are sent in slots, and a bound for gateways that may hold theirs.

Each gateway sends the first of its tasks that wait, one in a slot, in order of arrival. So task q
is sent in slot m[q] at the earliest: the first that starts once it has arrived, and not before the
one after that of the gateway's task before it. Without `hold` a gateway has to decide on what
waits, so m[q] is when task q is decided on. One that sleeps in a slot sends nothing in it: m[q] is
then a slot in which it is awake. Then the episode is that of the event clock whose tasks
arrive when they are decided on, in the order of (slot, arrival, gateway), and `base.py` bounds it.

With `hold` it may be any slot from m[q] on, or none. For any prices p[k, j] >= 0 of a unit of
capacity of server j from slot k to the next, and with tolls c[j] = penalty / capacity[j] of a unit
of demand that a crash of j throws out, by the argument of `base.py`,

    return <= sum_kj p[k, j] capacity[j] + sum_q v[q],
    v[q] = max(0, max_j,m,d utility[q, j] - demand[q] sum_(m <= k < m + d) p[k, j]
                       - [d < run[q]] (penalty (1 - progress after d) + demand[q] c[j]))

over slots m >= m[q] and d = 0 .. run[q] slots on the server, run[q] of them if nothing ends it. A
task that is never sent nets 0. One that crashes a server nets -penalty and the toll on all that it
throws out, at most 0. What a server holds past the last slot costs nothing. That a gateway sends
one task in a slot, and the order in which it does, is left out but for m[q].

The value is in whole numbers of 2^-36, as there. Prices come from a deflected subgradient method
(Camerini, Fratta and Maffioli 1975) with Polyak's steps; how good they are decides how tight the
bound is, never whether it holds. It uses + - * / and comparisons only, so that every machine finds
the same prices.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edge_marl.jit import jit
from edge_marl.kernel.world import ARRIVAL, DURATION, GATEWAY, LOCATION, TIME, Floats, Ints
from edge_marl.scenario import Scenario
from edge_marl.workload import Workload

__all__ = ["SHARE_BITS", "HeldTasks", "held_prices", "sent_in_slots", "slots_of"]

SHARE_BITS = 20
"""Parts of a run time still to go are rounded down to multiples of 2**-SHARE_BITS."""

ROUNDS = 400
FIRST_STEP, FADING, DEFLECTION = 0.005, 0.99, 0.1
"""Part of the bound that the first step aims to take off it, the factor from step to step, and the
weight of the newest subgradient in the direction of a step."""
TOO_SMALL = 1e-12
"""Squared length of a direction that leads nowhere."""
MOST_WORK = 2**35
"""Slots x servers x slots of the longest run, times rounds; where one round is more, all prices
are 0."""


class HeldTasks(NamedTuple):
    """Tasks of N that may be held, S servers, M slots."""

    utility: Ints
    """(N, S) in units, rounded up."""
    demand: Ints
    """(N,) denoising steps."""
    run_time: Ints
    """(N,) ms."""
    first: Ints
    """(N,) slot in which it is sent at the earliest, from the first one."""
    runs: Ints
    """(N,) slots that it is on a server."""
    capacity: Ints
    """(S,) denoising steps."""
    slots: int
    """M."""
    slot_ms: int
    penalty: int
    """In units, rounded down."""


def sent_in_slots(scenario: Scenario, workload: Workload) -> Ints:
    """Return tasks as they are sent at the earliest, with the slot's start as their arrival.

    In the order in which choices are applied: by slot, arrival and gateway. Those of which no slot
    starts before the episode is over are left out.

    Args:
        scenario: in slots, of the base model.
        workload: with N tasks.

    Returns:
        (n, 5) tasks.
    """
    tasks = workload.tasks
    slot, end = scenario.clock.slot_ms, _end(scenario, tasks)
    sent = -(-tasks[:, ARRIVAL] // slot) * slot
    free: dict[int, int] = {}
    sleeps = _sleeps_of(workload)
    for k, gateway in enumerate(tasks[:, GATEWAY].tolist()):
        earliest = max(int(sent[k]), free.get(gateway, 0))
        for begin, wakes in sleeps.get(gateway, ()):
            if begin <= earliest < wakes:
                earliest = -(-wakes // slot) * slot
        sent[k] = earliest
        free[gateway] = earliest + slot
    decided = tasks[: len(tasks) - (scenario.episode.end == "last-task")]
    sent = sent[: len(decided)]
    order = np.lexsort((decided[:, GATEWAY], decided[:, ARRIVAL], sent))
    order = order[sent[order] < end]
    moved: Ints = decided[order].copy()
    moved[:, ARRIVAL] = sent[order]
    return moved


def _sleeps_of(workload: Workload) -> dict[int, list[tuple[int, int]]]:
    """Return since when and until when each gateway sleeps (ms), in order of time."""
    found: dict[int, list[tuple[int, int]]] = {}
    if workload.sleeps is not None:
        for begin, gateway, length in workload.sleeps[:, [TIME, LOCATION, DURATION]].tolist():
            found.setdefault(gateway, []).append((begin, begin + length))
    return found


def slots_of(scenario: Scenario, tasks: Ints, first_ms: int) -> int:
    """Return how many slots start from `first_ms` on before the episode is over."""
    return int(-(-(_end(scenario, tasks) - first_ms) // scenario.clock.slot_ms))


def _end(scenario: Scenario, tasks: Ints) -> int:
    """When no slot is played any more (ms)."""
    if scenario.episode.end == "horizon":
        return scenario.arrivals.horizon_ms
    first_slot = -(-int(tasks[0, ARRIVAL]) // scenario.clock.slot_ms) * scenario.clock.slot_ms
    return max(int(tasks[-1, ARRIVAL]), first_slot + 1)  # the first slot is played in any case


def held_prices(h: HeldTasks, limit: float, unit: float) -> tuple[int, int, Ints]:
    """Return the least bound that was found, its evictions and its prices (M, S), in units.

    Args:
        h: the tasks.
        limit: highest price, in utility.
        unit: units of a utility of 1.
    """
    work = h.slots * len(h.capacity) * (int(h.runs.max()) + 1)
    slots = h.slots if work <= MOST_WORK else 0
    shape = (slots, len(h.capacity))
    prices = np.zeros(shape, dtype=np.int64)
    if slots == 0:
        best = np.maximum(h.utility.max(axis=1), 0).sum()
        return int(best), 0, prices
    load, spent, direction = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    least = total = _certificate(h, prices, False, load)[0]
    best_prices = prices.copy()
    aim, weight = FIRST_STEP, 1.0
    for _ in range(min(ROUNDS, MOST_WORK // work)):
        size = _turn(h.capacity, load, spent, direction, weight)
        if size < TOO_SMALL:  # no server is ever too full
            break
        _move(h.capacity, direction, aim * (total / unit) / size, spent)
        prices[:] = np.rint(np.minimum(spent / h.capacity, limit) * unit)
        aim, weight = aim * FADING, DEFLECTION
        total = _certificate(h, prices, False, load)[0]
        if total < least:
            least, best_prices = total, prices.copy()
    total, evictions = _certificate(h, best_prices, True, load)
    return int(total), int(evictions), best_prices


@jit
def _certificate(h: HeldTasks, prices: Ints, crashing: bool, load: Floats) -> tuple[int, int]:
    """The bound of the module's docstring and its evictions; writes what the best choices hold.

    Args:
        h: the tasks.
        prices: (M, S) in units.
        crashing: whether tasks may be thrown out; it is a bound only if they may.
        load: (M, S) written: capacity held.
    """
    n, (slots, servers) = len(h.demand), prices.shape
    held = np.zeros((slots + 1, servers), dtype=np.int64)
    total = 0
    for k in range(slots):
        for j in range(servers):
            held[k + 1, j] = held[k, j] + prices[k, j]
            total += prices[k, j] * h.capacity[j]
    low = np.empty((slots, servers), dtype=np.int64)
    when = np.empty((slots, servers), dtype=np.int64)
    best = np.zeros(n, dtype=np.int64)
    chosen = np.zeros((n, 3), dtype=np.int64)
    wanted = np.zeros(h.runs.max() + 1, dtype=np.bool_)
    for q in range(n):
        wanted[h.runs[q]] = True
    for d in range(len(wanted)):
        if crashing or wanted[d]:
            _cheapest(held, d, low, when)
            _hold_for(h, d, crashing, low, when, best, chosen)
    evictions = 0
    load[:] = 0.0
    for q in range(n):
        total += best[q]
        if best[q] > 0:
            j, begin, d = chosen[q]
            evictions += d < h.runs[q]
            for k in range(begin, min(begin + d, slots)):
                load[k, j] += h.demand[q]
    return total, evictions


@jit
def _hold_for(
    h: HeldTasks, d: int, crashing: bool, low: Ints, when: Ints, best: Ints, chosen: Ints
) -> None:
    """Write where d slots on a server are the best for a task by now.

    Args:
        h: the tasks.
        d: slots.
        crashing: whether tasks of longer runs may be thrown out after them.
        low: (M, S) least price of so many slots from each one on.
        when: (M, S) when they begin.
        best: (N,) updated: worth of the best choice.
        chosen: (N, 3) updated: its server, when it begins, and its slots.
    """
    for q in range(len(best)):
        if d > h.runs[q] or (d < h.runs[q] and not crashing):
            continue
        loss = 0
        if d < h.runs[q]:
            to_go = ((h.run_time[q] - d * h.slot_ms) << SHARE_BITS) // h.run_time[q]
            loss = (h.penalty * to_go) >> SHARE_BITS
        for j in range(low.shape[1]):
            worth = h.utility[q, j] - loss - h.demand[q] * low[h.first[q], j]
            if worth > best[q] and d < h.runs[q]:
                worth -= h.demand[q] * (h.penalty // h.capacity[j])
            if worth > best[q]:
                best[q] = worth
                chosen[q, 0], chosen[q, 1], chosen[q, 2] = j, when[h.first[q], j], d


@jit
def _cheapest(held: Ints, d: int, low: Ints, when: Ints) -> None:
    """Write the least price of d slots from each slot on, (M, S), and when they begin."""
    slots, servers = low.shape
    for m in range(slots - 1, -1, -1):
        for j in range(servers):
            price = held[min(m + d, slots), j] - held[m, j]
            low[m, j], when[m, j] = price, m
            if m + 1 < slots and low[m + 1, j] < price:
                low[m, j], when[m, j] = low[m + 1, j], when[m + 1, j]


@jit
def _turn(capacity: Ints, load: Floats, spent: Floats, direction: Floats, weight: float) -> float:
    """Turn the direction towards the newest subgradient; return its length, squared."""
    total = 0.0
    for k in range(spent.shape[0]):
        for j in range(spent.shape[1]):
            direction[k, j] += weight * (load[k, j] / capacity[j] - 1.0 - direction[k, j])
            if spent[k, j] > 0.0 or direction[k, j] > 0.0:
                total += direction[k, j] * direction[k, j]
    return total


@jit
def _move(capacity: Ints, direction: Floats, step: float, spent: Floats) -> None:
    """Take a step; no price falls below 0."""
    for k in range(spent.shape[0]):
        for j in range(spent.shape[1]):
            spent[k, j] = max(0.0, spent[k, j] + step * direction[k, j])
