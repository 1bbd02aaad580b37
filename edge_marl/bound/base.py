"""A certified upper bound on the return of every policy in the base model, crashing included.

Utility is granted at dispatch and never taken back, and a crash frees a server at once, so that
crashing on purpose can pay: the linear program "assign each task to a server, within capacity" is
not a bound. This one is, for any prices p[k, j] >= 0 of a unit of capacity of server j from
decision k to the next, and any tolls c[e, j] >= 0 of a unit of demand that a crash of j at decision
e throws out. Every action sequence gives each decision one of two ends:

* task q is taken by server j and held up to decision e: the first at which it has finished (or the
  episode is over), or an earlier one at which j crashes under it. It earned utility, less
  penalty x (1 - progress at e) if it was thrown out;
* task e crashes server j: it earned -penalty, and all that j ran is thrown out.

What server j holds after each decision, and what a crash throws out, is at most capacity[j]. So
adding price x (capacity - held) for each (decision, server) and toll x (capacity - thrown out) for
each crash to the return never lowers it, and the sum falls apart into one choice per decision:

    return <= sum_kj p[k, j] capacity[j] + sum_q v[q],
    v[q] = max(max_j c[q, j] capacity[j] - penalty,
               max_j,e utility[q, j] - demand[q] sum_(q <= k < e) p[k, j]
                       - [thrown out at e] (penalty (1 - progress at e) + demand[q] c[e, j])).

The tolls that cost nothing are taken: c[e, j] = (v[e] + penalty) / capacity[j], where v[e] is
already known because the decisions are gone through backwards. They price what a crash costs at
least, its fixed penalty and the utility that its trigger does not earn, and bring the bound within
0.1 % of the linear program on `paper` (checked in `tests/edge_marl/bound/test_base.py`).

In slots, `slots.py` says when a task is decided on, and what changes where it may be held.

The capacity rows are per decision, not per time, so tasks that arrive together, and finishes at the
very time of an arrival (the capacity is free again), are as in the simulator.

The value is computed in whole numbers of 2^-36, with utilities rounded up, penalties rounded down
and prices and tolls that are such numbers themselves, so that no rounding error can lower it. The
prices come from a primal-dual method for the linear program (Chambolle and Pock 2011, with the
diagonal steps of Pock and Chambolle 2011 and over-relaxation); how good they are decides how tight
the bound is, never whether it holds. It uses + - * / and comparisons only, so that every machine
finds the same prices.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edge_marl.bound.certificate import FRACTION_BITS, Bound, round_up, rounding_margin
from edge_marl.bound.slots import (
    SHARE_BITS,
    HeldTasks,
    held_prices,
    sent_in_slots,
    slots_of,
)
from edge_marl.errors import WorkloadError
from edge_marl.jit import jit
from edge_marl.kernel.world import ARRIVAL, DEMAND, RUN_TIME, TYPE, Floats, Ints
from edge_marl.scenario import Scenario
from edge_marl.simulator.utility import task_utilities
from edge_marl.workload import Workload

__all__ = ["base_bound"]

UNIT = 2.0**FRACTION_BITS  # multiplying by a power of two is exact
MAX_PENALTY = 2 ** (62 - FRACTION_BITS - SHARE_BITS)

CHECKS = 20
"""Price vectors of the primal-dual method that are certified; the best one counts."""
ROUNDS_PER_CHECK = 100
STEP = 40.0
"""Step of the shares over step of the prices, for utilities and penalty of a span of 1."""
RELAXATION = 1.8
"""Over-relaxation; the method converges below 2."""


def base_bound(scenario: Scenario, workload: Workload) -> Bound:
    """Return a certified upper bound on the return of any policy in a scenario of the base model.

    In slots it is that of the game of gateways (`slots.py`); its prices are then of the decisions
    in the order of slots, or where gateways may hold their tasks of slots, from the first on.

    Takes about half a second for an episode of `paper` on one core.

    Raises:
        WorkloadError: if the workload does not fit the scenario, or its numbers are too large for
            64-bit certification.
    """
    workload.check_fits(scenario)
    tasks = workload.tasks[: workload.num_decisions(scenario)]
    if scenario.clock.slot_ms:
        tasks = sent_in_slots(scenario, workload)
    capacity = workload.topology.capacity
    if len(tasks) == 0:  # no slot is ever played
        return Bound(round_up(0), np.zeros((0, len(capacity))), 0)
    penalty = scenario.overload.penalty
    table = task_utilities(workload.topology, tasks[:, TYPE], tasks[:, DEMAND])
    best_service = table.reshape(len(tasks), len(capacity), -1).max(axis=2)
    # A task larger than a server crashes it: make that choice no better than the crash it is.
    utility = np.where(tasks[:, DEMAND, None] <= capacity, best_service, -penalty)
    span = float(np.abs(table).max()) + penalty or 1.0
    limit = _price_limit(tasks[:, DEMAND], capacity, penalty, span)
    if scenario.clock.hold:
        found = _if_held(scenario, workload, tasks, utility, limit)
    else:
        found = _if_sent(scenario, tasks, capacity, utility, limit, STEP / span)
    total, evictions, prices = found
    prices.flags.writeable = False
    return Bound(round_up(total + rounding_margin(len(tasks), span)), prices, evictions)


def _if_sent(
    scenario: Scenario, tasks: Ints, capacity: Ints, utility: Floats, limit: float, step: float
) -> tuple[int, int, Floats]:
    """Return the bound, in units, its evictions and its prices where a task is sent at its time."""
    # The first decision at which a task has finished: at the very time of its end it has.
    free = np.searchsorted(tasks[:, ARRIVAL], tasks[:, ARRIVAL] + tasks[:, RUN_TIME], side="left")
    scaled_utility = np.ceil(utility * UNIT).astype(np.int64)
    best = (np.iinfo(np.int64).max, 0, np.empty(0))
    for candidate in _candidates(capacity, utility, tasks, free, step):
        prices = np.rint(np.minimum(candidate, limit) * UNIT).astype(np.int64)
        total, evictions = _certificate(
            prices, capacity, scaled_utility, tasks, free, int(scenario.overload.penalty * UNIT)
        )
        if total < best[0]:
            best = (int(total), int(evictions), prices / UNIT)
    return best


def _if_held(
    scenario: Scenario, workload: Workload, tasks: Ints, utility: Floats, limit: float
) -> tuple[int, int, Floats]:
    """Return the same where gateways may hold their tasks."""
    slot, begin = scenario.clock.slot_ms, int(tasks[0, ARRIVAL])
    held = HeldTasks(
        utility=np.ceil(utility * UNIT).astype(np.int64),
        demand=np.ascontiguousarray(tasks[:, DEMAND]),
        run_time=np.ascontiguousarray(tasks[:, RUN_TIME]),
        first=(tasks[:, ARRIVAL] - begin) // slot,
        runs=-(-tasks[:, RUN_TIME] // slot),
        capacity=workload.topology.capacity,
        slots=slots_of(scenario, workload.tasks, begin),
        slot_ms=slot,
        penalty=int(scenario.overload.penalty * UNIT),
    )
    total, evictions, prices = held_prices(held, limit, UNIT)
    return total, evictions, prices / UNIT


def _candidates(
    capacity: Ints, utility: Floats, tasks: Ints, free: Ints, step: float
) -> Iterator[Floats]:
    """Yield prices: none at all, then better and better ones."""
    shares = np.zeros((len(utility), len(capacity) + 1))
    prices = np.zeros(utility.shape)
    yield prices
    for _ in range(CHECKS):
        yield _improve(capacity, utility, tasks, free, step, shares, prices)


def _price_limit(demand: Ints, capacity: Ints, penalty: float, span: float) -> float:
    """Highest price of any use: every task would rather crash. With it all sums fit 64 bits."""
    limit = span / float(demand.min())
    most = len(demand) * limit * float(capacity.sum() + demand.max())
    largest = 2.0 ** (62 - FRACTION_BITS)
    if most >= largest or penalty >= MAX_PENALTY:
        raise WorkloadError(
            f"decisions x (utility + penalty) x (capacity + demand) / demand = {most:g} and "
            f"penalty {penalty:g}: the bound's 64-bit arithmetic holds products below {largest:g} "
            f"and penalties below {MAX_PENALTY}: take a shorter workload or smaller units"
        )
    return limit


@jit
def _certificate(
    prices: Ints, capacity: Ints, utility: Ints, tasks: Ints, free: Ints, penalty: int
) -> tuple[int, int]:
    """The bound of the module's docstring and its evictions, in whole numbers of units."""
    n, servers = prices.shape
    held = np.zeros((n + 1, servers), dtype=np.int64)  # price of a unit held from the start
    tolls = np.empty((n, servers), dtype=np.int64)
    total = 0
    evictions = 0
    for k in range(n):
        for j in range(servers):
            held[k + 1, j] = held[k, j] + prices[k, j]
            total += prices[k, j] * capacity[j]
    for q in range(n - 1, -1, -1):
        demand, run_time = tasks[q, DEMAND], tasks[q, RUN_TIME]
        end = tasks[q, ARRIVAL] + run_time
        best = -penalty
        evicted = False
        for e in range(q + 1, free[q] + 1):
            loss = 0
            if e < free[q]:
                to_go = ((end - tasks[e, ARRIVAL]) << SHARE_BITS) // run_time
                loss = (penalty * to_go) >> SHARE_BITS
            for j in range(servers):
                worth = utility[q, j] - loss - demand * (held[e, j] - held[q, j])
                if worth > best and e < free[q]:
                    worth -= demand * tolls[e, j]
                if worth > best:
                    best = worth
                    evicted = e < free[q]
        total += best
        evictions += evicted
        for j in range(servers):
            tolls[q, j] = (best + penalty) // capacity[j]
    return total, evictions


@jit
def _improve(
    capacity: Ints,
    utility: Floats,
    tasks: Ints,
    free: Ints,
    step: float,
    shares: Floats,
    prices: Floats,
) -> Floats:
    """Run the primal-dual method on (shares, prices), in place; return prices >= 0.

    shares[q, j] is the part of task q on server j; the last column is the part that is refused at
    no cost. Crashes are left out here: they hardly pay once they are priced.
    """
    n, servers = prices.shape
    running = np.zeros(n + 1)  # demand of all that would run if nothing ever crashed
    for q in range(n):
        running[q] += tasks[q, DEMAND]
        running[free[q]] -= tasks[q, DEMAND]
    running = np.cumsum(running)
    held = np.zeros((n + 1, servers))
    load = np.empty((n + 1, servers))
    feasible = np.empty((n, servers))
    for _ in range(ROUNDS_PER_CHECK):
        for k in range(n):
            for j in range(servers):
                held[k + 1, j] = held[k, j] + prices[k, j]
        _respond(capacity.min(), utility, tasks, free, step, held, shares, load)
        for k in range(n):
            for j in range(servers):
                if k > 0:
                    load[k, j] += load[k - 1, j]
                rise = (load[k, j] - capacity[j]) / (step * running[k] * capacity[j])
                feasible[k, j] = max(0.0, prices[k, j] + rise)
                prices[k, j] += RELAXATION * (feasible[k, j] - prices[k, j])
    return feasible


@jit
def _respond(
    smallest: int,
    utility: Floats,
    tasks: Ints,
    free: Ints,
    step: float,
    held: Floats,
    shares: Floats,
    load: Floats,
) -> None:
    """Move each task's shares towards what pays; write the change of extrapolated load."""
    n, servers = utility.shape
    wanted = np.empty(servers + 1)
    ordered = np.empty(servers + 1)
    load[:] = 0.0
    for q in range(n):
        demand = tasks[q, DEMAND]
        size = step * smallest / (demand * (free[q] - q))
        for j in range(servers):
            worth = utility[q, j] - demand * (held[free[q], j] - held[q, j])
            wanted[j] = shares[q, j] + size * worth
        wanted[servers] = shares[q, servers]
        excess = _simplex_threshold(wanted, ordered)
        for j in range(servers + 1):
            share = max(0.0, wanted[j] - excess)
            if j < servers:
                change = demand * (2.0 * share - shares[q, j])
                load[q, j] += change
                load[free[q], j] -= change
            shares[q, j] += RELAXATION * (share - shares[q, j])


@jit
def _simplex_threshold(values: Floats, ordered: Floats) -> float:
    """What to take off `values` so that their positive parts sum to 1 (nearest point)."""
    for i in range(len(values)):
        at = i
        while at > 0 and ordered[at - 1] < values[i]:
            ordered[at] = ordered[at - 1]
            at -= 1
        ordered[at] = values[i]
    total = 0.0
    threshold = 0.0
    for i in range(len(ordered)):
        total += ordered[i]
        if ordered[i] * (i + 1) > total - 1.0:
            threshold = (total - 1.0) / (i + 1)
    return threshold
