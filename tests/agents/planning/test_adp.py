"""`adp`: its value function, and that it is fitted on training workloads alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_marl import draw_workload
from edge_marl.agents import Agent, load, make
from edge_marl.agents.heuristics.queueing import outstanding_share
from edge_marl.agents.heuristics.view import View
from edge_marl.agents.planning import fitting
from edge_marl.agents.planning.fitting import AdpTraining
from edge_marl.agents.planning.settings import AdpConfig
from edge_marl.agents.planning.value import AROUND, COLD, LEVEL, OWN, AdpAgent, first_weights
from edge_marl.agents.play import play as play_game
from edge_marl.envs import EdgeAIGCRows
from edge_marl.errors import AgentError
from edge_marl.kernel.world import Floats
from edge_marl.scenario import Scenario, load_scenario
from tests.agents.test_contract import play, some_observations
from tests.worlds.by_hand import make_world, observe

SMOKE, CAMPUS = load_scenario("smoke"), load_scenario("campus")
CONFIG = AdpConfig(num_envs=8, candidates=8)


PRICES = np.array([1e-9, 1e-9])


@pytest.fixture
def prices(monkeypatch: pytest.MonkeyPatch) -> Floats:
    """Those of both servers of a world made by hand; no linear program is solved."""
    found = PRICES.copy()
    monkeypatch.setattr("edge_marl.agents.heuristics.bid_price.learn_prices", lambda _: found)
    return found


def fit(scenario: Scenario, budget: int, seed: int = 0) -> AdpTraining:
    training = AdpTraining(scenario, CONFIG, budget, seed)
    while not training.done:
        training.advance()
    return training


def bid_price() -> Agent:
    agent = make("bid-price", SMOKE)
    assert isinstance(agent, Agent)
    return agent


def test_its_first_weights_are_bid_price() -> None:
    agent, seen = AdpAgent(SMOKE, CONFIG, first_weights(SMOKE)), some_observations(1)
    assert (play(agent, seen) == play(bid_price(), seen)).all()


@pytest.mark.parametrize(("weight", "factor"), [(LEVEL, 1.0), (OWN, 0.25), (AROUND, -0.25)])
def test_what_each_weight_adds_to_the_price(weight: int, factor: float, prices: Floats) -> None:
    """Server 0 has 300 of 400 steps in use, server 1 none of 800; the task is to take 100."""
    world = make_world([[[0.5]], [[0.5]]], [400, 800])
    weights = np.zeros_like(first_weights(world))
    weights[weight] = 1.0
    agent = AdpAgent(world, CONFIG, weights)
    view = View(agent._known, observe(world, 0, 100, [100, 800]), {})
    held = prices[0] * 100 * view.run_time_ms[0]
    assert outstanding_share(view).tolist() == [[0.75, 0.0]]
    own = {OWN: [0.75 + 0.125 - 0.5, 0.0625 - 0.5]}.get(weight, [factor, factor])
    np.testing.assert_allclose(agent.left_of(view)[0, :, 0], 0.5 - held * np.array(own))


def test_servers_that_stay_have_prices_of_their_own() -> None:
    weights = first_weights(SMOKE)
    assert weights.shape == (COLD + 1 + 3,)
    weights[-1] = 1e6  # nobody pays for the last server
    seen = some_observations(2)
    there = [
        (play(agent, seen) // 2 == 2).sum()
        for agent in (AdpAgent(SMOKE, CONFIG, weights), bid_price())
    ]
    assert there[0] < there[1]
    assert first_weights(CAMPUS).shape == (COLD + 1,)


def test_where_all_decide_at_once_leaving_little_room_costs(prices: Floats) -> None:
    """The task is to take 100 steps; what is left is room for none, half of one, two, and four."""
    prices[:] = 0.0
    world = make_world([[[0.5]], [[0.5]]], [400, 800]).with_gateways(2)
    assert len(first_weights(world)) == len(first_weights(world.with_clock(900.0, hold=False))) - 3
    world = world.with_clock(900.0, hold=False)
    weights = np.zeros_like(first_weights(world))
    weights[-3:] = 0.4, 0.2, 0.1
    agent = AdpAgent(world, CONFIG, weights)
    mean = int(agent._known.mean_steps)
    for left, cost in ((0, 0.4), (mean // 2, 0.3), (2 * mean, 0.1), (4 * mean, 0.0)):
        view = View(agent._known, observe(world, 0, 100, [100 + left, 100 + left]), {})
        np.testing.assert_allclose(agent.left_of(view)[0, :, 0], 0.5 - cost, atol=1e-3)


def test_a_game_is_fitted_in_its_slots() -> None:
    game = SMOKE.with_gateways(3).with_clock(900.0, hold=False)
    training = AdpTraining(game, CONFIG, 3000, seed=0)
    decided = []
    step = EdgeAIGCRows.step

    def counted(envs: EdgeAIGCRows, choices: Any) -> Any:
        decided.append(int((choices < game.num_actions).sum()))
        return step(envs, choices)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EdgeAIGCRows, "step", counted)
        while not training.done:
            training.advance()
    assert sum(decided) == training.decisions <= 3000
    agent = training.agent()
    assert agent.weights.tolist() != first_weights(game)[None].tolist()
    workload = draw_workload(game, 0, split="validation")
    played = play_game(agent, game, [workload], 0, api="parallel")
    assert played.metrics[0]["illegal_actions"] == 0


def test_rows_may_have_weights_of_their_own() -> None:
    seen = some_observations(3)[5][:2]
    both = np.stack([first_weights(SMOKE), 3.0 * first_weights(SMOKE)])
    together = AdpAgent(SMOKE, CONFIG, both).act(seen, {})
    alone = [AdpAgent(SMOKE, CONFIG, both[k]).act(seen[k : k + 1], {})[0] for k in range(2)]
    assert together.tolist() == alone


def test_it_is_fitted_on_training_workloads(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[int, str, int]] = []

    def draw(scenario: Scenario, seed: int, *, split: Any = "train", episode: int = 0) -> Any:
        drawn.append((seed, split, episode))
        return draw_workload(scenario, seed, split=split, episode=episode)

    monkeypatch.setattr(fitting, "draw_workload", draw)
    fit(SMOKE, 3000)
    assert len(drawn) >= 4
    assert {split for _, split, _ in drawn} == {"train"}
    assert [episode for *_, episode in drawn] == list(range(len(drawn)))
    assert len({seed for seed, *_ in drawn}) == 1


def test_the_same_seed_gives_the_same_value_function() -> None:
    first, again, other = (fit(SMOKE, 1000, seed).agent().weights for seed in (0, 0, 1))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()
    assert first.tolist() != first_weights(SMOKE)[None].tolist()


@pytest.mark.parametrize("budget", [1, 7, 100, 1000])
def test_it_keeps_to_its_budget(budget: int) -> None:
    training = fit(SMOKE, budget)
    assert budget / 2 < training.decisions <= budget


def test_it_finds_out_that_prices_are_too_high(prices: Floats) -> None:
    """Server 1 pays 1 a task and has room for all; a price that is ten times too high avoids it."""
    world = make_world([[[0.2]], [[1.0]]], [20_000, 20_000])
    prices[:] = 0.0, 2.0 / (150 * world.tasks.run_time_ms(150))
    seen = observe(world, 0, 150, [20_000, 20_000])
    training = AdpTraining(world, AdpConfig(num_envs=16, spread=1.0), 12_000, seed=0)
    assert training.agent().act(seen, {}).tolist() == [0]
    first = training.advance().utility_per_task
    while not training.done:
        last = training.advance().utility_per_task
    assert last > first + 0.1
    assert training.agent().act(seen, {}).tolist() == [1]


def test_a_saved_value_function_is_checked(tmp_path: Path) -> None:
    agent = fit(CAMPUS, 100).agent()
    agent.save(tmp_path)
    loaded = load(tmp_path, CAMPUS)
    assert isinstance(loaded, AdpAgent)
    assert loaded.weights.tolist() == agent.weights.tolist()
    assert loaded.settings == agent.settings
    assert load(tmp_path, load_scenario("metro"), transfer=True).name == "adp"
    message = r"value has shape \(4,\) and type float64: must be finite float64 of shape \(7,\)"
    with pytest.raises(AgentError, match=message):
        load(tmp_path, SMOKE, transfer=True)


def test_it_needs_a_bound() -> None:
    off: dict[str, Any] = {"overload": CAMPUS.overload.model_copy(update={"refund": False})}
    without = CAMPUS.model_copy(update=off)
    with pytest.raises(AgentError, match=r"agent 'adp': scenario .* has no bound"):
        make("adp", without).start(without, 100, 0)  # type: ignore[union-attr]


def test_one_candidate_moves_nowhere() -> None:
    training = AdpTraining(SMOKE, AdpConfig(num_envs=1), 200, seed=0)
    while not training.done:
        training.advance()
    weights: Floats = training.agent().weights
    assert weights.tolist() == first_weights(SMOKE)[None].tolist()
