"""Workloads of any scenario that is valid, and laws that are not."""

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import ValidationError

from edge_marl import draw_workload
from edge_marl.kernel.world import (
    DEMAND,
    LOCATION,
    TIME,
)
from edge_marl.scenario import Scenario
from tests.worlds.every_part import OFF, PLAIN, world


@st.composite
def any_world(draw: st.DrawFn) -> Scenario:
    """A valid scenario with parts on and off, some at the ends of their ranges."""

    def some(name: str, *values: Any) -> dict[str, Any]:
        value = draw(st.sampled_from([OFF, *values]))
        return {} if value is OFF else {name: value}

    gateways = draw(st.integers(1, 9))
    servers = draw(st.integers(1, 7))
    cloud: Any = draw(st.sampled_from([OFF, {}, {"slowdown": 1000.0, "latency_ms": 1e6}]))
    horizon = draw(st.sampled_from([0.0004, 1.0, 600.0, 2e9]))
    tasks = draw(st.sampled_from([1e-3, 1.0, 30.0, 300.0]))
    rate = max(1e-7, tasks / horizon)
    stages: Any = draw(st.sampled_from([[1], [1e9, 1e-3], [1, 2, 3]]))
    few = st.integers(1, 4)
    models = draw(few)
    changes: dict[str, Any] = {
        "servers": {
            "law": "devices",
            "count": servers,
            "devices": [
                {"name": "a", "capacity": [1, 7], "slowdown": 0.001, "memory_mib": 100},
                {"name": "b", "share": 1e9, "capacity": [2**31 - 1], "memory_mib": 2**40},
                {"name": "c", "capacity": [5], "slowdown": 1000.0, "joule_per_step": 1e6}
                | {"memory_mib": 100},
            ][: draw(few)],
            "models": [
                {"name": "x", "memory_mib": 100},
                {"name": "y", "memory_mib": 2**31 - 1, "slowdown": 1000.0},
                {"name": "z", "quality": [0.5, 0.5], "slowdown": 0.001},
                {"name": "w", "quality": [1.0, 1.0]},
            ][:models],
            "hosted": draw(st.integers(0, models)),
        },
        "tasks": {
            "types": 2,
            "demand": draw(st.sampled_from([[1], [3, 5, 2]])),
            "run_time_minutes": [0, 0.001, 0],
            "demand_share": OFF,
            "zipf": draw(st.sampled_from([0.0, 1.0, 10.0])),
            "sticky": draw(st.sampled_from([0.0, 0.5, 1.0])),
            "users": draw(st.sampled_from([1, 10**6])),
            "stages": stages,
            "deadline_s": draw(st.sampled_from([[], [0.001, 1e7]])),
            "fail_share": draw(st.sampled_from([0.0, 0.5, 1.0])),
            "upload_kb": draw(st.sampled_from([[0, 0], [0, 10**6]])),
            "download_kb": draw(st.sampled_from([[0, 0], [10**6, 10**6]])),
        },
        "arrivals": {
            **PLAIN,
            "rate_per_s": rate,
            "horizon_s": horizon,
            "gap_cv": draw(st.sampled_from([0.1, 1.0, 10.0])),
            "resolution_s": draw(st.sampled_from([0.001, 1.0, 1e6])),
            **some("daily", [0, 1], [1]),
            "day_s": 1e7 if horizon > 1e6 else 2.0,
        }
        | (
            {}
            if horizon > 1e6
            else some(
                "bursts",
                {"ratio": 1e6, "quiet_s": 1e7, "busy_s": 0.1},
                {"ratio": 1.0, "quiet_s": 0.3, "busy_s": 0.2},
            )
            | some("hot_spots", {"count": 1, "gateways": 1, "ratio": 1e6, "period_s": 0.5})
        ),
        "gateways": {
            "count": gateways,
            "zipf": draw(st.sampled_from([0.0, 1.0, 10.0])),
            "neighbourhood": draw(st.integers(0, servers)),
            "area_km": draw(st.sampled_from([[1e-4, 1e4], [1e4, 1e4], [1, 1]])),
        },
        "network": draw(
            st.sampled_from(
                [
                    OFF,
                    {"latency_ms": 1e6, "ms_per_km": 500, "bandwidth_mbit": [0.008, 1e6]},
                    {"latency_ms": 0, "bandwidth_mbit": [1, 1]},
                ]
            )
        ),
        "residency": draw(
            st.sampled_from([OFF, {"load": [{"share": 1e-6, "median_s": 1e6, "sd_log": 5}]}])
        ),
        "cloud": cloud if cloud is OFF else {"price_per_step": 0.0} | cloud,
        "outages": draw(st.sampled_from([OFF, {"every_s": horizon / 50, "repair_s": 1e7}])),
        "telemetry": draw(st.sampled_from([OFF, {"period_s": 1}])),
    }
    classes = draw(st.sampled_from([OFF, [], [{"name": "a", "weight": 1000.0}] * 3]))
    changes["tasks"]["classes"] = classes
    if draw(st.booleans()):
        changes |= {
            "queue": draw(st.sampled_from([None, {"limit": 1}, {"limit": 1024}])),
            "concurrency": draw(st.sampled_from([None, {"growth": [0.0]}])),
            "levels": draw(st.sampled_from([None, {"shares": [0.001, 1.0]}])),
            "decline": draw(st.sampled_from([None, {"price": 1e9}])),
        }
    if len(stages) == 1:
        changes["episode"] = {"end": draw(st.sampled_from(["last-task", "horizon"]))}
    return world(**changes)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(any_world(), st.integers(0, 2**40))
def test_any_scenario_gives_a_workload_that_fits(scenario: Scenario, seed: int) -> None:
    workload = draw_workload(scenario, seed)
    workload.check_fits(scenario)
    assert workload.digest == draw_workload(scenario, seed).digest
    tasks = workload.tasks
    assert set(tasks[:, DEMAND].tolist()) <= set(scenario.tasks.demand)
    hosted = workload.topology.arrays()["hosted"]
    assert hosted.any(axis=1).all()
    if scenario.outages:
        assert workload.outages is not None
        assert (workload.outages[:, LOCATION] < scenario.servers.count).all()
        assert (workload.outages[:, TIME] < max(1, scenario.arrivals.horizon_ms)).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arrivals": {"day_s": 0.003}}, "a part of the day, day_s / 4, is 0.00075 s: must be at"),
        ({"arrivals": {"day_s": 0.4}}, "a part of the day.* at least horizon_s / 10000 = 0.2 s"),
        (
            {"arrivals": {"bursts": {"ratio": 2, "quiet_s": 0.1, "busy_s": 0.2}}},
            "the mean of bursts.quiet_s and bursts.busy_s is 0.15 s: must be at least",
        ),
        (
            {"arrivals": {"hot_spots": {"count": 1, "gateways": 1, "ratio": 2, "period_s": 0.1}}},
            "hot_spots.period_s is 0.1 s: must be at least 0.001 s and",
        ),
        (
            {"servers": {"models": [{"name": "m", "quality": [0.5, 0.4]}], "hosted": 1}},
            r"quality = \[0.5, 0.4\]: the least comes first",
        ),
        (
            {"arrivals": {"rate_per_s": 200}},
            "mean number of stages = 680000 tasks per episode: at most 524288 fit",
        ),
        ({"outages": {"every_s": 0.3}}, "every_s = 0.3: 80000 outages per episode, at most 65536"),
        (
            {"gateways": {"count": 500_000}},
            "500000 gateways x 13 servers: at most 4194304 pairs have a distance",
        ),
        (
            {"servers": {"models": [{"name": "m", "memory_mib": 9000}], "hosted": 1}},
            "'small' has memory_mib = 8000: the smallest model takes 9000",
        ),
    ],
)
def test_laws_that_cannot_be_drawn_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        world(**changes)
