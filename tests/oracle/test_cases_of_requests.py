"""Worked-out cases of stages, refunds, failures and the horizon."""

from __future__ import annotations

from typing import Any

import pytest

from edge_marl.kernel import world as k
from tests.oracle.agreement import STATUS
from tests.oracle.cases import (
    LINKS,
    MEMORY,
    NETWORK,
    QUALITIES,
    F,
    Row,
    Sides,
    case,
    check,
    request,
    server_part,
)
from tests.oracle.reference_sim import Fate


def test_a_stage_is_ready_when_the_one_before_has_ended(side: Sides) -> None:
    """Value (0.25 + 1 + 1) / 3 with the last; deadlines run from the request's arrival."""
    rows = [*request(10, [20, 30, 40], deadline=90), Row(25, 5)]
    played = side.play(*case(rows, **QUALITIES), [0, 1, 1, 1])
    check(played, [0.0, 1.0, 0.0, 2.25 / 3], [F.FINISHED] * 4, [30, 60, 100, 30])


def test_decisions_of_one_time_go_by_row(side: Sides) -> None:
    """At 30 stage 1 of the first request (row 1) comes before the arrivals (rows 2 and 3)."""
    rows = [*request(0, [30, 10]), Row(30, 10, 6), Row(30, 10, 6)]
    played = side.play(*case(rows, **QUALITIES), [0, 1, 0, 0])
    check(played, [0.0, 1.25 / 2, 0.25, -4.0], [F.FINISHED, F.FINISHED, F.CRASHED, F.REFUSED])


def test_the_input_of_a_later_stage_lies_where_the_one_before_ended(side: Sides) -> None:
    """Stage 1 stays: no time. Stage 2 goes from 1 to 0: 30 + 6 and 10 + 4. Only it goes back."""
    rows = request(0, [10, 10, 10], upload=4, download=4, deadline=130)
    world = case(rows, servers=2, network=NETWORK, **LINKS)
    ends = [46, 56, 56 + 36 + 14 + 10]
    played = side.play(*world, [1, 1, 0])
    check(played, [0.0, 0.0, 1.0], ends=ends)  # back at 116 + 10 + 4 = 130: just in time
    late = case(rows, servers=2, network=NETWORK, **LINKS | {"propagation": [[11, 30]]})
    # Server 0's link is a ms longer both ways: 132 ms.
    check(side.play(*late, [1, 1, 0]), [0.0, 0.0, (260 - 132) / 130])
    assert server_part(played.seen[0], 1)[4] == 0.0
    assert [server_part(played.seen[1], n)[4] for n in (0, 1)] == [0.0, 1.0]


@pytest.mark.parametrize("how", ["dropped", "denied", "refused", "crashed", "outage", "fails"])
def test_a_lost_stage_ends_its_request(side: Sides, how: str) -> None:
    rows = request(0, [50, 50, 50], demand=6, fails=int(how == "fails"))
    lost: dict[str, tuple[Fate, list[int], list[float], dict[str, Any]]] = {
        "dropped": (F.DROPPED, [0], [-2.0], {"hosted": [[False], [True]]}),
        "denied": (F.DENIED, [0], [-2.0], {"outages": [(0, 0, 9)]}),
        "refused": (F.REFUSED, [0], [-2.0], {"capacity": [5, 5]}),
        "crashed": (F.CRASHED, [0, 0], [0.0, -(2 + 2 * 0.2)], {}),
        "outage": (F.OUTAGE, [0], [0.0], {"outages": [(49, 0, 0)]}),
        "fails": (F.FAILED, [0], [0.0], {}),
    }
    fate, actions, rewards, more = lost[how]
    if how == "crashed":
        rows.append(Row(40, 10, 6))
    played = side.play(*case(rows, **QUALITIES, **more), actions)
    check(played, rewards)
    assert played.status[:3] == [STATUS[fate], k.WAITING, k.WAITING]


# ------------------------------------------------------------ refunds, failures


@pytest.mark.parametrize(("refund", "back"), [(True, 1.0), (False, 0.0)])
def test_a_crash_takes_back_what_was_granted(side: Sides, refund: bool, back: float) -> None:
    """In the crash's own step; the price stays paid."""
    rows = [Row(0, 100, 6), Row(50, 100, 6)]
    world = case(rows, refund=refund, weight=1.0, energy=[[10]])
    check(side.play(*world, [0, 0]), [1 - 0.06, -3.0 - back], [F.CRASHED, F.REFUSED])


def test_a_task_that_fails_by_itself_is_taken_back_by_the_decision_before(side: Sides) -> None:
    """It ends at 100, between the decisions at 50 and at 120; the last at the horizon itself."""
    rows = [Row(0, 100, fails=1), Row(50, 10), Row(120, 10), Row(900, 100, fails=1)]
    fates = [F.FAILED, F.FINISHED, F.FINISHED, F.FAILED]
    ends = [100, 60, 130, 1000]
    check(side.play(*case(rows, refund=True), [0] * 4), [1, 0, 1, 0], fates, ends)


def test_an_outage_loses_what_runs_and_the_models(side: Sides) -> None:
    """At 50: row 0 has just ended, row 1 runs; at 69 down, at 70 up, the model is cold again."""
    rows = [Row(0, 45, load_time=5), Row(0, 46, load_time=5), Row(69, 5), Row(70, 5, load_time=5)]
    fates = [F.FINISHED, F.OUTAGE, F.DENIED, F.FINISHED]
    world = case(rows, refund=True, outages=[(50, 0, 20)], **MEMORY)
    played = side.play(*world, [0, 0, 0, 0])
    check(played, [1, 0, -2, 1], fates, [50, 50, 69, 80])
    assert played.crashes == [0]


def test_a_server_is_down_until_the_later_of_two_failures(side: Sides) -> None:
    """50 + 100 outlasts 60 + 10; and a crash's restart (200 + 100) outlasts 210 + 10."""
    rows = [Row(149, 5), Row(150, 5), Row(200, 5, 11), Row(299, 5), Row(300, 5)]
    outages = [(50, 0, 100), (60, 0, 10), (210, 0, 10)]
    fates = [F.DENIED, F.FINISHED, F.REFUSED, F.DENIED, F.FINISHED]
    world = case(rows, restart=100, outages=outages)
    check(side.play(*world, [0] * 5), [-2, 1, -2, -2, 1], fates)


def test_a_failing_task_that_ends_with_an_outage_has_left_already(side: Sides) -> None:
    """It failed by itself, and the stage of the other, which ended too, goes on."""
    rows = [*request(0, [50, 10]), Row(0, 50, fails=1)]
    fates = [F.FINISHED, F.FINISHED, F.FAILED]
    world = case(rows, refund=True, outages=[(50, 0, 20)], **QUALITIES)
    check(side.play(*world, [0, 0, 1]), [0, 0.25 - 0.25, 1.25 / 2], fates)


def test_an_outage_when_a_task_arrives_comes_first(side: Sides) -> None:
    check(side.play(*case([Row(50, 5)], outages=[(50, 0, 1)]), [0]), [-2.0], [F.DENIED])


@pytest.mark.parametrize("how", ["outage", "crash"])
def test_refunds_are_summed_in_order_of_assignment(side: Sides, how: str) -> None:
    """Service 2 (0.1), then 0 (0.2), then 1 (0.3): ((0 - 0.1) - 0.2) - 0.3, to the last bit."""
    rows = [Row(t, 500) for t in (0, 1, 2)] + [Row(50, 5, 11)] * (how == "crash")
    qualities = [[[0.2], [0.3], [0.1]]]
    failures = [(50, 0, 0)] * (how == "outage")
    world = case(rows, services=3, baseline=qualities, outages=failures, refund=True, penalty=0.0)
    played = side.play(*world, [2, 0, 1, 0][: len(rows)])
    taken_back = ((0.0 - 0.1) - 0.2) - 0.3
    assert taken_back != ((0.0 - 0.2) - 0.3) - 0.1
    assert played.rewards[-1] == (taken_back if how == "crash" else 0.3 + taken_back)


# ------------------------------------------------------------ horizon


def test_a_stage_that_is_ready_at_the_horizon_is_not_decided_on(side: Sides) -> None:
    rows = [*request(0, [999, 10]), *request(0, [1000, 10])]
    fates = [F.FINISHED, F.RUNNING, F.FINISHED, F.WAITING]
    check(side.play(*case(rows, **QUALITIES), [1, 1, 1]), [0.0, 0.0, 1.0], fates)


def test_what_runs_over_the_horizon_keeps_its_value(side: Sides) -> None:
    rows = [Row(0, 1001, fails=1), Row(0, 1000, fails=1)]
    played = side.play(*case(rows, refund=True, outages=[(1001, 0, 1)]), [0, 0])
    check(played, [1.0, 0.0], [F.RUNNING, F.FAILED])
