"""Scenarios of the extended model for tests: one with every part on, and changes of it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from edge_marl.scenario import Scenario

OFF = object()
"""As a change: leave the section or field out."""

FULL: dict[str, Any] = {
    "name": "every-part",
    "version": 1,
    "summary": "every part of the extended model is on",
    "servers": {
        "law": "devices",
        "count": 12,
        "devices": [
            {
                "name": "small",
                "share": 3,
                "capacity": [60, 90],
                "slowdown": 4.0,
                "memory_mib": 8000,
                "joule_per_step": 2.5,
            },
            {
                "name": "large",
                "share": 1,
                "capacity": [200],
                "memory_mib": 24000,
                "joule_per_step": 10.0,
            },
        ],
        "models": [
            {"name": "turbo", "slowdown": 0.5, "memory_mib": 4000, "quality": [0.1, 0.5]},
            {"name": "base", "memory_mib": 6000},
            {"name": "xl", "slowdown": 2.5, "memory_mib": 12000, "quality": [0.5, 0.9]},
        ],
        "hosted": 2,
    },
    "tasks": {
        "types": 3,
        "demand": [20, 30, 48],
        "run_time_minutes": [0.0, 0.01, 0.05],
        "demand_share": [2, 7, 1],
        "zipf": 1.43,
        "sticky": 0.7,
        "users": 3,
        "stages": [5, 3, 2],
        "deadline_s": [30, 45, 60.5],
        "fail_share": 0.02,
        "upload_kb": [10, 200],
        "download_kb": [300, 4000],
    },
    "arrivals": {
        "rate_per_s": 0.5,
        "horizon_s": 2000.0,
        "gap_cv": 1.5,
        "bursts": {"ratio": 10, "quiet_s": 300, "busy_s": 100},
        "daily": [1, 3, 0.5, 2],
        "day_s": 1600,
        "hot_spots": {"count": 2, "gateways": 2, "ratio": 4, "period_s": 350},
    },
    "gateways": {"count": 6, "neighbourhood": 5, "zipf": 0.8, "area_km": [3, 2]},
    "network": {"latency_ms": 2.5, "ms_per_km": 1.5, "bandwidth_mbit": [20, 100]},
    "residency": {
        "load": [
            {"share": 36, "median_s": 2.96, "sd_log": 0.33},
            {"share": 64, "median_s": 31.0, "sd_log": 0.32},
        ]
    },
    "cloud": {
        "price_per_step": 0.01,
        "slowdown": 0.4,
        "latency_ms": 40,
        "bandwidth_mbit": 50,
    },
    "outages": {"every_s": 5000, "repair_s": 120},
    "telemetry": {"period_s": 5},
    "energy": {"weight": 0.001},
    "overload": {"penalty": 2.0, "loss_sum": "by-service", "restart_s": 60, "refund": True},
    "episode": {"end": "horizon"},
}


CLASSES = [
    {"name": "free", "share": 6, "weight": 0.5},
    {"name": "standard", "share": 3},
    {"name": "premium", "share": 1, "weight": 3.0},
]
TERMS: dict[str, Any] = {
    "tasks": {"classes": CLASSES},
    "queue": {"limit": 3},
    "concurrency": {"growth": [0.5, 0.7, 0.8]},
    "levels": {"shares": [0.4, 0.75, 1.0]},
    "decline": {"price": 0.05},
}
"""A change that adds the parts that were not there when `FULL`'s workloads were first drawn."""


def world(**changes: Any) -> Scenario:
    """The full scenario with changes: a section's fields to replace, or OFF.

    For example `world(outages=OFF, tasks={"zipf": OFF, "users": 1})`.
    """
    facts = deepcopy(FULL)
    for section, change in changes.items():
        if change is OFF:
            del facts[section]
        elif isinstance(change, dict) and isinstance(facts.get(section), dict):
            fields = facts[section] | change
            facts[section] = {name: value for name, value in fields.items() if value is not OFF}
        else:
            facts[section] = change
    return Scenario.model_validate(facts)


PLAIN: dict[str, Any] = {
    "gap_cv": OFF,
    "bursts": OFF,
    "daily": OFF,
    "day_s": OFF,
    "hot_spots": OFF,
}
"""A change of `arrivals` that leaves one Poisson process per gateway."""
