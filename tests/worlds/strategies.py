"""Hypothesis strategies for small scenarios, workloads and actions that provoke every rule.

Times lie on a coarse grid, so that arrivals meet each other and the end of tasks; capacities are
sums of demands, so that tasks fit exactly; actions are few, so that servers crash.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st

from edge_marl.kernel.world import ARRIVAL
from edge_marl.scenario import Scenario
from edge_marl.workload import Workload
from edge_marl.workload.topology import draw_topology

# An episode is some hundred draws, so time limits and size checks of single examples say nothing.
THOROUGH = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
MAX_TASKS = 40
PUBLISHED_RUN_TIME = (0.001, 2.5, -14.0)  # minutes
PUBLISHED_DEMANDS = tuple(range(100, 251, 10))
STEP_PER_SECOND = (0.0, 1 / 60, 0.0)  # minutes: t steps take t seconds
CLOCKS = ("slots with holding", "slots", "events")
GRID = [round(0.1 * i, 1) for i in range(11)] + [0.30000000000000004, 0.6000000000000001]


@dataclass(frozen=True)
class Episode:
    """A scenario with a workload that fits it and an action per decision."""

    scenario: Scenario
    workload: Workload
    actions: list[int]


@dataclass(frozen=True)
class Batch:
    """A scenario with several episodes, row by row."""

    scenario: Scenario
    workloads: list[Workload]
    actions: list[list[int]]


@dataclass(frozen=True)
class Game:
    """A scenario to play as a multi-agent game: two episodes of a seed, then a given workload."""

    scenario: Scenario
    workload: Workload
    seed: int

    @property
    def resets(self) -> list[dict[str, Any]]:
        """What to call `reset` with for each of the three episodes."""
        return [{"seed": self.seed}, {}, {"options": {"workload": self.workload}}]


def qualities() -> st.SearchStrategy[float]:
    """Qualities from the published grid, and any others."""
    return st.one_of(st.sampled_from(GRID), st.floats(-1, 2, allow_subnormal=False))


@st.composite
def curves(draw: st.DrawFn, demands: tuple[int, ...]) -> tuple[float, float, float, float]:
    """A curve ax, ay, bx, by whose corners may lie on, between or beyond the demands."""
    corners = st.one_of(
        st.sampled_from([float(t) for t in demands]),
        st.integers(0, demands[-1]).map(float),
        st.floats(0, 2 * demands[-1], allow_subnormal=False),
    )
    ax, bx = sorted([draw(corners), draw(corners)])
    bx = max(bx, ax + 0.5)
    return ax, draw(qualities()), bx, draw(qualities())


@st.composite
def scenarios(draw: st.DrawFn, end: str | None = None) -> Scenario:
    """A world of 1..5 servers, 1..4 services and 1..4 types, small or of the published sizes."""
    servers, services, types = (draw(st.integers(1, high)) for high in (5, 4, 4))
    published = draw(st.booleans())
    known = st.sampled_from(PUBLISHED_DEMANDS) if published else st.integers(1, 9)
    demands = tuple(sorted(draw(st.sets(known, min_size=1, max_size=4))))
    exact = st.lists(st.sampled_from(demands), min_size=1, max_size=6).map(sum)
    capacity = draw(
        st.lists(
            st.one_of(exact, st.integers(1, 6 * demands[-1])), min_size=servers, max_size=servers
        )
    )
    service_rows = st.lists(
        st.lists(qualities(), min_size=types, max_size=types), min_size=services, max_size=services
    )
    curve_rows = st.lists(curves(demands), min_size=services, max_size=services)
    facts: dict[str, Any] = {
        "name": "random-world",
        "version": 1,
        "summary": "drawn by a test",
        "servers": {
            "law": "given",
            "capacity": capacity,
            "baseline": draw(st.lists(service_rows, min_size=servers, max_size=servers)),
            "curve": draw(st.lists(curve_rows, min_size=servers, max_size=servers)),
        },
        "tasks": {
            "types": types,
            "demand": demands,
            "run_time_minutes": PUBLISHED_RUN_TIME if published else STEP_PER_SECOND,
        },
        "arrivals": {
            "rate_per_s": draw(st.sampled_from([1e-4, 2e-4] if published else [0.5, 1.0])),
            "horizon_s": draw(st.sampled_from([5e4, 4e5] if published else [10.0, 60.0])),
            "resolution_s": draw(st.sampled_from([0.001, 1.0])),
        },
        "gateways": {"count": draw(st.integers(1, 3))},
        "overload": {
            "penalty": draw(st.sampled_from([2.0, 2.0, 0.7, 0.0])),
            "loss_sum": draw(st.sampled_from(["by-service", "in-order"])),
        },
        "episode": {"end": end or draw(st.sampled_from(["last-task", "horizon"]))},
    }
    return Scenario.model_validate(facts)


@st.composite
def slotted(draw: st.DrawFn, scenario: Scenario, hold: bool) -> Scenario:
    """The same scenario in slots: as long as a run time, so that ends meet slots, or others."""
    run_time_s = scenario.tasks.run_time_ms(draw(st.sampled_from(scenario.tasks.demand))) / 1000
    slot_s = draw(st.sampled_from([run_time_s / 3, run_time_s, 2 * run_time_s]))
    return scenario.with_clock(slot_s, hold)


@st.composite
def workloads(draw: st.DrawFn, scenario: Scenario) -> Workload:
    """Tasks for a scenario: its own demands and run times, or others that are no larger."""
    unit = 1000 if draw(st.booleans()) else 1
    run_times = [scenario.tasks.run_time_ms(t) // unit for t in scenario.tasks.demand]
    gaps = st.sampled_from([0, 0, 1, 2, max(run_times) // 8, max(run_times) // 3, *run_times])
    demands: st.SearchStrategy[int] = st.sampled_from(scenario.tasks.demand)
    if draw(st.integers(0, 3)) == 0:
        demands = st.one_of(demands, st.integers(1, scenario.tasks.max_demand))
    own_run_times = draw(st.integers(0, 3)) > 0
    fewest = 2 if scenario.episode.end == "last-task" else 1
    count = draw(st.integers(fewest, MAX_TASKS))
    rows = draw(
        st.lists(
            st.tuples(
                gaps,
                st.integers(1, 5),
                demands,
                st.integers(0, scenario.num_types - 1),
                st.integers(0, scenario.gateways.count - 1),
            ),
            min_size=count,
            max_size=count,
        )
    )
    tasks = np.array(rows, np.int64)
    tasks[:, 0] = np.cumsum(tasks[:, 0]) * unit
    if scenario.episode.end == "horizon":
        tasks[:, 0] = np.minimum(tasks[:, 0], scenario.arrivals.horizon_ms)
    tasks[:, 1] *= unit
    if own_run_times:
        tasks[:, 1] = [scenario.tasks.run_time_ms(t) for t in tasks[:, 2].tolist()]
    # The formula is below zero for few steps.
    tasks[:, 1] = np.clip(tasks[:, 1], 1, scenario.tasks.max_run_time_ms)
    return Workload(topology=draw_topology(scenario), tasks=tasks)


@st.composite
def action_lists(draw: st.DrawFn, scenario: Scenario, count: int) -> list[int]:
    """One action per decision: from all, from a few or from one server, which overloads them."""
    actions = st.integers(0, scenario.num_actions - 1)
    kind = draw(st.sampled_from(["all", "few", "one server"]))
    if kind == "few":
        actions = st.sampled_from(draw(st.lists(actions, min_size=1, max_size=3)))
    elif kind == "one server":
        first = draw(st.integers(0, scenario.num_servers - 1)) * scenario.num_services
        actions = st.integers(first, first + scenario.num_services - 1)
    return draw(st.lists(actions, min_size=count, max_size=count))


@st.composite
def episodes(draw: st.DrawFn, end: str | None = None) -> Episode:
    """A random scenario with one episode of it."""
    scenario = draw(scenarios(end=end))
    workload = draw(workloads(scenario))
    count = workload.num_decisions(scenario)
    return Episode(scenario, workload, draw(action_lists(scenario, count)))


@st.composite
def games(draw: st.DrawFn, clocks: tuple[str, ...] = CLOCKS) -> Game:
    """A random game on one of the clocks; its first task does not wait beyond the horizon."""
    clock = draw(st.sampled_from(clocks))
    scenario = draw(scenarios())
    if clock != "events":
        scenario = draw(slotted(scenario, hold=clock == "slots with holding"))
    workload = draw(workloads(scenario))
    if slot_ms := scenario.clock.slot_ms:
        first_slot = -(-int(workload.tasks[0, ARRIVAL]) // slot_ms) * slot_ms
        assume(first_slot < scenario.arrivals.horizon_ms or scenario.episode.end == "last-task")
    return Game(scenario, workload, draw(st.one_of(st.just(0), st.integers(0, 2**31))))


@st.composite
def batches(draw: st.DrawFn, size: int) -> Batch:
    """A random scenario with ``size`` episodes of it, of different lengths."""
    scenario = draw(scenarios())
    rows = [draw(workloads(scenario)) for _ in range(size)]
    counts = [workload.num_decisions(scenario) for workload in rows]
    return Batch(scenario, rows, [draw(action_lists(scenario, count)) for count in counts])
