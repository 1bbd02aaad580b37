"""The tasks of a slot assigned together: the best of it, by the true state, within what fits."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import pytest

from edge_marl import draw_workload
from edge_marl.agents import Agent, CentralAgent, make
from edge_marl.agents.play import Played, play
from edge_marl.agents.registry import references
from edge_marl.benchmarks.run.evaluation import decision_latency_us
from edge_marl.envs.parallel import game_scenario
from edge_marl.errors import AgentError
from edge_marl.scenario import Scenario
from edge_marl.workload import Workload
from tests.agents.references.test_in_turn import with_telemetry
from tests.edge_marl.bound.test_base import make_instance


def played(name: str, scenario: Scenario, workloads: list[Workload]) -> Played:
    agent = make(name, scenario)
    assert isinstance(agent, Agent)
    return play(agent, scenario, workloads, 0, api="parallel")


def slot_of(
    capacity: list[int], pays: list[list[float]], tasks: list[tuple[int, int]], hold: bool = False
) -> tuple[Scenario, Workload]:
    """A slot in which each gateway has one task, (demand, type); pays[server][type]."""
    rows = [(0, 10_000, demand, kind) for demand, kind in tasks]
    scenario, workload = make_instance(capacity, [[server] for server in pays], rows)
    law = scenario.tasks.model_copy(update={"demand": (1, 2)})
    scenario = scenario.model_copy(update={"tasks": law})
    table = workload.tasks.copy()
    table[:, 4] = np.arange(len(tasks))
    game = scenario.with_gateways(len(tasks)).with_clock(1.0, hold)
    return game, Workload(workload.topology, table)


def utility(name: str, scenario: Scenario, workload: Workload) -> float:
    return played(name, scenario, [workload]).metrics[0]["utility"]


def test_the_best_of_a_slot_is_not_what_each_would_take_first() -> None:
    scenario, workload = slot_of([1, 1], [[1.0, 0.9], [0.1, 0.8]], [(1, 1), (1, 0)])
    assert utility("central", scenario, workload) == pytest.approx(1.8)
    assert utility("in-turn:prophet", scenario, workload) == pytest.approx(1.0)


def test_a_server_takes_as_many_as_fit() -> None:
    scenario, workload = slot_of([4, 1], [[1.0], [0.1]], [(2, 0), (2, 0), (1, 0)])
    assert utility("central", scenario, workload) == pytest.approx(2.1)


def test_a_small_place_is_left_for_a_small_task() -> None:
    scenario, workload = slot_of([3], [[1.0]], [(2, 0), (1, 0)])
    assert utility("central", scenario, workload) == pytest.approx(2.0)


@pytest.mark.parametrize(("hold", "expected"), [(False, -2.0), (True, 2.0)])
def test_what_fits_nowhere_is_lost_or_held(hold: bool, expected: float) -> None:
    """With hold the second task comes when the first has ended."""
    scenario, workload = slot_of([1], [[1.0]], [(1, 0), (1, 0)], hold)
    found = utility("central", scenario, workload)
    assert found == pytest.approx(expected) if hold else found < 0.0


def test_it_is_better_than_deciding_alone_where_gateways_meet() -> None:
    scenario = game_scenario("paper", None, 10, 1800.0, None)
    workloads = [draw_workload(scenario, k, split="validation") for k in range(3)]
    means = [
        np.mean([m["utility_per_task"] for m in played(name, scenario, workloads).metrics])
        for name in ("prophet", "central")
    ]
    assert means[1] > means[0] + 0.5


def test_telemetry_is_nothing_to_it() -> None:
    scenario = game_scenario("metro@2", None, None, 1.0, None)
    arrivals = scenario.arrivals.model_copy(update={"horizon_s": 60.0})
    scenario = scenario.model_copy(update={"arrivals": arrivals})
    workloads = [draw_workload(scenario, k, split="validation") for k in range(2)]
    old, fresh = (played("central", with_telemetry(scenario, p), workloads) for p in (5.0, 0.0))
    np.testing.assert_equal(old.metrics, fresh.metrics)
    alone = played("central", scenario, workloads[:1])
    np.testing.assert_equal(alone.metrics, old.metrics[:1])


def test_the_time_of_a_joint_decision_is_measured() -> None:
    scenario = game_scenario("smoke", None, "servers", 900.0, None)
    workloads = [draw_workload(scenario, 0, split="validation")]
    for name in ("central", "in-turn:prophet"):
        agent = make(name, scenario)
        assert isinstance(agent, Agent)
        clock = partial(next, itertools.count(0, 3000))
        assert decision_latency_us(agent, scenario, workloads, 0, clock) == 3.0


def test_it_is_of_the_game() -> None:
    scenario, workload = slot_of([1], [[1.0]], [(1, 0)])
    agent = make("central", scenario)
    assert isinstance(agent, CentralAgent)
    assert "central" in references()
    with pytest.raises(AgentError, match="decides for all gateways"):
        play(agent, scenario.on_events(), [workload], 0)
