"""Worked-out cases of what is seen, and of slots."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.oracle.cases import NOTHING, F, Row, Sides, case, check, request, server_part
from tests.oracle.test_cases_of_servers import CLOUD

# ------------------------------------------------------------ what is seen


def test_every_feature_of_a_vector(side: Sides) -> None:
    """Two edge servers and the cloud, seen by gateway 0 with neighbours 1, 0 and the cloud.

    Scales: demand 5, run time 200 ms, capacity 10, deadline 3 x 100 ms, delay: with p = max(10 + 5
    x hypot(3, 4), 50) = 50 and u = 1000 us: 100 + (20 + 80) x 1 = 200 ms; duration 200 x 2 (cloud).
    """
    world = case(
        [Row(100, 60, 4), *request(130, [20, 150], demand=3, deadline=200, upload=20, download=40)],
        servers=2,
        services=2,
        residency=True,
        memory=[4, 4, 4],
        model_memory=[1, 1],
        weight=1.0,
        energy=[[10, 20], [0, 0], [0, 5]],
        cloud={**CLOUD, "latency_ms": 50.0},
        network={"latency_ms": 10.0, "ms_per_km": 5.0, "bandwidth_mbit": [8.0, 800.0]},
        scales={"upload_kb": [0, 20], "download_kb": [0, 80]},
        neighbours=[[1, 0, 2]],
        propagation=[[5, 15, 50]],
        us_per_kb=[[1000, 500, 250]],
        slowdown=[[1000, 3000], [500, 1000], [2000, 2000]],
        hosted=[[True, True], [False, True], [True, True]],
        baseline=[[[0.5], [1.0]], [[0.25], [0.75]], [[1.5], [2.0]]],
    )
    scenario = world[0].model_copy(
        update={"gateways": world[0].gateways.model_copy(update={"area_km": (3.0, 4.0)})}
    )
    # Row 0: server 1, model 1: input 5 ms, 60 ms: ends at 165. Row 1: server 0, model 0: input 15 +
    # 10, run 20: ends at 175. At 175 row 2 is shown.
    played = side.play(scenario, world[1], [1, 2, 3])
    task = [3 / 5, 150 / 200, 155 / 300, 0.0]
    servers = [
        # There from server 0: 15 + 10 through the gateway, and on; back 40 kB.
        [1.0, 1.0, 1.0, min(1, (25 + 5 + 20 + 5 + 40) / 200), 0.0],
        [1.0, 1.0, 1.0, (0 + 15 + 20) / 200, 1.0],
        [1.0, 1.0, 1.0, (25 + 50 + 5 + 50 + 10) / 200, 0.0],
    ]
    services = [
        [0.0, 0.0, 0.0, 0.0],
        [0.375, 150 / 400, 1.0, 0.0],
        [0.25, 150 / 400, 1.0, 3 * 0.01],
        [0.5, 1.0, 0.0, 3 * 0.02],
        [0.75, 300 / 400, 1.0, 3 * 0.125],
        [1.0, 300 / 400, 1.0, 3 * (0.125 + 0.005)],
    ]
    np.testing.assert_allclose(
        played.seen[2], np.concatenate([task, *servers, *services]), rtol=1e-6
    )
    first = played.seen[0]
    assert first[:4].tolist() == pytest.approx([4 / 5, 60 / 200, 0.0, 0.0])
    second = played.seen[1]
    assert second[:4].tolist() == pytest.approx([3 / 5, 20 / 200, 200 / 300, 1 / 2])
    assert server_part(second, 0) == pytest.approx([1.0, 0.6, 1.0, 25 / 200, 0.0])
    last = played.seen[3]
    assert not last[:4].any()
    assert server_part(last, 2) == [1.0, 1.0, 1.0, 0.0, 0.0]
    warm = last[19:].reshape(6, 4)
    assert warm[:, 2].tolist() == [0, 1, 1, 1, 1, 1]  # row 2 went to server 0, model 1
    assert not warm[:, [0, 1, 3]].any()


def test_a_deadline_that_is_past_is_zero(side: Sides) -> None:
    rows = request(0, [100, 10], deadline=50)
    played = side.play(*case(rows), [0, 0])
    assert [seen[2] for seen in played.seen] == [np.float32(50 / 300), 0.0, 0.0]


def test_a_server_that_is_down_is_shown_so(side: Sides) -> None:
    played = side.play(*case([Row(5, 5), Row(10, 5)], outages=[(0, 0, 10)]), [0, 0])
    assert server_part(played.seen[0], 0)[1:3] == [0.0, 0.0]
    assert server_part(played.seen[1], 0)[1:3] == [1.0, 1.0]


def test_telemetry_shows_others_as_of_the_last_tick(side: Sides) -> None:
    """Ticks every 100 ms. Own server: the present. Server 1: as of 0, 0, 100, 100, 300."""
    arrivals = (0, 50, 100, 100, 350)
    rows = [Row(t, 200, 2) for t in arrivals]
    played = side.play(*case(rows, servers=2, period=100), [1, 0, 1, 1, 0])
    others = [server_part(seen, 1)[1] for seen in played.seen[:5]]
    # At 100 row 0 runs, the decisions at 100 are not in it; at 300 rows 2 and 3 have just left.
    assert others == pytest.approx([1.0, 1.0, 0.8, 0.8, 1.0])
    own = [server_part(seen, 0)[1] for seen in played.seen[:5]]
    assert own == pytest.approx([1.0, 1.0, 0.8, 0.8, 1.0])


def test_telemetry_of_failures_and_models(side: Sides) -> None:
    """Server 1 fails at 100 (a tick, and in its report) and is up at 150, unknown until 200."""
    arrivals = (0, 99, 100, 160, 200)
    rows = [Row(t, 500, load_time=5) for t in arrivals]
    more: dict[str, Any] = {"residency": True, "memory": [1, 1], "model_memory": [1]}
    world = case(rows, servers=2, period=50 * 2, outages=[(100, 1, 50)], **more)
    played = side.play(*world, [1, 0, 0, 0, 0])
    assert [server_part(seen, 1)[2] for seen in played.seen[:5]] == [1, 1, 0, 0, 1]
    # Warm at 0 on its server: after the decision at 0, so the report of 0 does not have it.
    assert [seen[14 + 4 + 2] for seen in played.seen[:5]] == [0, 0, 0, 0, 0]
    assert [seen[14 + 2] for seen in played.seen[:5]] == [0, 0, 1, 1, 1]


# ------------------------------------------------------------ slots


def test_a_slot_is_played_in_order_of_readiness_and_gateway(side: Sides) -> None:
    """Slots of 100. Rows wait since 10 (gateway 1) and 20 (gateway 0): 1 goes first and fits."""
    rows = [Row(10, 50, 6, gateway=1), Row(20, 50, 6, gateway=0)]
    played = side.game(*case(rows, gateways=2, slot=100), [[0, 0]])
    check(played, [[-4.0, 1.0]], [F.CRASHED, F.REFUSED], [100, 100])


def test_a_stage_waits_for_its_slot_behind_earlier_ones(side: Sides) -> None:
    """Row 0 runs 100..150; row 1 is ready at 150, row 2 since 140: row 2 at 200, row 1 at 300."""
    rows = [*request(100, [50, 30]), Row(140, 10)]
    played = side.game(*case(rows, slot=100), [[0], [0], [0]])
    check(played, [[0.0], [1.0], [1.0]], [F.FINISHED] * 3, [150, 330, 210])


def test_slots_without_a_waiting_task_are_passed_over(side: Sides) -> None:
    """At 0 a stage of 350 ms: its follower is decided on at 400, and then all is said."""
    played = side.game(*case(request(0, [350, 30]), slot=100), [[0], [0]])
    check(played, [[0.0], [1.0]], ends=[350, 430])


def test_a_stage_whose_slot_is_at_the_horizon_is_not_decided_on(side: Sides) -> None:
    played = side.game(*case(request(0, [901, 30]), slot=100), [[0]])
    check(played, [[0.0]], [F.FINISHED, F.WAITING])


def test_each_gateway_pays_refunds_of_its_own_tasks(side: Sides) -> None:
    """Gateway 1's task at 100 crashes the server with gateway 0's on it, sent at 0."""
    rows = [Row(0, 400, 6, gateway=0), Row(100, 50, 6, gateway=1)]
    for slot in (0, 100):
        world = case(rows, gateways=2, slot=slot, refund=True)
        played = side.game(*world, [[0, NOTHING], [NOTHING, 0]])
        check(played, [[1.0, 0.0], [-1.0, -(2 + 2 * 0.75)]])


@pytest.mark.parametrize(("slot", "hold"), [(0, False), (100, False), (100, True)])
def test_doing_nothing_where_one_must_act_drops_the_task(
    side: Sides, slot: int, hold: bool
) -> None:
    choices = [[NOTHING]] * (9 if hold else 1)  # held at 0, 100, .. 900
    played = side.game(*case([Row(0, 5)], slot=slot, hold=hold), [*choices, *[[NOTHING]] * hold])
    if hold:
        check(played, [[0.0]] * 10, [F.WAITING])
    else:
        check(played, [[-2.0]], [F.DROPPED])
    assert played.illegal == (not hold)


def test_nobody_sees_the_others_choice_of_the_same_slot(side: Sides) -> None:
    """Both see an empty server at 100; at 200 both tasks run on it."""
    rows = [Row(100, 500, 4, gateway=g) for g in (0, 1)] + [Row(200, 5, 1, gateway=0)]
    played = side.game(*case(rows, gateways=2, slot=100), [[0, 0], [0, NOTHING]])
    free = [[server_part(view, 0)[1] for view in seen] for seen in played.seen[:2]]
    assert free[0] == [1.0, 1.0]
    assert free[1] == pytest.approx([0.2, 0.2])
