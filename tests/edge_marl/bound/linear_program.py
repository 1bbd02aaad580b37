"""The bound's linear program, solved by HiGHS, for scenarios with terms of service.

Written from `docs/model/extended.md`: each task may take its capacity at any of some times on any
server that it can be sent to, on any service, at any level, as a whole or in parts; within each of
the bound's blocks of time a server holds no more than its capacity on average. More times only make
the program's optimum larger, so it may not pass the bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array

from edge_marl.bound import Bound
from edge_marl.scenario import Scenario
from edge_marl.workload import Workload
from tests.oracle.reference_sim import ReferenceSimulator
from tests.oracle.world import Server

__all__ = ["best_of_program"]

EVERY, MOST = 4, 1000
"""A task may take its capacity at the start of one block of so many, and of so many of those."""


class Way(NamedTuple):
    """A way to serve a task."""

    task: int
    server: int
    worth: float
    steps: int
    begin: int
    end: int


def ways_of(scenario: Scenario, workload: Workload, times: list[int], most: int) -> Iterator[Way]:
    """Ways to serve each task: at once, and from at most so many later times on."""
    oracle = ReferenceSimulator(scenario, workload)
    may_wait = scenario.queue is not None or scenario.clock.slot_s > 0
    for task in oracle.tasks:
        gateway, request = oracle.gateways[task.gateway], task.request
        for link in gateway.links:
            server, sent = link.server, gateway.way_in(task, link)
            back = gateway.way_back(task, link)
            earliest = request.arrival + (sent if scenario.queue else 0)
            for service in server.services:
                for share in oracle.levels if service.hosted else ():
                    steps = -(-task.demand * share // 1000)
                    if steps > server.capacity and not server.is_cloud:
                        continue
                    holds = service.duration(-(-task.run_time * share // 1000), 0)
                    holds += 0 if scenario.queue else sent
                    request.qualities = [service.utility(task, steps)]
                    later = (time for time in times if time > earliest)
                    begins = [earliest, *islice(later, most if may_wait else 0)]
                    for begin in begins[:1] if server.is_cloud else begins:
                        if fails_before(oracle, server, request.arrival, begin + holds):
                            break
                        value = request.value(begin + holds + back - request.arrival)
                        worth = value - steps * service.price
                        if worth > 0:
                            number = -1 if server.is_cloud else server.number
                            yield Way(task.number, number, worth, steps, begin, begin + holds)


def fails_before(oracle: ReferenceSimulator, server: Server, arrival: int, end: int) -> bool:
    """Whether a server is down when a task arrives, or fails before it has ended."""
    mine = [outage for outage in oracle.outages if outage.server is server]
    return any(arrival - outage.duration < outage.time < end for outage in mine)


def best_of_program(
    scenario: Scenario, workload: Workload, bound: Bound, most: int = MOST
) -> float:
    """Optimum of the linear program.

    Args:
        scenario: of single stages, with no task that fails.
        workload: its tasks.
        bound: whose blocks it has.
        most: later times at which a task may take its capacity, on each server.
    """
    assert bound.edges is not None
    edges = bound.edges
    last = edges[-1] if scenario.queue else scenario.arrivals.horizon_ms
    ways = list(ways_of(scenario, workload, edges[edges < last][::EVERY].tolist(), most))
    blocks, columns = len(edges) - 1, np.arange(len(ways))
    rows, at, much = [np.array([way.task for way in ways])], [columns], [np.ones(len(ways))]
    for column, way in enumerate(ways):
        if way.server >= 0:
            overlap = np.minimum(way.end, edges[1:]) - np.maximum(way.begin, edges[:-1])
            (held,) = np.nonzero(overlap > 0)
            rows.append(workload.num_tasks + way.server * blocks + held)
            at.append(np.full(len(held), column))
            much.append(way.steps * overlap[held])
    capacity = np.repeat(workload.topology.capacity[: scenario.servers.count], blocks)
    length = np.tile(np.diff(edges), scenario.servers.count)
    limits = np.concatenate([np.ones(workload.num_tasks), capacity * length])
    entries = np.concatenate(much), (np.concatenate(rows), np.concatenate(at))
    table = csr_array(entries, shape=(len(limits), len(ways)))
    solved = linprog([-way.worth for way in ways], A_ub=table, b_ub=limits)
    assert solved.success
    return float(-solved.fun)
