"""Heuristics on observations made by hand, against SPEC section 8."""

import numpy as np
import pytest

from edge_marl.agents import make
from edge_marl.agents.base import Agent
from edge_marl.agents.play import play
from edge_marl.benchmarks.release.evidence import heuristics
from edge_marl.draw import draw_workload
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario, load_scenario
from tests.worlds.by_hand import make_world, observe

# Server 1 is the largest. Type 0 is best on server 2's service 1, type 1 on server 0's service 0.
WORLD = make_world(
    [[[0.2, 0.9], [0.3, 0.1]], [[0.5, 0.2], [0.6, 0.6]], [[0.1, 0.3], [0.8, 0.3]]],
    [500, 900, 700],
)


def agent_of(name: str, scenario: Scenario = WORLD, seed: int = 0) -> Agent:
    agent = make(name, scenario)
    assert isinstance(agent, Agent)
    agent.reset(seed)
    return agent


def act(name: str, task_type: int, demand: int, free: list[int], mask: str = "111111") -> int:
    info = {"action_mask": np.array([[int(bit) for bit in mask]], dtype=np.int8)}
    return int(agent_of(name).act(observe(WORLD, task_type, demand, free), info)[0])


def test_crash_avoid_takes_the_first_service_of_the_freest_server() -> None:
    assert act("crash-avoid", 0, 100, [100, 300, 200]) == 2
    assert act("crash-avoid", 1, 200, [100, 150, 180]) == 4  # it does not look at the demand
    assert act("crash-avoid", 0, 100, [300, 300, 200]) == 0  # the first of equals


def test_crash_avoid_counts_free_capacity_not_its_share() -> None:
    assert act("crash-avoid", 0, 100, [500, 510, 600]) == 4


def test_crash_avoid_best_takes_the_best_service_of_the_same_server() -> None:
    assert act("crash-avoid-best", 0, 100, [100, 300, 200]) == 3
    assert act("crash-avoid-best", 1, 100, [300, 100, 200]) == 0
    assert act("crash-avoid-best", 1, 100, [100, 200, 300]) == 4  # the first of equals


def test_prophet_takes_the_best_paid_service_with_room() -> None:
    assert act("prophet", 0, 100, [500, 900, 700]) == 5
    assert act("prophet", 0, 150, [500, 900, 150]) == 5  # equal fits
    assert act("prophet", 0, 200, [500, 900, 150]) == 3
    assert act("prophet", 1, 100, [500, 900, 700]) == 0


def test_prophet_crashes_server_0_when_nothing_fits() -> None:
    assert act("prophet", 0, 200, [100, 150, 190]) == 0


def test_prophet_takes_nothing_for_its_utility_that_pays_nothing() -> None:
    world = make_world([[[-0.5]], [[0.0]], [[-0.1]]], [500, 500, 500])
    action = agent_of("prophet", world).act(observe(world, 0, 100, [0, 500, 500]), {})
    assert action.tolist() == [0]


@pytest.mark.parametrize("name", ["crash-avoid", "crash-avoid-best", "prophet"])
def test_masked_actions_are_passed_over(name: str) -> None:
    best = act(name, 0, 100, [500, 900, 700])
    mask = "".join("0" if action == best else "1" for action in range(6))
    assert act(name, 0, 100, [500, 900, 700], mask) != best


def test_prophet_with_nothing_to_choose_takes_the_first_legal_action() -> None:
    assert act("prophet", 0, 200, [0, 0, 0], "000110") == 3


def test_round_robin_counts_actions_per_row_from_0() -> None:
    agent = agent_of("round-robin")
    rows = np.repeat(observe(WORLD, 0, 100, [500, 900, 700]), 3, axis=0)
    assert [agent.act(rows, {}).tolist() for _ in range(7)] == [[k % 6] * 3 for k in range(7)]
    agent.reset(0)
    assert agent.act(rows, {}).tolist() == [0, 0, 0]


def test_round_robin_passes_over_illegal_actions() -> None:
    agent = agent_of("round-robin")
    info = {"action_mask": np.array([[0, 1, 1, 0, 0, 1]], dtype=np.int8)}
    seen = observe(WORLD, 0, 100, [500, 900, 700])
    assert [int(agent.act(seen, info)[0]) for _ in range(5)] == [1, 2, 5, 1, 2]


def test_random_is_uniform_over_legal_actions_and_differs_between_rows_and_seeds() -> None:
    agent = agent_of("random")
    rows = np.repeat(observe(WORLD, 0, 100, [500, 900, 700]), 50, axis=0)
    mask = np.tile(np.array([1, 1, 0, 1, 0, 1], dtype=np.int8), (50, 1))
    actions = np.array([agent.act(rows, {"action_mask": mask}) for _ in range(200)])
    counts = np.bincount(actions.ravel(), minlength=6)
    assert counts[[2, 4]].tolist() == [0, 0]
    # 10,000 draws at 1/4: three standard deviations are 130.
    assert np.abs(counts[[0, 1, 3, 5]] - 2500).max() < 130
    assert not (actions[:, 0] == actions[:, 1]).all()
    agent.reset(1)
    assert not (agent.act(rows, {"action_mask": mask}) == actions[0]).all()


def test_random_streams_do_not_move_when_rows_are_added() -> None:
    rows = np.repeat(observe(WORLD, 0, 100, [500, 900, 700]), 5, axis=0)
    one, two = agent_of("random"), agent_of("random")
    one.act(rows[:2], {})
    two.act(rows, {})
    assert one.act(rows, {})[:2].tolist() == two.act(rows, {})[:2].tolist()


@pytest.mark.parametrize("tier", ["smoke", "agod", "paper"])
@pytest.mark.parametrize(
    "name", ["random", "round-robin", "crash-avoid", "crash-avoid-best", "prophet"]
)
def test_heuristics_decide_in_every_base_tier(tier: str, name: str) -> None:
    scenario = load_scenario(tier)
    seen = np.full((2, ObservationLayout(scenario).size), 0.5, dtype=np.float32)
    action = agent_of(name, scenario).act(seen, {})
    assert action.shape == (2,)
    assert action.dtype == np.int64
    assert (action < scenario.num_actions).all()


SMOKE_GAME = load_scenario("smoke-game")


@pytest.mark.parametrize("name", heuristics(SMOKE_GAME))
def test_gateways_without_a_task_are_asked_only_if_that_changes_what_comes(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = make(name, SMOKE_GAME)
    assert isinstance(agent, Agent)
    drawn = [draw_workload(SMOKE_GAME, k, split="validation") for k in range(3)]
    found = play(agent, SMOKE_GAME, drawn, 0, api="parallel").metrics
    monkeypatch.setattr(type(agent), "stateless", False)
    asked = play(agent, SMOKE_GAME, drawn, 0, api="parallel").metrics
    assert repr(asked) == repr(found)
