"""The bound against a linear program of its own, in a small world with terms of service."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_marl.bound import upper_bound
from edge_marl.draw import draw_workload
from edge_marl.scenario import Scenario
from edge_marl.workload import Workload
from tests.edge_marl.bound.linear_program import best_of_program
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
