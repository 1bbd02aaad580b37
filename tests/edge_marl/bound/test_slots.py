"""The bound and the random end in slots: nothing that gateways could do together beats the one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linprog

from edge_marl.agents import Agent, make
from edge_marl.agents.play import play
from edge_marl.bound import Bound, anchors, slots, upper_bound
from edge_marl.bound.anchor_pairs import random_return
from edge_marl.draw import draw_workload
from edge_marl.envs.parallel import game_scenario
from edge_marl.kernel.world import ARRIVAL, DEMAND, RUN_TIME, TYPE
from edge_marl.scenario import Scenario
from edge_marl.simulator.utility import task_utilities
from edge_marl.workload import Workload
from tests.edge_marl.bound.test_base import make_instance
from tests.edge_marl.bound.tiny_slots import base_game, check


@pytest.mark.parametrize("seed", range(1, 120, 2))
def test_no_tiny_game_of_the_base_model_beats_it(seed: int) -> None:
    check(seed)


@pytest.mark.parametrize("seed", range(0, 16, 2))
def test_no_tiny_game_of_the_extended_model_beats_it(seed: int) -> None:
    check(seed)


def in_slots(
    tasks: list[tuple[int, int, int, int]], slot_s: float, hold: bool = False, end: str = "horizon"
) -> tuple[Scenario, Workload]:
    """One gateway, a server of capacity 2 that pays 1, and 1,000 s."""
    scenario, workload = make_instance([2], [[[1.0]]], tasks, end=end)
    return scenario.with_clock(slot_s, hold), workload


def value_of(found: tuple[Scenario, Workload]) -> float:
    return upper_bound(*found).value


def test_one_gateway_sends_one_task_in_a_slot() -> None:
    """Two at once meet on the event clock; in slots the second comes when the first is done."""
    both = [(0, 1000, 2, 0), (0, 1000, 2, 0)]
    scenario, workload = in_slots(both, 1.0)
    assert upper_bound(scenario.with_clock(0.0, False), workload).value < 1.5
    assert upper_bound(scenario, workload).value == pytest.approx(2.0, abs=1e-4)


def test_a_task_that_is_held_nets_nothing_and_may_come_later() -> None:
    """Three tasks of 10 s that fill the server, slots of 1 s, one gateway: no room without hold."""
    three = [(0, 10_000, 2, 0)] * 3
    assert value_of(in_slots(three, 1.0)) < 1.0
    assert value_of(in_slots(three, 1.0, hold=True)) == pytest.approx(3.0, abs=1e-4)


def test_tasks_that_no_slot_comes_for_are_left_out() -> None:
    late = [(0, 1000, 1, 0), (999_500, 1000, 1, 0)]
    assert value_of(in_slots(late, 1.0)) == pytest.approx(1.0, abs=1e-4)
    assert value_of(in_slots([(999_500, 1000, 1, 0)], 1.0)) == pytest.approx(0.0, abs=1e-5)


def test_the_first_slot_is_played_even_if_the_last_task_is_there() -> None:
    at_once = [(500, 1000, 1, 0)] * 2
    found = in_slots(at_once, 1.0, end="last-task")
    assert value_of(found) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("hold", [False, True])
def test_where_one_round_is_too_much_there_are_no_prices(
    hold: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario, workload = base_game(5, hold)
    tight = upper_bound(scenario, workload)
    monkeypatch.setattr(slots, "MOST_WORK", 0)
    loose = upper_bound(scenario, workload)
    assert loose.value >= tight.value
    assert hold or loose.value == tight.value


def program(scenario: Scenario, workload: Workload) -> float:
    """The linear program of tasks that may be held, without crashes: its dual is the bound's."""
    slot = scenario.clock.slot_ms
    tasks = slots.sent_in_slots(scenario, workload)
    first = (tasks[:, ARRIVAL] - tasks[0, ARRIVAL]) // slot
    count = slots.slots_of(scenario, workload.tasks, int(tasks[0, ARRIVAL]))
    capacity = workload.topology.capacity
    table = task_utilities(workload.topology, tasks[:, TYPE], tasks[:, DEMAND])
    utility = table.reshape(len(tasks), len(capacity), -1).max(axis=2)
    gains, held, whose = [], [], []
    for q, task in enumerate(tasks):
        for m in range(int(first[q]), count):
            for j in np.flatnonzero(task[DEMAND] <= capacity):
                use = np.zeros((count, len(capacity)))
                use[m : m + -(-int(task[RUN_TIME]) // slot), j] = task[DEMAND]
                gains.append(utility[q, j])
                held.append(use.ravel())
                whose.append(np.arange(len(tasks)) == q)
    rows = np.vstack([np.array(held).T, np.array(whose, dtype=float).T])
    most = np.concatenate([np.tile(capacity, count), np.ones(len(tasks))])
    return float(-linprog(-np.array(gains), A_ub=rows, b_ub=most).fun)


def test_it_is_near_the_linear_program_where_tasks_may_be_held() -> None:
    scenario = game_scenario("smoke", None, "servers", 3600.0, True)
    workload = draw_workload(scenario, 0, split="validation")
    best = program(scenario, workload)
    found: Bound = upper_bound(scenario, workload)
    assert best - 1e-4 <= found.value <= 1.02 * best


def test_the_bound_without_hold_is_the_event_clocks_with_tasks_as_they_are_sent() -> None:
    scenario = game_scenario("smoke", None, "servers", 1800.0, False)
    workload = draw_workload(scenario, 1, split="validation")
    moved = slots.sent_in_slots(scenario, workload)
    event = scenario.with_clock(0.0, False)
    assert (
        upper_bound(event, Workload(workload.topology, moved)).value
        == upper_bound(scenario, workload).value
    )


@pytest.mark.parametrize(("tier", "slot_s"), [("smoke", 900.0), ("campus@2", 5.0)])
def test_random_scores_nothing_in_slots(tier: str, slot_s: float, tmp_path: Path) -> None:
    """The random end is what agent `random` gets in the game, in the mean."""
    scenario = game_scenario(tier, None, None if "@" in tier else "servers", slot_s, None)
    workload = draw_workload(scenario, 0, split="validation")
    ends = anchors(scenario, [workload], tmp_path)
    agent = make("random", scenario)
    assert isinstance(agent, Agent)
    played = play(agent, scenario, [workload] * 64, 0, api="parallel")
    utility = np.array([values["utility"] for values in played.metrics])
    spread = utility.std() / 8
    assert abs(ends.random[0] - utility.mean()) < 6 * spread
    assert (utility < ends.bound[0]).all()
    assert random_return(scenario, workload) == ends.random[0]


def test_anchors_of_slots_are_their_own(tmp_path: Path) -> None:
    scenario = game_scenario("smoke", None, "servers", 900.0, None)
    workload = draw_workload(scenario, 0, split="validation")
    games = [scenario, scenario.with_clock(0.0, False), scenario.with_clock(900.0, True)]
    games.append(scenario.with_clock(60.0, False))
    ends = [anchors(game, [workload], tmp_path) for game in games]
    assert len({(float(e.random[0]), float(e.bound[0])) for e in ends}) == len(games)
    assert len(list((tmp_path / "anchors").iterdir())) == len(games)
