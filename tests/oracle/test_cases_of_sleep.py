"""Worked-out cases of gateways that sleep; slots start at 0, 100, 200 and so on."""

from __future__ import annotations

import pytest

from tests.oracle.cases import NOTHING, F, Row, Sides, case, check, request


@pytest.mark.parametrize("hold", [False, True])
def test_tasks_of_a_sleeping_gateway_wait(side: Sides, hold: bool) -> None:
    """Asleep from 50 on for 200 ms: the task of 60 is sent at 300, whether holding is on or not."""
    rows = [Row(0, 20), Row(60, 20), Row(160, 20, gateway=1)]
    world = case(rows, gateways=2, slot=100, hold=hold, sleeps=[(50, 0, 200)])
    played = side.game(*world, [[0, NOTHING], [NOTHING, 0], [0, NOTHING]])
    check(played, [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [F.FINISHED] * 3, [20, 320, 220])


@pytest.mark.parametrize(
    ("begin", "length", "sent"), [(100, 100, 200), (101, 99, 100), (0, 100, 100)]
)
def test_asleep_is_from_the_beginning_until_the_end(
    side: Sides, begin: int, length: int, sent: int
) -> None:
    """At 100 it sleeps if it begins then, and not if it ends then, nor within a slot only."""
    played = side.game(*case([Row(50, 20)], slot=100, sleeps=[(begin, 0, length)]), [[0]])
    check(played, [[1.0]], [F.FINISHED], [sent + 20])


def test_a_choice_of_a_gateway_that_sleeps_counts_as_illegal_and_for_nothing(side: Sides) -> None:
    rows = [Row(0, 20), Row(0, 20, gateway=1)]
    world = case(rows, gateways=2, slot=100, sleeps=[(0, 1, 150)])
    played = side.game(*world, [[0, 0], [NOTHING, 0]])
    check(played, [[1.0, 0.0], [0.0, 1.0]], [F.FINISHED] * 2, [20, 220])
    assert played.illegal == 1
    assert not played.seen[0][1][:4].any()  # it is shown no task


def test_they_go_one_by_one_after_it_wakes_and_deadlines_run_on(side: Sides) -> None:
    """Both arrive at 0 with 250 ms: sent at 200 in time, at 300 late by 70 of 250."""
    rows = [Row(0, 20, deadline=250), Row(0, 20, deadline=250)]
    played = side.game(*case(rows, slot=100, sleeps=[(0, 0, 150)]), [[0], [0]])
    check(played, [[1.0], [1 - 70 / 250]], [F.FINISHED] * 2, [220, 320])


def test_a_stage_that_becomes_ready_waits_too(side: Sides) -> None:
    played = side.game(*case(request(0, [50, 20]), slot=100, sleeps=[(20, 0, 300)]), [[0], [0]])
    check(played, [[0.0], [1.0]], ends=[50, 420])


def test_who_sleeps_to_the_end_leaves_its_tasks_waiting(side: Sides) -> None:
    rows = [Row(0, 20), Row(0, 20, gateway=1)]
    played = side.game(*case(rows, gateways=2, slot=100, sleeps=[(0, 1, 5000)]), [[0, NOTHING]])
    check(played, [[1.0, 0.0]], [F.FINISHED, F.WAITING])


def test_sleeps_follow_each_other_without_a_slot_between(side: Sides) -> None:
    """Awake from 150 to 190, in which no slot starts."""
    world = case([Row(0, 20)], slot=100, sleeps=[(0, 0, 150), (190, 0, 30)])
    check(side.game(*world, [[0]]), [[1.0]], [F.FINISHED], [320])
