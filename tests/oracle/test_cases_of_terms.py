"""Worked-out cases of lines at servers, what runs beside, levels, weights and saying no."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_marl.scenario import Scenario
from edge_marl.workload import Workload
from tests.oracle.cases import MEMORY, NOTHING, F, Row, Sides, case, check, request

LINE: dict[str, Any] = {"queue": {"limit": 2}}


def with_terms(
    world: tuple[Scenario, Workload], weights: list[int] | None = None, **sections: Any
) -> tuple[Scenario, Workload]:
    """A case with sections added, and the weights of its requests."""
    scenario, workload = world
    facts = scenario.model_dump(mode="json", exclude_defaults=True) | sections
    if weights is not None:
        classes = [{"name": f"{w}", "weight": w / 1000} for w in sorted({*weights, 4000})]
        facts["tasks"] = facts["tasks"] | {"classes": classes}
        parts = workload.topology, workload.tasks, workload.details, workload.outages
        workload = Workload(*parts, np.array(weights))
    return Scenario.model_validate(facts), workload


# ------------------------------------------------------------ queue


def test_a_task_waits_for_its_turn_first_come_first_served(side: Sides) -> None:
    """6 of 10 steps until 100; 5 wait until then; 4, which would fit at once, wait behind them."""
    rows = [Row(0, 100, 6), Row(10, 50, 5), Row(20, 30, 4), Row(150, 10, 1)]
    played = side.play(*with_terms(case(rows), **LINE), [0, 0, 0, 0])
    check(played, [1.0] * 4, [F.FINISHED] * 4, [100, 150, 130, 160])


def test_who_waits_keeps_others_waiting(side: Sides) -> None:
    """Large at 100 only, when all else has ended: small ones that came later do not overtake."""
    rows = [Row(0, 100, 6), Row(10, 50, 10), Row(20, 30, 1)]
    played = side.play(*with_terms(case(rows), **LINE), [0, 0, 0])
    check(played, [1.0] * 3, [F.FINISHED] * 3, [100, 150, 180])


def test_past_the_limit_a_task_is_denied(side: Sides) -> None:
    """Two wait; the third is denied, and one that is larger than the server too, line or not."""
    rows = [Row(0, 100, 10), *[Row(10, 50, 10)] * 3, Row(300, 10, 11)]
    played = side.play(*with_terms(case(rows), **LINE), [0] * 5)
    fates = [*[F.FINISHED] * 3, F.DENIED, F.DENIED]
    check(played, [1.0, 1.0, 1.0, -2.0, -2.0], fates, [100, 150, 200, 10, 300])
    assert played.crashes == [0]


def test_what_is_late_for_waiting_is_worth_less_at_once(side: Sides) -> None:
    """Waits from 0 to 100, ends at 150: 50 past a deadline of 100 is half of the value."""
    rows = [Row(0, 100, 10), Row(0, 50, 10, deadline=100)]
    played = side.play(*with_terms(case(rows), **LINE), [0, 0])
    check(played, [1.0, 0.5], [F.FINISHED] * 2, [100, 150])


def test_input_and_model_come_while_a_task_waits(side: Sides) -> None:
    """Sent at 80, its model is there at 110: ten after its turn."""
    rows = [Row(0, 100, 10, load_time=0), Row(80, 50, 10, load_time=30), Row(90, 5, 1)]
    world = with_terms(case(rows, **MEMORY), **LINE)
    played = side.play(*world, [0, 1, 1])
    # The third waits until 160, and finds the model there.
    check(played, [1.0] * 3, [F.FINISHED] * 3, [100, 160, 165])


def test_a_model_that_is_waited_for_cannot_leave(side: Sides) -> None:
    """2 + 2 of 5: model 2 (3) does not fit beside the one that runs and the one waited for."""
    rows = [Row(0, 100, 10), Row(10, 50, 10), Row(20, 10, 1)]
    played = side.play(*with_terms(case(rows, **MEMORY, refund=True), **LINE), [0, 1, 2])
    # A crash by memory at 20: 80 of 100 and 130 of 140 ms still to run, and both are taken back.
    lost = 2 + 2 * (1 - 20 / 100) + 2 * (1 - 10 / 140)
    check(played, [1.0, 1.0, -lost - 2], [F.CRASHED, F.CRASHED, F.REFUSED], [20, 20, 20])


def test_an_outage_ends_the_line(side: Sides) -> None:
    rows = [Row(0, 100, 10), Row(10, 50, 10), Row(60, 10, 10)]
    world = with_terms(case(rows, outages=[(50, 0, 5)], refund=True), **LINE)
    played = side.play(*world, [0, 0, 0])
    check(played, [1.0, -1.0, 1.0], [F.OUTAGE, F.OUTAGE, F.FINISHED], [50, 50, 70])


def test_a_line_that_was_lost_holds_up_nobody(side: Sides) -> None:
    """The second, whose turn was to be at 100, is lost at 20: the next line is a new one."""
    rows = [Row(0, 100, 10), Row(10, 50, 10), Row(30, 20, 10), Row(35, 10, 10)]
    world = with_terms(case(rows, outages=[(20, 0, 5)], refund=True), **LINE)
    played = side.play(*world, [0] * 4)
    fates = [F.OUTAGE, F.OUTAGE, F.FINISHED, F.FINISHED]
    check(played, [1.0, -1.0, 1.0, 1.0], fates, [20, 20, 50, 60])


def test_nothing_waits_on_the_cloud(side: Sides) -> None:
    cloud = {"price_per_step": 0.0, "slowdown": 2.0, "latency_ms": 0.0, "bandwidth_mbit": 8.0}
    rows = [Row(0, 100, 10), Row(0, 100, 10)]
    world = case(rows, cloud=cloud, neighbours=[[0, 1]], slowdown=[[1000], [2000]])
    played = side.play(*with_terms(world, **LINE, concurrency={"growth": [1.0]}), [1, 1])
    check(played, [1.0, 1.0], [F.FINISHED] * 2, [200, 200])


def test_the_line_is_seen_as_old_as_the_rest(side: Sides) -> None:
    """Server 0 is the gateway's own. Largest duration 200; reports every 100 ms."""
    rows = [Row(5, 90, 10), Row(5, 150, 10), Row(10, 60, 10), Row(130, 1), Row(210, 1)]
    world = with_terms(case(rows, servers=2, period=100, neighbours=[[1, 0]]), **LINE)
    played = side.play(*world, [1, 1, 1, 0, 0])
    lines = [seen[-4:].tolist() for seen in played.seen]
    # To server 0, the other: runs 5..95, then 95..245, then 245..305.
    assert lines[2] == [0.0, 0.0, 0.0, 0.0]
    assert lines[3] == pytest.approx([0.0, 0.0, 1 / 2, (245 - 100) / 200])
    assert lines[4] == pytest.approx([0.0, 0.0, 1 / 2, (245 - 200) / 200])


# ------------------------------------------------------------ concurrency


def test_each_task_beside_adds_its_part(side: Sides) -> None:
    """Growth .25: 100 alone, 125 beside one, 150 beside two; 40 beside two again at 110."""
    rows = [Row(0, 100), Row(0, 100), Row(0, 100), Row(110, 40)]
    world = with_terms(case(rows), concurrency={"growth": [0.25]})
    played = side.play(*world, [0] * 4)
    check(played, [1.0] * 4, [F.FINISHED] * 4, [100, 125, 150, 170])


def test_growth_is_of_the_service_and_rounds_up(side: Sides) -> None:
    """101 ms x 1.001 = 101.101 ms."""
    rows = [Row(0, 100), Row(0, 101), Row(0, 101)]
    world = with_terms(case(rows, services=2), concurrency={"growth": [0.001, 0.0]})
    played = side.play(*world, [1, 0, 1])
    check(played, [1.0] * 3, [F.FINISHED] * 3, [100, 102, 101])


def test_what_counts_is_what_runs_at_the_turn(side: Sides) -> None:
    """Sent at 10 beside two; its turn is at 100, when one of them still runs (growth 1)."""
    rows = [Row(0, 100, 5), Row(0, 75, 4), Row(10, 20, 6)]
    world = with_terms(case(rows), **LINE, concurrency={"growth": [1.0]})
    played = side.play(*world, [0, 0, 0])
    check(played, [1.0] * 3, [F.FINISHED] * 3, [100, 150, 140])


def test_the_duration_seen_is_beside_what_runs(side: Sides) -> None:
    """Of 10 tasks of one step, growth .5: the largest duration is 200 x (1 + 9 x .5) = 1,100."""
    rows = [Row(0, 100), Row(0, 60)]
    played = side.play(*with_terms(case(rows), concurrency={"growth": [0.5]}), [0, 0])
    assert played.seen[0][10] == pytest.approx(100 / 1100)
    assert played.seen[1][10] == pytest.approx(90 / 1100)


# ------------------------------------------------------------ levels


def test_a_level_takes_its_part_of_steps_run_time_and_quality(side: Sides) -> None:
    """5 steps at .5: 3 steps, 101 ms: 51; the curve gives a tenth a step up to 4."""
    rows = [Row(0, 101, 5), Row(0, 101, 5), Row(0, 101, 5)]
    world = case(rows, baseline=[[[0.5]]], curve=[[[0.0, 0.0, 4.0, 0.4]]], weight=1.0)
    levels = {"shares": [0.5, 1.0]}
    played = side.play(*with_terms(world, levels=levels), [0, 1, 0])
    # 3 + 5 steps leave 2 of 10: the last makes the server crash.
    lost = 2 + 2 + 2
    check(played, [0.8, 0.9, -lost], [F.CRASHED, F.CRASHED, F.REFUSED])
    # Task 4, server 5, service 4, then the quality of the lower level, halved.
    assert played.seen[0][9:].tolist() == pytest.approx([0.45, 101 / 200, 1.0, 0.0, 0.4])


def test_steps_are_paid_that_are_done(side: Sides) -> None:
    rows = [Row(0, 100, 5), Row(0, 100, 5)]
    world = case(rows, weight=1.0, energy=[[20]])
    played = side.play(*with_terms(world, levels={"shares": [0.2, 1.0]}), [0, 1])
    check(played, [1 - 0.02, 1 - 5 * 0.02], [F.FINISHED] * 2, [20, 100])


# ------------------------------------------------------------ classes and declining


def test_a_weight_multiplies_the_value_and_nothing_else(side: Sides) -> None:
    rows = [Row(0, 100, 6), Row(10, 50, 6), Row(100, 100, 5, deadline=50)]
    world = case(rows, weight=1.0, energy=[[10]], refund=True)
    played = side.play(*with_terms(world, weights=[3000, 4000, 250]), [0, 0, 0])
    crash = -(2 + 2 * 0.9) - 3.0
    check(played, [3 - 0.06, crash, -0.05], [F.CRASHED, F.REFUSED, F.FINISHED], [10, 10, 200])
    assert [seen[-1] for seen in played.seen] == pytest.approx([0.75, 1.0, 0.0625, 0.0])


def test_saying_no_costs_its_price_by_weight(side: Sides) -> None:
    rows = [Row(0, 100), *request(10, [10, 10])]
    world = with_terms(case(rows), weights=[1000, 2000, 2000], decline={"price": 0.05})
    played = side.play(*world, [1, 1])
    check(played, [-0.05, -0.1], [F.DECLINED, F.DECLINED, F.WAITING])
    assert played.illegal == 0


def test_in_a_game_no_is_another_choice_than_nothing(side: Sides) -> None:
    """Gateway 0 says no in the first slot; gateway 1 holds, and is served in the second."""
    rows = [Row(0, 20, gateway=0), Row(0, 20, gateway=1)]
    world = with_terms(case(rows, gateways=2, slot=10, hold=True), decline={"price": 0.5})
    played = side.game(*world, [[1, NOTHING], [NOTHING, 0]])
    check(played, [[-0.5, 0.0], [0.0, 1.0]], [F.DECLINED, F.FINISHED], [0, 30])
