"""Heuristics made for slots, on observations made by hand: what each gateway takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_marl.agents import Agent, make
from edge_marl.agents.heuristics.in_slots import OWN_ORDER
from edge_marl.agents.heuristics.known import Known
from edge_marl.agents.play import play
from edge_marl.draw import draw_workload
from edge_marl.scenario import Scenario, load_scenario
from tests.worlds.two_services import CLOUD, make_world, observe

GAME = {"gateways": {"count": 4}, "clock": {"slot_s": 5.0}}
SLOTS = make_world(**GAME)
EVENTS = make_world(gateways={"count": 4})
LINES = make_world(**GAME, queue={"limit": 2})
BOTH = pytest.mark.parametrize("name", ["hashed", "staggered"])
FREE = [100.0, 100.0, 100.0]


@pytest.fixture(autouse=True)
def free_capacity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Capacity has no price."""
    monkeypatch.setattr(
        "edge_marl.agents.heuristics.bid_price.learn_prices",
        lambda scenario: np.zeros(scenario.num_neighbours),
    )


def servers(name: str, scenario: Scenario, free: list[float], **seen: Any) -> list[int]:
    """The server that each of the four gateways takes, all seeing the same."""
    agent = make(name, scenario)
    assert isinstance(agent, Agent)
    agent.reset(0)
    rows = np.repeat(observe(scenario, free, **seen), 4, axis=0)
    actions = agent.act(rows, {"agent_index": np.arange(4)})
    return [int(action) // scenario.num_services for action in actions]


def qualities(*good: float) -> Any:
    """Of the better service of each server."""
    return np.array([[0.1, quality] for quality in good])


def test_rivals_are_those_that_are_expected_to_decide_too() -> None:
    # Three others, at each of which .5 x 5 / 4 tasks arrive in a slot; at most one is decided on.
    assert Known(SLOTS).rivals == pytest.approx(3 * 0.625)
    assert Known(make_world(**GAME | {"clock": {"slot_s": 50.0}})).rivals == 3
    assert Known(EVENTS).rivals == 0
    # Of 100 gateways with 12 of 51 servers each, another 22.5 have a server in common.
    metro = load_scenario("metro@2").with_gateways(100).with_clock(1e6, hold=False)
    assert Known(metro).rivals == pytest.approx(100 * 12 / 51 - 1)


def test_hashed_gateways_part_ways_where_places_are_alike() -> None:
    assert servers("max-weight", SLOTS, FREE) == [0, 0, 0, 0]
    taken = servers("hashed", SLOTS, FREE)
    assert len(set(taken)) > 1
    assert servers("hashed", SLOTS, FREE) == taken
    assert servers("hashed", SLOTS, [90, 90, 90]) == taken  # a fixed order


def test_hashed_gateways_agree_on_what_is_better_by_more_than_their_order() -> None:
    better = qualities(0.6, 0.6, 0.6 + 1.01 * OWN_ORDER)
    assert servers("hashed", SLOTS, FREE, service_quality=better) == [2, 2, 2, 2]
    a_little = qualities(0.6, 0.6, 0.6 + 0.1 * OWN_ORDER)
    assert len(set(servers("hashed", SLOTS, FREE, service_quality=a_little))) > 1


def test_staggered_gateways_decide_as_if_those_before_had_chosen() -> None:
    # Each takes 20 of 100 steps; a fifth more in the queue costs .2 x .32. So .95 beats a second
    # place at 1, and .9 does not; where two have gone first there is no room at all.
    half = [50.0, 50.0, 50.0]
    for second, taken in ((0.95, [0, 1, 0, 0]), (0.9, [0, 0, 1, 0])):
        seen = {"service_quality": qualities(1.0, second, 0.2)}
        assert servers("staggered", SLOTS, half, **seen) == taken
    alone = servers("staggered", EVENTS, half, service_quality=qualities(1.0, 0.95, 0.2))
    assert alone == [0, 0, 0, 0]


@BOTH
def test_room_is_kept_for_one_more_task_in_slots(name: str) -> None:
    first = {"service_quality": qualities(1.0, 0.5, 0.3)}
    assert servers(name, SLOTS, [50, 100, 0], **first)[0] == 0  # 20 and another 30
    assert servers(name, SLOTS, [49, 100, 0], **first) == [1, 1, 1, 1]
    assert servers(name, SLOTS, [49, 0, 0], **first) == [0, 0, 0, 0]
    assert servers(name, EVENTS, [49, 100, 0], **first) == [0, 0, 0, 0]


@BOTH
def test_a_place_in_a_line_is_kept_too(name: str) -> None:
    seen = {"service_quality": qualities(1.0, 0.5, 0.3)}
    waits = {"server_waiting": [1, 0, 0]}
    assert servers(name, LINES, [0, 100, 0], **seen)[0] == 0
    assert servers(name, LINES, [0, 100, 0], **seen, **waits) == [1, 1, 1, 1]


@BOTH
def test_the_cloud_has_room_for_all(name: str) -> None:
    world = make_world(**GAME, cloud=CLOUD)
    assert servers(name, world, [10, 10, 10, 0]) == [3, 3, 3, 3]


@BOTH
def test_they_meet_less_often_than_the_rules_that_they_are_made_of(name: str) -> None:
    game = load_scenario("paper-game")
    drawn = [draw_workload(game, seed, split="validation") for seed in range(2)]

    def herding(agent: str) -> float:
        made = make(agent, game)
        assert isinstance(made, Agent)
        metrics = play(made, game, drawn, seed=0, api="parallel").metrics
        return sum(each["herding"] for each in metrics)

    assert herding(name) < 0.7 * herding("max-weight")
