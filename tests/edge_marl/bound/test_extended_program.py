"""The bound against a linear program of its own, in a small world with terms of service.

Written from `docs/extended_model.md`: each task may take its capacity at any of some times on any
server that it can be sent to, on any service, at any level, as a whole or in parts; within each of
the bound's blocks of time a server holds no more than its capacity on average. More times only make
the program's optimum larger, so it may not pass the bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.sparse import csr_array

from edge_marl.bound import Bound, upper_bound
from edge_marl.draw import draw_workload
from edge_marl.scenario import Scenario
from edge_marl.workload import Workload
from tests.oracle.reference_sim import ReferenceSimulator
from tests.worlds.every_part import OFF, PLAIN, world

SMALL: dict[str, Any] = {
    "servers": {"count": 3},
    "tasks": {"stages": OFF, "fail_share": OFF},
    "gateways": {"count": 2, "neighbourhood": 2},
    "cloud": OFF,
    "residency": OFF,
    "outages": OFF,
    "telemetry": OFF,
    "levels": {"shares": [0.5, 1.0]},
    "concurrency": {"growth": [0.2]},
    "decline": {"price": 0.05},
}
EVERY = 4
"""A task may take its capacity at the start of one block of so many."""


class Way(NamedTuple):
    """A way to serve a task."""

    task: int
    server: int
    worth: float
    steps: int
    begin: int
    end: int


def small(rate: float, **changes: Any) -> tuple[Scenario, Workload]:
    """A small world, with weights, and a workload."""
    arrivals = PLAIN | {"rate_per_s": rate, "horizon_s": 240.0}
    scenario = world(**SMALL, arrivals=arrivals, **changes)
    drawn = draw_workload(scenario, 0, split="validation")
    weights = np.array([500, 1000, 4000])[np.arange(drawn.num_tasks) * 7 % 3]
    facts = scenario.model_dump(mode="json", exclude_defaults=True)
    facts["tasks"]["classes"] = [{"name": f"{w}", "weight": w} for w in (0.5, 1, 4)]
    parts = drawn.topology, drawn.tasks, drawn.details, drawn.outages, weights
    return Scenario.model_validate(facts), Workload(*parts)


def ways_of(scenario: Scenario, workload: Workload, times: list[int]) -> Iterator[Way]:
    """All ways to serve each task."""
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
                    begins = [earliest, *(time for time in times if time > earliest)]
                    for begin in begins if may_wait and not server.is_cloud else begins[:1]:
                        value = request.value(begin + holds + back - request.arrival)
                        worth = value - steps * service.price
                        if worth > 0:
                            number = -1 if server.is_cloud else server.number
                            yield Way(task.number, number, worth, steps, begin, begin + holds)


def best_of_program(scenario: Scenario, workload: Workload, bound: Bound) -> float:
    """Optimum of the linear program."""
    assert bound.edges is not None
    edges = bound.edges
    last = edges[-1] if scenario.queue else scenario.arrivals.horizon_ms
    ways = list(ways_of(scenario, workload, edges[edges < last][::EVERY].tolist()))
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


@pytest.mark.parametrize(
    ("changes", "above"),
    [
        ({}, 1.001),
        ({"queue": {"limit": 3}}, 1.01),
        ({"clock": {"slot_s": 5.0, "hold": True}}, 1.01),
        ({"queue": {"limit": 3}, "clock": {"slot_s": 5.0, "hold": True}}, 1.01),
    ],
    ids=["at once", "queue", "slots", "queue in slots"],
)
def test_it_is_near_a_linear_program_and_above_it(changes: dict[str, Any], above: float) -> None:
    """94 tasks, about half of what they would be worth if there were room for all."""
    scenario, workload = small(0.4, **changes)
    bound = upper_bound(scenario, workload)
    best = best_of_program(scenario, workload, bound)
    assert best <= bound.value <= above * best
    assert bound.prices.max() > 0
