"""Gateways in turn: the same game, what they see in their turn, and how the agent is asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from edge_marl import EdgeAIGCRows, draw_workload
from edge_marl.agents import Agent, CentralAgent, load, make
from edge_marl.agents.play import play
from edge_marl.agents.registry import find, own_class, references
from edge_marl.benchmarks.plan.sources import agent_code
from edge_marl.envs.parallel import game_scenario
from edge_marl.errors import AgentError
from edge_marl.scenario import Scenario, load_scenario
from edge_marl.simulator.turns import TurnSimulator
from edge_marl.workload import Workload
from tests.worlds import strategies
from tests.worlds.every_part import TERMS, world
from tests.worlds.extended_strategies import episodes
from tests.worlds.plain_python import printed

SMOKE = game_scenario("smoke", None, "servers", 900.0, None)
TRAVELS = "power-of-two"
"""An agent with lots of its own."""


def rows_of(scenario: Scenario, workloads: list[Workload]) -> TurnSimulator:
    game = TurnSimulator(scenario, len(workloads))
    for row, workload in enumerate(workloads):
        game.load(row, workload)
    return game


def choose(game: TurnSimulator, dice: np.random.Generator) -> np.ndarray[Any, Any]:
    """Any legal choice of each row; to hold as well, where that is allowed."""
    choices = (np.flatnonzero(legal) for legal in game.allowed)
    return np.array([dice.choice(legal) if len(legal) else game.nothing for legal in choices])


def assert_same_logs(rows: EdgeAIGCRows, game: TurnSimulator) -> None:
    for row in range(game.num_envs):
        one, other = rows.log(row), game.log(row)
        for name in ("tasks", "details", "terms", "rewards", "server_crashes"):
            expected, found = getattr(one, name), getattr(other, name)
            assert (expected is None) == (found is None)
            assert expected is None or np.array_equal(expected, found), (name, row)
        assert (one.clock_ms, one.num_shown) == (other.clock_ms, other.num_shown)


def check_same_game(scenario: Scenario, workloads: list[Workload], seed: int = 0) -> int:
    """Slots in turn are the slots of the game; return how many turns shared a slot with another."""
    game, dice = rows_of(scenario, workloads), np.random.default_rng(seed)
    slots: list[list[Any]] = [[] for _ in workloads]
    turns = 0
    while game.going_on.any():
        game.take(choose(game, dice))
        turns += 1
        for row in np.flatnonzero(game.ended):
            slots[row].append(game.told[row].copy())
    rows = EdgeAIGCRows(len(workloads), scenario, autoreset_mode="Disabled")  # type: ignore[arg-type]
    rows.reset(options={"workloads": workloads})
    nothing = np.full(rows.num_gateways, game.nothing)
    for slot in range(max(map(len, slots))):
        rows.step(np.array([row[slot] if slot < len(row) else nothing for row in slots]))
    assert_same_logs(rows, game)
    return turns - max(map(len, slots))


@pytest.mark.parametrize(
    ("slot_s", "hold"), [(0.0, False), (900.0, False), (30.0, True), (900.0, True)]
)
def test_what_is_chosen_in_turn_is_the_game_of_slots(slot_s: float, hold: bool) -> None:
    scenario = game_scenario("smoke", None, "servers", slot_s, hold)
    workloads = [draw_workload(scenario, k, split="test") for k in range(3)]
    shared = check_same_game(scenario, workloads)
    assert (shared > 0) == (slot_s > 30.0)


@pytest.mark.parametrize("hold", [False, True])
def test_with_every_part_on(hold: bool) -> None:
    scenario = world(arrivals={"horizon_s": 120.0}, **TERMS).with_clock(10.0, hold)
    workloads = [draw_workload(scenario, k, split="test") for k in range(3)]
    assert check_same_game(scenario, workloads) > 0


@given(episodes(rows=2))
@settings(max_examples=20, deadline=None)
def test_in_random_worlds(episode: Any) -> None:
    check_same_game(episode.scenario, episode.workloads)


@given(strategies.games())
@settings(max_examples=20, deadline=None)
def test_in_random_worlds_of_the_base_model(game: Any) -> None:
    check_same_game(game.scenario, [game.workload])


def test_it_runs_without_the_compiler() -> None:
    """Plain Python looks where it must not: `kept` has no rows in the base model."""
    code = (
        "from edge_marl import draw_workload, load_scenario\n"
        "from edge_marl.agents import make\n"
        "from edge_marl.agents.play import play\n"
        "scenario = load_scenario('smoke-game')\n"
        "workloads = [draw_workload(scenario, 0, split='test')]\n"
        "played = play(make('in-turn:prophet', scenario), scenario, workloads, 0, api='parallel')\n"
        "print(repr(played.metrics[0]['utility']))"
    )
    assert len(printed(code)) == 1


def with_telemetry(scenario: Scenario, period_s: float) -> Scenario:
    telemetry = scenario.telemetry.model_copy(update={"period_s": period_s})
    return scenario.model_copy(update={"telemetry": telemetry})


def assert_all_is_told(scenario: Scenario, workloads: list[Workload], slot_s: float) -> int:
    """Telemetry that comes at the start of each slot shows, with what is told, how things are."""
    fresh, stale = (rows_of(with_telemetry(scenario, p), workloads) for p in (0.0, slot_s))
    dice = np.random.default_rng(0)
    turns = 0
    while fresh.going_on.any():
        on = fresh.going_on
        np.testing.assert_array_equal(fresh.shown[on], stale.shown[on])
        choices = choose(fresh, dice)
        fresh.take(choices)
        stale.take(choices)
        turns += 1
    return turns


@pytest.mark.parametrize("tier", ["metro@1", "metro@2", "campus@2"])
def test_with_telemetry_at_each_slot_all_is_told(tier: str) -> None:
    scenario = game_scenario(tier, None, None, 5.0, None)
    arrivals = scenario.arrivals.model_copy(update={"horizon_s": 200.0})
    scenario = scenario.model_copy(update={"arrivals": arrivals})
    workloads = [draw_workload(scenario, k, split="test") for k in range(2)]
    assert assert_all_is_told(scenario, workloads, 5.0) > 100


def test_old_telemetry_stays_old() -> None:
    """What was sent in the slots before is not told, and comes with the next report."""
    scenario = game_scenario("metro@2", None, None, 1.0, None)
    workloads = [draw_workload(scenario, 0, split="test")]
    fresh, stale = (rows_of(with_telemetry(scenario, p), workloads) for p in (0.0, 5.0))
    dice = np.random.default_rng(0)
    differ = []
    while fresh.going_on.any():
        differ.append(not np.array_equal(fresh.shown, stale.shown))
        choices = choose(fresh, dice)
        fresh.take(choices)
        stale.take(choices)
    assert 0.5 < np.mean(differ) < 1.0


def test_the_second_sees_what_the_first_took() -> None:
    """Two gateways wait in a slot: the second sees what the first has taken."""
    workload = draw_workload(SMOKE, 0, split="test")
    game = rows_of(SMOKE, [workload])
    while (game._turns[0, 1]) < 2:
        game.take(np.array([0]))
    decode = game.layout.decode
    first = game.whose[0]
    before = decode(game.shown)
    room = np.flatnonzero(before.free[0] >= before.demand[0])
    server = int(room[0])
    game.take(np.array([server * SMOKE.num_services]))
    after = decode(game.shown)
    assert game.whose[0] != first
    taken = before.free[0] - after.free[0]
    assert taken[server] == before.demand[0]
    assert not np.delete(taken, server).any()


@pytest.mark.parametrize("name", ["prophet", "round-robin", TRAVELS])
@pytest.mark.parametrize("tier", ["smoke", "campus@2"])
def test_on_the_event_clock_it_is_the_agent_of_the_single_environment(name: str, tier: str) -> None:
    scenario = load_scenario(tier)
    scenario = scenario.with_gateways(3) if not scenario.extended else scenario
    workloads = [draw_workload(scenario, k, split="test") for k in range(2)]
    in_turn, alone = make(f"in-turn:{name}", scenario), make(name, scenario)
    assert isinstance(in_turn, Agent)
    assert isinstance(alone, Agent)
    one = play(alone, scenario, workloads, 3)
    for api in ("single", "parallel"):
        other = play(in_turn, scenario, workloads, 3, api=api)
        np.testing.assert_equal(other.metrics, one.metrics)


@pytest.mark.parametrize("name", ["round-robin", TRAVELS])
def test_rows_do_not_know_of_each_other(name: str) -> None:
    """In a batch as alone: each call of the agent is one decision of every row."""
    workloads = [draw_workload(SMOKE, k, split="test") for k in range(4)]
    agent = make(f"in-turn:{name}", SMOKE)
    assert isinstance(agent, Agent)
    together = play(agent, SMOKE, workloads, 5, api="parallel").metrics
    fewer = play(agent, SMOKE, workloads[:2], 5, api="parallel").metrics
    np.testing.assert_equal(fewer, together[:2])


def test_in_turn_is_better_where_gateways_meet() -> None:
    scenario = game_scenario("paper", None, 10, 1800.0, None)
    workloads = [draw_workload(scenario, k, split="validation") for k in range(5)]
    utility = {}
    for name in ("prophet", "in-turn:prophet"):
        agent = make(name, scenario)
        assert isinstance(agent, Agent)
        played = play(agent, scenario, workloads, 0, api="parallel")
        utility[name] = np.mean([values["utility_per_task"] for values in played.metrics])
    assert utility["in-turn:prophet"] > utility["prophet"] + 0.5


def test_names(tmp_path: Any) -> None:
    agent = make("in-turn:prophet", SMOKE)
    assert isinstance(agent, CentralAgent)
    assert agent.name == "in-turn:prophet"
    assert find("in-turn:prophet") is type(agent)
    assert "in-turn:AGENT" in references()
    agent.save(tmp_path / "kept")
    assert type(load(tmp_path / "kept", SMOKE)) is type(agent)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("in-turn:adsac", "adsac learns first"),
        ("in-turn:in-turn:prophet", "is a reference itself"),
        ("in-turn:profet", "did you mean 'prophet'"),
        ("in-turn:", "unknown agent ''"),
    ],
)
def test_what_cannot_be_had_in_turn(name: str, why: str) -> None:
    with pytest.raises(AgentError, match=why):
        make(name, SMOKE)


def test_an_agent_of_ones_own_in_turn(tmp_path: Any) -> None:
    file = tmp_path / "own.py"
    file.write_text(
        "import numpy as np\nfrom edge_marl.agents import Agent\n"
        "class First(Agent):\n"
        "    def reset(self, seed): pass\n"
        "    def act(self, observation, info): return np.zeros(len(observation), dtype=np.int64)\n"
    )
    name = f"in-turn:{file}:First"
    assert own_class(name) == f"{file}:First"
    assert own_class("in-turn:prophet") == own_class("prophet") == ""
    assert agent_code(name) == agent_code(f"{file}:First") != agent_code("in-turn:prophet")
    agent = make(name, SMOKE)
    assert isinstance(agent, Agent)
    workloads = [draw_workload(SMOKE, 0, split="test")]
    assert play(agent, SMOKE, workloads, 0, api="parallel").actions == {0}
