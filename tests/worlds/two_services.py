"""A small extended world, and observations of it made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario

FACTS: dict[str, Any] = {
    "name": "by-hand",
    "version": 1,
    "summary": "for tests",
    "servers": {
        "law": "devices",
        "count": 3,
        "devices": [
            {"name": "small", "capacity": [100], "slowdown": 2.0, "memory_mib": 8},
            {"name": "large", "capacity": [200], "memory_mib": 16},
        ],
        "models": [
            {"name": "quick", "memory_mib": 4},
            {"name": "good", "slowdown": 4.0, "memory_mib": 8},
        ],
    },
    "tasks": {"types": 1, "demand": [20, 40], "run_time_minutes": [0.0, 0.0, 0.05]},
    "arrivals": {"rate_per_s": 0.5, "horizon_s": 100.0},
    "overload": {"penalty": 2.0, "loss_sum": "by-service", "refund": True},
    "episode": {"end": "horizon"},
}
CLOUD = {"price_per_step": 0.01}


def make_world(**sections: Any) -> Scenario:
    """Servers of 100 or 200 steps with 2 models each; `sections` are added or have fields added."""
    facts = dict(FACTS)
    for name, fields in sections.items():
        facts[name] = {**facts.get(name, {}), **fields} if isinstance(fields, dict) else fields
    return Scenario.model_validate(facts)


def observe(scenario: Scenario, free: list[float], **seen: Any) -> npt.NDArray[np.float32]:
    """The observation (1, D) of a task of 20 steps; `free` are the servers' free steps.

    `seen` names features ("service_quality") with their values in their own units. What is left out
    is: servers of 100 steps (the cloud of 200), up; models warm, of no cost, quality 0.5 and 1 and
    run times of 6 s and 24 s.
    """
    layout = ObservationLayout(scenario)
    capacity = np.array(seen.get("server_capacity", [100, 100, 100, 200][: layout.num_servers]))
    services = (layout.num_servers, layout.num_services)
    values: dict[str, Any] = {
        "task_demand": 20,
        "task_run_time": 3000,
        "server_capacity": capacity,
        "server_free_share": np.array(free) / capacity,
        "server_up": 1.0,
        "service_warm": 1.0,
        "service_quality": np.broadcast_to([0.5, 1.0], services),
        "service_duration": np.broadcast_to([6000, 24000], services),
    }
    flat = np.zeros(layout.size, dtype=np.float32)
    for feature in layout.features:
        key = feature.name.replace(" ", "_")
        value = seen.get(key, values.get(key, 0.0))
        flat[feature.indices] = np.ravel(value) / feature.scale
    return flat[None]
