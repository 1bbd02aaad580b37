"""The bound of lines, levels, classes, slots and the like where what is best is known by hand.

A server has 10 steps, all qualities are 1, the penalty is 2, and the horizon is at 1000 ms.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_marl.bound import upper_bound
from edge_marl.scenario import Scenario
from edge_marl.workload import Workload
from tests.oracle.cases import Row, case

LINE: dict[str, Any] = {"queue": {"limit": 2}}
NETWORK: dict[str, Any] = {"latency_ms": 10.0, "bandwidth_mbit": [8.0, 8.0]}
HALF: dict[str, Any] = {"levels": {"shares": [0.5, 1.0]}}


def bound_of(
    rows: list[Row], terms: dict[str, Any] | None = None, weights: Any = None, **world: Any
) -> float:
    """The bound of tasks in a world with terms of service; weights in thousandths."""
    scenario, workload = case(rows, refund=True, **world)
    facts = scenario.model_dump(mode="json", exclude_defaults=True) | (terms or {})
    if weights is not None:
        facts["tasks"]["classes"] = [{"name": "any", "weight": 4.0}]
        parts = workload.topology, workload.tasks, workload.details, workload.outages
        workload = Workload(*parts, np.array(weights))
    return upper_bound(Scenario.model_validate(facts), workload).value


# ------------------------------------------------------------ queue


def test_what_waits_is_served_later() -> None:
    rows = [Row(0, 100, 10), Row(0, 100, 10)]
    assert bound_of(rows) == pytest.approx(1, abs=0.01)
    assert bound_of(rows, LINE) == pytest.approx(2, abs=1e-5)


def test_value_falls_while_a_task_waits() -> None:
    """One ends at 100, the other at 200: a third of its value is gone."""
    rows = [Row(0, 100, 10, deadline=150), Row(0, 100, 10, deadline=150)]
    assert bound_of(rows, LINE) == pytest.approx(1 + 2 / 3, abs=0.02)


def test_a_task_waits_while_its_input_is_under_way() -> None:
    """Input 0..10, run 10..110, result at 120; the other runs 110..210: 220 of 240 ms are gone."""
    rows = [Row(0, 100, 10, deadline=120), Row(0, 100, 10, deadline=120)]
    links: dict[str, Any] = {"neighbours": [[0]], "propagation": [[10]], "us_per_kb": [[1000]]}
    value = bound_of(rows, LINE, network=NETWORK, **links)
    assert 1 + 1 / 6 <= value <= 1 + 1 / 6 + 0.02


def test_more_steps_than_the_server_has_are_never_served() -> None:
    assert bound_of([Row(0, 100, 11)], LINE) < 1e-5
    assert bound_of([Row(0, 100, 11)], LINE | HALF) == pytest.approx(1, abs=1e-5)


def test_what_waits_ends_before_its_server_fails() -> None:
    rows = [Row(0, 100, 10), Row(0, 100, 10)]
    assert bound_of(rows, LINE, outages=[(200, 0, 5)]) == pytest.approx(2, abs=0.01)
    assert bound_of(rows, LINE, outages=[(150, 0, 5)]) < 1.6
    assert bound_of(rows, LINE, outages=[(199, 0, 5)]) < 2


def test_the_line_at_the_end_holds_as_much_as_any() -> None:
    """Sent at 900, only the first ends in time; all four would if nothing were held past 1000."""
    rows = [Row(900, 100, 10, deadline=100)] * 4
    assert bound_of(rows, LINE) == pytest.approx(1, abs=0.02)


def test_a_failing_task_may_wait_until_the_end() -> None:
    """600 ms alone fail at 600; behind another they last until 1200, past the end."""
    rows = [Row(0, 600, 10), Row(0, 600, 10, fails=1)]
    assert bound_of(rows) == pytest.approx(1, abs=1e-5)
    assert bound_of(rows, LINE) == pytest.approx(2, abs=1e-5)
    early = [Row(0, 100, 10), Row(0, 100, 10, fails=1)]  # at most (10 + 2 x 101) ms of waiting
    assert bound_of(early, LINE) == pytest.approx(1, abs=1e-5)


# ------------------------------------------------------------ concurrency


def test_run_times_are_those_alone() -> None:
    """Left out: beside the first the second takes 200 ms, and is worth nothing."""
    rows = [Row(0, 100, deadline=100), Row(0, 100, deadline=100)]
    assert bound_of(rows, {"concurrency": {"growth": [1.0]}}) == pytest.approx(2, abs=1e-5)


def test_a_failing_task_may_be_slowed_down_past_the_end() -> None:
    rows = [Row(0, 600), Row(0, 600, fails=1)]
    assert bound_of(rows) == pytest.approx(1, abs=1e-5)
    assert bound_of(rows, {"concurrency": {"growth": [1.0]}}) == pytest.approx(2, abs=1e-5)


# ------------------------------------------------------------ levels, classes, declining


def test_a_level_has_its_own_steps_quality_and_price() -> None:
    """5 of 10 steps are as good; .02 J a step is .02 of utility."""
    rows = [Row(0, 100, 10), Row(0, 100, 10)]
    world: dict[str, Any] = {"curve": [[[0.0, 0.0, 5.0, 0.0]]], "weight": 1.0, "energy": [[20]]}
    assert bound_of(rows, **world) == pytest.approx(1 - 0.2, abs=0.01)
    assert bound_of(rows, HALF, **world) == pytest.approx(2 * (1 - 0.1), abs=1e-5)


def test_a_lower_level_is_worth_what_its_steps_are() -> None:
    """A tenth of quality a step: one in full, two halves at 5 steps each, or one beside a half."""
    rows = [Row(0, 100, 10), Row(0, 100, 10)]
    curve = [[[0.0, 0.0, 10.0, 1.0]]]
    assert bound_of(rows, HALF, baseline=[[[0.0]]], curve=curve) == pytest.approx(1, abs=0.02)
    assert bound_of(rows, HALF, baseline=[[[1.0]]], curve=curve) == pytest.approx(3, abs=0.02)


def test_the_weight_multiplies_the_value() -> None:
    rows = [Row(0, 100, 10), Row(0, 100, 10)]
    assert bound_of(rows, weights=[4000, 500]) == pytest.approx(4, abs=0.02)
    assert bound_of(rows, LINE, weights=[4000, 500]) == pytest.approx(4.5, abs=1e-5)


def test_saying_no_is_worth_nothing() -> None:
    rows = [Row(0, 100, 11), Row(0, 100)]
    assert bound_of(rows, {"decline": {"price": 0.1}}) == pytest.approx(1, abs=1e-5)


# ------------------------------------------------------------ slots


def test_in_slots_a_request_may_be_sent_later() -> None:
    rows = [Row(0, 300, 10), Row(0, 300, 10)]
    assert bound_of(rows, slot=100, hold=True) == pytest.approx(2, abs=1e-5)
    late = [Row(0, 300, 10, deadline=400), Row(0, 300, 10, deadline=400)]
    assert bound_of(late, slot=100, hold=True) == pytest.approx(1.5, abs=0.02)


def test_in_slots_a_request_may_be_sent_after_a_failure() -> None:
    world: dict[str, Any] = {"outages": [(0, 0, 250)]}
    rows = [Row(0, 100, 10, deadline=200)]
    assert bound_of(rows, **world) < 1e-5
    assert bound_of(rows, slot=100, hold=True, **world) >= 0.75  # sent at 250, or at 300: half


def test_in_slots_a_failing_task_may_outlast_the_end() -> None:
    rows = [Row(0, 100, 10, fails=1)]
    assert bound_of(rows) < 1e-5
    assert bound_of(rows, slot=100, hold=True) == pytest.approx(1, abs=1e-5)
    due = [Row(0, 100, 10, deadline=400, fails=1)]
    assert bound_of(due, slot=100, hold=True) < 1e-5
