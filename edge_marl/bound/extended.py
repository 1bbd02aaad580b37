"""A certified upper bound on the return of every policy in the extended model with refund.

With refund on, a request that is lost, dropped or denied nets at most 0: what was granted for it is
taken back, prices paid and penalties stay. So no policy's return exceeds that of the requests that
it really serves (or that still run at the end), and each of their stages holds its demand on its
server from its dispatch to its end or the end of the episode. What a server holds never exceeds its
capacity. So for any prices p[j, b] >= 0 of a unit of server j's capacity through block b of time,

    return <= sum_jb p[j, b] capacity[j] + sum_requests max(0, sum_stages v[stage]),
    v[stage] = max over (neighbour, service, time) of
               share of value - cost - demand x (p summed over the reservation, parts by length),

where each choice is taken at its best: a larger value, a lower cost, a shorter reservation or a
choice that the rules forbid never lower the right-hand side, as no price is negative. Per part:

* Network. The transfer in (U) of a first stage is exact, and so is the way back (R) of a last one.
  A later stage's U is taken as 0, what it is on the server of the stage before.
* Speeds, hosting, neighbourhoods: exact. Energy price: exact.
* Cloud: its price, speed and links are exact; it has no capacity, so holding it costs nothing.
* Deadlines. The value falls with latency where it is positive, so the least latency is taken. Where
  it is not, serving nets no more than the 0 that each request has in any case (in a workflow, a
  stage of negative quality counts as 0 if there is a deadline: lateness may bring it up to 0).
* Residency. Loading is left out: a model is always there, and a task starts as soon as its input is
  in. It only makes reservations and latency longer. A model that is larger than its server's memory
  fits never: exact. That busy models share the memory is left out.
* Restart, telemetry: left out. A server that is down admits nothing; what is known does not bear
  on what can be done.
* Server failures, known in hindsight. A first stage cannot be sent while the server is down by one
  and is lost if one comes during the shortest reservation: exact, but for restarts. Left out for
  later stages.
* Failing tasks. A request nets at most 0 if a stage before its last one fails, or if its last one
  does and must end before the episode does.
* Workflows. A first stage is sent when it arrives. A later one is sent as soon as the stage before
  has ended, at some time between the earliest that the fastest servers allow and the latest that
  leaves any value; the best time for its own value less its price is taken. Each stage has its
  share of the value, quality / stages x lateness, with the lateness of the earliest end that its
  own choice allows. What one stage's choice means for the next is left out.
* Overload. A crash costs at least 0, and the tasks it loses net at most 0.

The slotted game is not covered: there a request may be sent after its arrival.

The value is computed in whole numbers of 2^-36. Values are rounded up, costs and sums of prices
down, and reservations are shortened to multiples of 2^-12 of a block, so that no rounding error can
lower it. How good the prices are decides how tight the bound is, never whether it holds.
They come from a deflected subgradient method (Camerini, Fratta and Maffioli 1975) with Polyak's
steps, each server's price in terms of its whole capacity. It uses + - * / and comparisons only, so
that every machine finds the same prices.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from edge_marl.bound.common import FRACTION_BITS, Bound, round_up, rounding_margin
from edge_marl.errors import ScenarioError, WorkloadError
from edge_marl.kernel.world import LOCATION, PROPAGATION, SERVER, US_PER_KB
from edge_marl.scenario import Scenario
from edge_marl.simulator.compiled import compiled, task_utility
from edge_marl.simulator.packing import pack_links, pack_prices, pack_services
from edge_marl.workload import (
    AFTER,
    ARRIVAL,
    DEADLINE,
    DEMAND,
    DOWNLOAD,
    DURATION,
    FAILS,
    GATEWAY,
    LOAD_TIME,
    NUM_DETAILS,
    RUN_TIME,
    STAGE,
    TIME,
    TYPE,
    UPLOAD,
    Workload,
)

__all__ = ["extended_bound", "has_bound"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

UNIT = 2.0**FRACTION_BITS  # multiplying by a power of two is exact
PART_BITS = 12
PARTS = 1 << PART_BITS
"""Parts of a block; places in time are counted in them from the start of the first block."""

NEVER = 2**60
WORST = -(2**60)
"""Worth of what cannot be chosen."""

# What keeps all sums and products within 64 bits.
LARGEST = 2.0 ** (61 - FRACTION_BITS)
"""Utility of all decisions together."""
DEAREST = 2 ** (62 - PART_BITS)
"""Units that a unit of capacity may cost through a block."""

BLOCKS_PER_RUN = 32
"""Blocks that a task of mean run time takes on the reference device."""
MAX_BLOCKS = 2048
MAX_CELLS = 2**20
"""Blocks x servers, for the sake of time and memory."""

ROUNDS = 800
FIRST_STEP, FADING = 0.1, 0.9885
"""Part of the bound that the first step aims to take off it, and the factor from step to step."""
DEFLECTION = 0.1
"""Weight of the newest subgradient in the direction of a step."""
TOO_SMALL = 1e-12
"""Squared length of a direction that leads nowhere."""


class Facts(NamedTuple):
    """What the choices of a stage follow from; N tasks, S servers, V services, G gateways."""

    tasks: Ints
    """(N, 5) of the workload."""
    details: Ints
    """(N, 7) of the workload."""
    quality: Floats
    """(N, L * V) of each service of each of the gateway's links."""
    takes: npt.NDArray[np.bool_]
    """(S, V) whether the server has the model, and the memory for it."""
    slowdown: Ints
    """(S, V) in thousandths."""
    price: Floats
    """(S, V) of a denoising step."""
    room: Ints
    """(S,) capacity; the cloud's is more than anything needs."""
    links: Ints
    """(G, L, 3) of `packing.pack_links`."""
    outages: Ints
    """(F, 3) server failures of the workload, ordered by server."""
    first_outage: Ints
    """(S + 1,) where those of each server begin."""
    cloud: int
    """Its number; -1: there is none."""
    longest_load: int
    """Most that loading a model can delay a task (ms)."""
    end: int
    """When the episode ends (ms)."""


class Grid(NamedTuple):
    """Blocks of time."""

    start: int
    """Beginning of the first block (ms)."""
    length: int
    """Length of each block (ms)."""
    blocks: int


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


def has_bound(scenario: Scenario) -> bool:
    """Whether `upper_bound` holds for a scenario: a base one, or an extended one with refund."""
    return not scenario.extended or scenario.overload.refund


def extended_bound(scenario: Scenario, workload: Workload) -> Bound:
    """Return a certified upper bound on the return of any policy in an extended scenario.

    Takes some seconds for 50 servers and a minute at most for 2,000, on one core.

    Raises:
        ScenarioError: if the scenario has no refund.
        WorkloadError: if the workload does not fit the scenario, or its numbers are too large for
            64-bit certification.
    """
    if not has_bound(scenario):
        raise ScenarioError(
            f"no bound for scenario '{scenario.name}': it has parts of the extended model without "
            "refund, so that lost tasks keep their utility: set overload.refund = true, or do "
            "without normalised scores"
        )
    workload.check_fits(scenario)
    facts = _gather(scenario, workload)
    span = float(np.abs(facts.quality).max()) + scenario.overload.penalty
    span += float(facts.tasks[:, DEMAND].max()) * float(facts.price.max())
    if len(facts.tasks) * span >= LARGEST:
        raise WorkloadError(
            f"decisions x (utility + penalty + price) = {len(facts.tasks) * span:g}: the bound's "
            f"64-bit arithmetic holds products below {LARGEST:g}: take a shorter workload or "
            "smaller units"
        )
    grid = _lay_grid(facts)
    ready, rest = _least_times(facts)
    choices = _list_choices(facts, grid, ready, rest)
    total, prices = _search(facts, grid, choices, ready, ROUNDS)
    per_ms = np.ascontiguousarray(prices.T) / (UNIT * grid.length)
    edges = grid.start + grid.length * np.arange(grid.blocks + 1)
    per_ms.flags.writeable = edges.flags.writeable = False
    value = round_up(int(total) + rounding_margin(len(facts.tasks), span))
    return Bound(value, per_ms, 0, edges)


def _gather(scenario: Scenario, workload: Workload) -> Facts:
    topology = workload.topology
    per_server = scenario.num_servers, scenario.num_services
    no_details = np.zeros((workload.num_tasks, NUM_DETAILS), dtype=np.int64)
    details = np.array(_or_else(workload.details, no_details))
    at_last_task = scenario.episode.end == "last-task"
    if at_last_task and details[:, AFTER].any():
        raise WorkloadError(
            "the workload has requests of several stages: their scenario must have episode.end = "
            "'horizon'"
        )
    decisions = workload.num_decisions(scenario)
    tasks = np.array(workload.tasks[:decisions])
    takes = np.array(_or_else(topology.hosted, np.ones(per_server, np.bool_)))
    room = np.array(topology.capacity)
    cloud = scenario.num_servers - 1 if scenario.cloud else -1
    if scenario.residency and topology.memory is not None and topology.model_memory is not None:
        fits = topology.model_memory <= topology.memory[:, None]
        fits[-1] |= scenario.cloud is not None
        takes &= fits
    if scenario.cloud:
        room[cloud] = NEVER
    outages = np.array(_or_else(workload.outages, np.zeros((0, 3), np.int64)))
    outages = outages[np.argsort(outages[:, LOCATION], kind="stable")]
    links = pack_links(topology, scenario)
    end = workload.tasks[-1, ARRIVAL] if at_last_task else scenario.arrivals.horizon_ms
    return Facts(
        tasks=tasks,
        details=details[:decisions],
        quality=_link_qualities(pack_services(topology)[None], links, tasks, scenario.num_services),
        takes=takes,
        slowdown=np.array(_or_else(topology.slowdown, np.full(per_server, 1000))),
        price=pack_prices(topology, scenario).reshape(per_server),
        room=room,
        links=links,
        outages=outages,
        first_outage=np.searchsorted(outages[:, LOCATION], np.arange(len(room) + 1)),
        cloud=cloud,
        longest_load=int(details[:, LOAD_TIME].max()) if scenario.residency else 0,
        end=int(end),
    )


def _or_else(array: npt.NDArray[Any] | None, default: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return default if array is None else array


@compiled
def _link_qualities(services: Floats, links: Ints, tasks: Ints, per_server: int) -> Floats:
    quality = np.empty((len(tasks), links.shape[1] * per_server))
    for k in range(len(tasks)):
        for link in range(links.shape[1]):
            first = links[tasks[k, GATEWAY], link, SERVER] * per_server
            for v in range(per_server):
                quality[k, link * per_server + v] = task_utility(
                    0, first + v, tasks[k, TYPE], tasks[k, DEMAND], services
                )
    return quality


def _lay_grid(facts: Facts) -> Grid:
    """Blocks from the first arrival on; the last one ends after the episode."""
    start = int(facts.tasks[0, ARRIVAL])
    time = facts.end - start + 1
    length = float(facts.tasks[:, RUN_TIME].mean()) / BLOCKS_PER_RUN
    most = min(MAX_BLOCKS, max(1, MAX_CELLS // len(facts.room)))
    whole = max(1, math.ceil(length), -(-time // most))
    return Grid(start, whole, -(-time // whole))


# Times, by the rules of `docs/extended_model.md`.


@numba.njit(cache=True)
def _run_time(f: Facts, k: int, server: int, service: int) -> int:
    return int(-(-(f.tasks[k, RUN_TIME] * f.slowdown[server, service]) // 1000))


@numba.njit(cache=True)
def _link_time(f: Facts, k: int, link: int, size: int) -> int:
    gateway = f.tasks[k, GATEWAY]
    sending = -(-(size * f.links[gateway, link, US_PER_KB]) // 1000)
    return int(f.links[gateway, link, PROPAGATION] + sending)


@numba.njit(cache=True)
def _input_time(f: Facts, k: int, link: int) -> int:
    """Least time that the input takes."""
    return _link_time(f, k, link, f.details[k, UPLOAD]) if f.details[k, STAGE] == 0 else 0


@numba.njit(cache=True)
def _return_time(f: Facts, k: int, link: int) -> int:
    return _link_time(f, k, link, f.details[k, DOWNLOAD]) if f.details[k, AFTER] == 0 else 0


@numba.njit(cache=True)
def _survives(f: Facts, server: int, now: int, end: int) -> bool:
    """Whether a server is up at `now` and no failure comes before `end`, but for restarts."""
    if server == f.cloud:
        return True
    for i in range(f.first_outage[server], f.first_outage[server + 1]):
        time = f.outages[i, TIME]
        if time <= now < time + f.outages[i, DURATION] or now < time < min(end, f.end):
            return False
    return True


@numba.njit(cache=True)
def _least_duration(f: Facts, k: int, link: int, service: int) -> int:
    """Least time from dispatch to end; NEVER where the task cannot be served."""
    server = f.links[f.tasks[k, GATEWAY], link, SERVER]
    if not f.takes[server, service] or f.tasks[k, DEMAND] > f.room[server]:
        return NEVER
    there, runs = _input_time(f, k, link), _run_time(f, k, server, service)
    if f.details[k, STAGE] == 0:
        now = f.tasks[k, ARRIVAL]
        latest = now + max(there, f.longest_load) + runs
        if f.details[k, FAILS] == 1 and latest < f.end:
            return NEVER
        if not _survives(f, server, now, now + there + runs):
            return NEVER
    return int(there + runs)


@numba.njit(cache=True)
def _must_fail(f: Facts, k: int) -> bool:
    """Whether a task that fails does so for sure if it is a stage of a request of any value."""
    if f.details[k, FAILS] == 0:
        return False
    limit = f.details[k, DEADLINE]
    return bool(f.details[k, AFTER] > 0 or (limit > 0 and f.tasks[k, ARRIVAL] + 2 * limit <= f.end))


@numba.njit(cache=True)
def _least_times(f: Facts) -> tuple[Ints, Ints]:
    """Earliest dispatch of each task, and least time from its end to the request's result.

    The dispatch is NEVER for all stages of a request that cannot be of value.
    """
    n = len(f.tasks)
    ready = np.empty(n, dtype=np.int64)
    rest = np.zeros(n, dtype=np.int64)
    least = np.full(n, NEVER)
    for k in range(n):
        for link in range(f.links.shape[1]):
            back = _return_time(f, k, link)
            for service in range(f.takes.shape[1]):
                duration = _least_duration(f, k, link, service)
                if duration < NEVER:
                    least[k] = min(least[k], duration + back)
        ready[k] = f.tasks[k, ARRIVAL]
        if f.details[k, STAGE] > 0:
            ready[k] = min(NEVER, ready[k - 1] + least[k - 1])
        too_late = f.details[k, STAGE] > 0 and ready[k] >= f.end
        if too_late or least[k] == NEVER or _must_fail(f, k):
            ready[k] = NEVER
    for k in range(n - 2, -1, -1):
        if f.details[k, AFTER] > 0:
            rest[k] = rest[k + 1] + least[k + 1]
            if ready[k + 1] == NEVER:
                ready[k] = NEVER
    return ready, rest


# What each stage may choose.


@numba.njit(cache=True)
def _up(g: Grid, time: int) -> int:
    """Place of a time in parts, rounded up; it may lie outside of the blocks."""
    return -(-(time - g.start) * PARTS // g.length)


@numba.njit(cache=True)
def _down(g: Grid, time: int) -> int:
    return (time - g.start) * PARTS // g.length


@numba.njit(cache=True)
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
    back = _return_time(f, k, link) + rest
    for v in range(services):
        duration[v] = _least_duration(f, k, link, v)
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


@numba.njit(cache=True)
def _is_dominated(v: int, gain: Floats, cost: Floats, duration: Ints) -> bool:
    """Whether a service of the same server is as good in all and better in one, or comes first."""
    for u in range(len(duration)):
        as_good = gain[u] >= gain[v] and cost[u] <= cost[v] and duration[u] <= duration[v]
        better = gain[u] > gain[v] or cost[u] < cost[v] or duration[u] < duration[v]
        if as_good and (better or u < v):
            return True
    return False


@numba.njit(cache=True)
def _worth_at(place: int, value: float, row: Ints) -> int:
    """Worth of a later stage dispatched at a place in time, less its cost, in units."""
    if place > row[KINK]:
        value *= max(0, row[ZERO] - place) / (row[ZERO] - row[KINK])
    worth = int(np.ceil(value * UNIT))
    return int(worth - row[COST])


@numba.njit(cache=True)
def _list_choices(f: Facts, g: Grid, ready: Ints, rest: Ints) -> Choices:
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
                back = _return_time(f, k, link) + rest[k]
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


@numba.njit(cache=True)
def _sort(rows: Ints, values: Floats, start: int, stop: int) -> None:
    """Bring the most worthy to the front, by insertion; equals stay in order."""
    for i in range(start + 1, stop):
        at = i
        while at > start and rows[at, WORTH] > rows[at - 1, WORTH]:
            values[at], values[at - 1] = values[at - 1], values[at]
            for column in range(rows.shape[1]):
                rows[at, column], rows[at - 1, column] = rows[at - 1, column], rows[at, column]
            at -= 1


@numba.njit(cache=True)
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
        row[BEGIN] = _up(g, ready)
        row[LENGTH] = max(0, _down(g, ready + duration) - row[BEGIN])
    else:
        row[BEGIN] = _down(g, ready)
        row[LENGTH] = duration * PARTS // g.length
        limit = f.details[k, DEADLINE]
        if limit > 0:
            in_time = f.tasks[k, ARRIVAL] + limit - duration - back
            row[KINK] = _up(g, in_time)
            row[ZERO] = max(row[KINK] + 1, _up(g, in_time + limit))
    row[WORTH] = _worth_at(row[BEGIN], gain, row)


# The bound at given prices.


@numba.njit(cache=True)
def _held_until(held: Ints, server: int, place: int) -> int:
    """Price of a unit of capacity from the start to a place in time, rounded down."""
    block = place >> PART_BITS
    price = held[server, block + 1] - held[server, block]
    return int(held[server, block] + (price * (place & (PARTS - 1)) >> PART_BITS))


@numba.njit(cache=True)
def _charge(held: Ints, demand: int, row: Ints, begin: int) -> int:
    """Price of a reservation of a choice from `begin` on, rounded down; at most -WORST."""
    end = min(begin + row[LENGTH], (held.shape[1] - 2) << PART_BITS)
    unit = _held_until(held, row[TO], end) - _held_until(held, row[TO], begin) - 1
    return int(demand * min(max(0, unit), -WORST // demand))


@numba.njit(cache=True)
def _best_dispatch(
    held: Ints, demand: int, row: Ints, value: float, last: int, least: int
) -> tuple[int, int]:
    """Best worth of a later stage over its times of dispatch, if above `least`, and that time.

    Worth and price are linear between the places where the dispatch or the end changes its block
    and where lateness begins, so one of these is best.
    """
    place, stop = row[BEGIN], min(row[ZERO], last)
    best, when = least, place
    while place <= stop:
        worth = _worth_at(place, value, row)
        if worth <= best:  # later ones are worth no more
            break
        worth -= _charge(held, demand, row, place)
        if worth > best:
            best, when = worth, place
        if place == stop:
            break
        end = place + row[LENGTH]
        begins = ((place >> PART_BITS) + 1) << PART_BITS
        ends = (((end >> PART_BITS) + 1) << PART_BITS) - row[LENGTH]
        then = min(begins, ends, stop)
        place = min(then, row[KINK]) if place < row[KINK] else then
    return best, when


@numba.njit(cache=True)
def _choose(f: Facts, c: Choices, held: Ints, k: int, last: int) -> tuple[int, int, int]:
    """Best worth of a stage less its price; which choice that is (-1: no capacity), and when."""
    best, choice, when = c.spared[k], -1, 0
    demand = f.tasks[k, DEMAND]
    for i in range(c.first[k], c.first[k + 1]):
        row = c.rows[i]
        if row[WORTH] <= best:
            break
        if f.details[k, STAGE] > 0:
            worth, place = _best_dispatch(held, demand, row, c.values[i], last, best)
        else:
            worth, place = row[WORTH] - _charge(held, demand, row, row[BEGIN]), row[BEGIN]
        if worth > best:
            best, choice, when = worth, i, place
    return best, choice, when


@numba.njit(cache=True)
def _certificate(
    f: Facts, c: Choices, ready: Ints, prices: Ints, last: int, held: Ints, load: Floats
) -> int:
    """The bound of the module's docstring in units; writes what the best choices would hold.

    Args:
        prices: (S, B) of a unit of capacity through a block, in units.
        last: last place in time at which a later stage can be dispatched.
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
    chosen, when = np.empty(3, dtype=np.int64), np.empty(3, dtype=np.int64)
    k = 0
    while k < len(f.tasks):
        stages = f.details[k, AFTER] + 1
        worth = WORST
        if ready[k] < NEVER:
            worth = 0
            for i in range(stages):
                best, chosen[i], when[i] = _choose(f, c, held, k + i, last)
                worth = max(WORST, worth + best)
        if worth > 0:
            total += worth
            for i in range(stages):
                if chosen[i] >= 0:
                    _hold(load, f.tasks[k + i, DEMAND], c.rows[chosen[i]], when[i])
        k += stages
    return total


@numba.njit(cache=True)
def _hold(load: Floats, demand: int, row: Ints, begin: int) -> None:
    """Add a reservation to the changes of load."""
    end = min(begin + row[LENGTH], (load.shape[1] - 2) << PART_BITS)
    for place, change in ((begin, demand), (end, -demand)):
        block, part = place >> PART_BITS, (place & (PARTS - 1)) / PARTS
        load[row[TO], block] += change * (1.0 - part)
        load[row[TO], block + 1] += change * part


# The prices.


@numba.njit(cache=True)
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


@numba.njit(cache=True)
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


@numba.njit(cache=True)
def _search(f: Facts, g: Grid, c: Choices, ready: Ints, rounds: int) -> tuple[int, Ints]:
    """Return the least bound that was found, in units, and its prices: (S, B) of a block."""
    shape = (len(f.room), g.blocks)
    spent = np.zeros(shape)  # price of a server's whole capacity through a block
    direction = np.zeros(shape)
    prices = np.zeros(shape, dtype=np.int64)
    held = np.zeros((shape[0], g.blocks + 2), dtype=np.int64)
    load = np.zeros(held.shape)
    last = _up(g, f.end - 1)
    best = _certificate(f, c, ready, prices, last, held, load)
    best_prices, most, total = prices.copy(), best / UNIT, best
    aim, weight = FIRST_STEP, 1.0
    for _ in range(rounds):
        size = _turn(f, load, spent, direction, weight)
        if size < TOO_SMALL:  # no server is ever too full
            break
        _move(f, direction, aim * (total / UNIT) / size, most, spent, prices)
        aim, weight = aim * FADING, DEFLECTION
        total = _certificate(f, c, ready, prices, last, held, load)
        if total < best:
            best = total
            best_prices[:] = prices
    return best, best_prices
