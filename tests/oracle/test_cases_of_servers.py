"""Worked-out cases of networks, overload, residency, the cloud and energy."""

from __future__ import annotations

from typing import Any

import pytest

from tests.oracle.cases import LINKS, MEMORY, NETWORK, F, Row, Sides, case, check


def test_input_and_run_time_are_rounded_up(side: Sides) -> None:
    """Server 1: 30 + ceil(3 x 1500 / 1000) = 35 ms there, 101 x 1.5 = 151.5 -> 152 ms of work."""
    world = case(
        [Row(50, 101, upload=3)],
        servers=2,
        network=NETWORK,
        slowdown=[[1000], [1500]],
        **LINKS,
    )
    check(side.play(*world, [1]), [1.0], [F.FINISHED], [50 + 35 + 152])


@pytest.mark.parametrize(
    ("deadline", "value"),
    [(0, 1.0), (165, 1.0), (164, 163 / 164), (150, 0.9), (100, 0.35), (83, 1 / 83), (82, 0.0)],
)
def test_value_falls_from_the_deadline_to_twice_it(
    side: Sides, deadline: int, value: float
) -> None:
    """There 10 + 20, run 100, back 10 + 25: latency 165 ms after the arrival."""
    row = Row(40, 100, upload=20, download=25, deadline=deadline)
    world = case([row], servers=2, network=NETWORK, **LINKS)
    check(side.play(*world, [0]), [value], ends=[40 + 130])


def test_without_a_network_ways_take_no_time(side: Sides) -> None:
    world = case([Row(0, 100, upload=20, download=25, deadline=100)], servers=2, **LINKS)
    check(side.play(*world, [1]), [1.0], ends=[100])


def test_progress_counts_from_the_sending(side: Sides) -> None:
    """Sent at 0, end at 10 + 90 = 100; at 60 it has come 0.6 of the way."""
    world = case([Row(0, 90, 6), Row(60, 90, 6)], servers=2, network=NETWORK, **LINKS)
    check(side.play(*world, [0, 0]), [1.0, -(2 + 2 * 0.4)], [F.CRASHED, F.REFUSED], [60, 60])


# ------------------------------------------------------------ overload, restart, masks


def test_a_server_is_down_until_its_restart_and_not_longer(side: Sides) -> None:
    rows = [Row(0, 500, 6), Row(10, 5, 6), Row(39, 5), Row(40, 5)]
    fates = [F.CRASHED, F.REFUSED, F.DENIED, F.FINISHED]
    played = side.play(*case(rows, restart=30), [0, 0, 0, 0])
    check(played, [1.0, -(2 + 2 * 0.98), -2.0, 1.0], fates, [10, 10, 39, 45])
    assert played.crashes == [1]


def test_an_action_that_is_not_hosted_drops_the_task(side: Sides) -> None:
    world = case([Row(0, 5), Row(1, 5)], servers=2, hosted=[[False], [True]])
    played = side.play(*world, [0, 1])
    check(played, [-2.0, 1.0], [F.DROPPED, F.FINISHED])
    assert played.illegal == 1


def test_not_hosted_comes_before_down(side: Sides) -> None:
    """Both pay the same, but the first counts as illegal."""
    hosted = [[False, True]]
    world = case([Row(5, 5)], services=2, hosted=hosted, outages=[(0, 0, 50)])
    played = side.play(*world, [0])
    check(played, [-2.0], [F.DROPPED])
    assert played.illegal == 1


def test_a_cold_model_is_loaded_and_the_next_task_waits_for_it(side: Sides) -> None:
    """Loaded by 0 + 50; a second task at 20 has a shorter load time, which does not count."""
    rows = [Row(0, 100, load_time=50), Row(20, 10, load_time=1), Row(60, 10, load_time=40)]
    check(side.play(*case(rows, **MEMORY), [0, 0, 0]), [1, 1, 1], ends=[150, 60, 70])


def test_input_and_loading_go_side_by_side(side: Sides) -> None:
    links: dict[str, Any] = {"neighbours": [[0]], "propagation": [[70]]}
    rows = [Row(0, 100, load_time=50), Row(300, 100, load_time=50)]
    world = case(rows, network=NETWORK, **links, **MEMORY)
    check(side.play(*world, [0, 2]), [1, 1], ends=[170, 470])


def test_the_least_recently_used_idle_model_leaves(side: Sides) -> None:
    """Models 0 and 1 (2 + 2 of 5 MiB) are idle at 200; 0 was used again at 100, so 2 evicts 1."""
    rows = [Row(t, 10, load_time=5) for t in (0, 50, 100, 200, 300, 400)]
    world = case(rows, **MEMORY)
    ends = [15, 65, 110, 215, 310, 415]
    check(side.play(*world, [0, 1, 0, 2, 0, 1]), [1] * 6, ends=ends)


def test_of_models_used_at_one_time_the_lower_number_leaves(side: Sides) -> None:
    """1 and 0 are used at 0, in this order; at 100 model 2 evicts 0, and 1 is still there."""
    rows = [Row(t, 10, load_time=5) for t in (0, 0, 100, 200)]
    check(side.play(*case(rows, **MEMORY), [1, 0, 2, 1]), [1] * 4, ends=[15, 15, 115, 210])


def test_as_many_models_leave_as_it_takes(side: Sides) -> None:
    """A model of 4 needs both others out of 5 MiB."""
    rows = [Row(t, 10, load_time=5) for t in (0, 20, 100, 200, 220)]
    world = case(rows, **MEMORY | {"model_memory": [2, 2, 4]})
    check(side.play(*world, [0, 1, 2, 0, 1]), [1] * 5, ends=[15, 35, 115, 215, 235])


def test_models_in_use_crash_the_server_when_another_does_not_fit(side: Sides) -> None:
    """0 and 1 run (4 MiB), 2 needs 3 of 5: crash, though the steps would fit."""
    rows = [Row(0, 95, load_time=5), Row(0, 195, load_time=5), Row(50, 10)]
    fates = [F.CRASHED, F.CRASHED, F.REFUSED]
    played = side.play(*case(rows, **MEMORY), [0, 1, 2])
    check(played, [1, 1, -(2 + 2 * 0.5 + 2 * 0.75)], fates)


def test_a_crash_empties_the_memory(side: Sides) -> None:
    rows = [Row(0, 100, 6, load_time=5), Row(10, 5, 6), Row(20, 10, load_time=7)]
    played = side.play(*case(rows, **MEMORY), [0, 0, 0])
    check(played, [1, -(2 + 2 * (1 - 10 / 105)), 1], ends=[10, 10, 37])


def test_without_residency_nothing_is_loaded(side: Sides) -> None:
    rows = [Row(0, 100, load_time=50), Row(0, 100, load_time=50), Row(0, 100, load_time=50)]
    world = case(rows, **MEMORY | {"residency": False})
    check(side.play(*world, [0, 1, 2]), [1, 1, 1], ends=[100, 100, 100])


# ------------------------------------------------------------ cloud and energy

CLOUD: dict[str, Any] = {"price_per_step": 0.125, "slowdown": 2.0}


def test_the_cloud_has_room_and_a_price(side: Sides) -> None:
    """8 steps at 0.125 each; nothing is loaded, twice the time by the array."""
    rows = [Row(0, 100, 8, load_time=50)] * 3
    world = case(
        rows,
        cloud=CLOUD,
        residency=True,
        memory=[1, 1],
        model_memory=[1],
        neighbours=[[0, 1]],
        slowdown=[[1000], [2000]],
    )
    check(side.play(*world, [1, 1, 0]), [0.0, 0.0, 1.0], [F.FINISHED] * 3, [200, 200, 150])


def test_energy_has_a_price_everywhere(side: Sides) -> None:
    """4 steps x (0.125 + 0.5 x 250 mJ) on the cloud, x 0.5 x 500 mJ at the edge."""
    energy = [[500], [250]]
    rows = [Row(0, 100, 4)] * 2
    world = case(rows, cloud=CLOUD, weight=0.5, energy=energy, neighbours=[[0, 1]])
    check(side.play(*world, [1, 0]), [1 - 4 * 0.25, 1 - 4 * 0.25])
