"""Small worlds written out by hand, and observations of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario

DEMANDS = (100, 150, 200)


def make_world(
    baseline: list[list[list[float]]],
    capacity: list[int],
    *,
    end: str = "horizon",
    rate_per_s: float = 1.0,
) -> Scenario:
    """A world whose services pay their baseline and nothing else; tasks run some 4 hours."""
    flat = [[(0.0, 0.0, 1000.0, 0.0) for _ in server] for server in baseline]
    facts: dict[str, Any] = {
        "name": "by-hand",
        "version": 1,
        "summary": "for tests",
        "servers": {"law": "given", "capacity": capacity, "baseline": baseline, "curve": flat},
        "tasks": {
            "types": len(baseline[0][0]),
            "demand": DEMANDS,
            "run_time_minutes": (0.001, 2.5, -14.0),
        },
        "arrivals": {"rate_per_s": rate_per_s, "horizon_s": 40.0 / rate_per_s},
        "overload": {"penalty": 2.0, "loss_sum": "by-service"},
        "episode": {"end": end},
    }
    return Scenario.model_validate(facts)


def observe(
    scenario: Scenario, task_type: int, demand: int, free: list[int]
) -> npt.NDArray[np.float32]:
    """The observation (1, D) of a task and the servers' free capacities."""
    layout = ObservationLayout(scenario)
    capacity = scenario.servers.capacity
    kinds = np.eye(layout.num_types)[task_type] if layout.num_types > 1 else []
    run_time = scenario.tasks.run_time_ms(demand) / layout.max_run_time_ms
    servers = [(c / layout.max_capacity, f / c) for c, f in zip(capacity, free, strict=True)]
    flat = [*kinds, demand / layout.max_demand, run_time, *np.ravel(servers)]
    return np.array([flat], dtype=np.float32)
