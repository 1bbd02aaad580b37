"""The released games: what they are called, what they are the game of, where they are played."""

from typing import Any

import gymnasium as gym
import pettingzoo
import pytest
from gymnasium.vector import AutoresetMode

from edge_marl import EdgeAIGCRows, edge_aigc_v0, list_games, list_tiers, load_scenario, tiers
from edge_marl.agents.heuristics.prices import learn_prices
from edge_marl.benchmarks.plan.make_plan import make_plan
from edge_marl.benchmarks.suites import Suite
from edge_marl.cli import app
from edge_marl.console import run_app
from edge_marl.errors import ScenarioError
from edge_marl.scenario import find_release
from edge_marl.scenario.games import tier_of_game
from edge_marl.scenario.reading import read_layers

DIGESTS = {"campus-game@1": "59591ace", "metro-game@1": "0863dd75", "paper-game@1": "74ebfd50"}
DIGESTS |= {"smoke-game@1": "dd9c7bba", "studio-game@1": "8c5fa46a", "nation-game@1": "312ca19a"}


def test_released_games_never_change() -> None:
    digests = {name: load_scenario(name).digest[:8] for name in list_games()}
    assert digests.items() >= DIGESTS.items()


@pytest.mark.parametrize("name", list_games())
def test_a_game_is_a_tier_in_slots(name: str) -> None:
    """And has its number of gateways, or one that it states."""
    game, layers = load_scenario(name), read_layers(name)
    assert game.label == name == f"{game.name}@{game.version}"
    own, base = layers.sources
    tier = load_scenario(own.facts["extends"])
    assert base.where == f"{own.facts['extends']}.toml"
    assert f"{tier.name}@{tier.version}" == own.facts["extends"]
    assert game.name == f"{tier.name}-game"
    assert own.facts.keys() - {"gateways"} == {"extends", "name", "version", "summary", "clock"}
    assert game.clock.slot_ms > 0
    assert game.gateways.count > 1
    called = {"name": tier.name, "version": tier.version}
    same = game.on_events().model_copy(update=called)
    assert same.digest == tier.with_gateways(game.gateways.count).digest
    assert tier_of_game(game) == tier
    assert tier_of_game(game.with_gateways(2).with_clock(1.0, hold=True)) == tier
    harsher = game.overload.model_copy(update={"penalty": 7.0})
    assert tier_of_game(game.model_copy(update={"overload": harsher})) is None
    assert tier_of_game(tier) is None
    assert learn_prices(game).tolist() == learn_prices(tier).tolist()
    assert find_release(name, game.digest) == game
    assert load_scenario(game.name).version == max(tiers.versions_of(game.name))


def test_games_are_no_tiers() -> None:
    assert list_games() == sorted(list_games())
    assert not {*list_games()} & {*list_tiers()}
    assert [name.partition("@")[0] for name in list_games(newest=True)] == tiers.names_of_games()
    with pytest.raises(ScenarioError, match="did you mean 'paper-game'"):
        load_scenario("paper-gme")


def test_a_game_goes_by_its_name_on_every_api() -> None:
    game = load_scenario("paper-game")
    made: list[Any] = [
        edge_aigc_v0.parallel_env("paper-game"),
        edge_aigc_v0.env("paper-game"),
        edge_aigc_v0.raw_env("paper-game", reward="local"),
        EdgeAIGCRows(2, "paper-game"),
        pettingzoo.make("parallel", "edge_aigc/orchestration-v0", scenario="paper-game"),
        pettingzoo.make("aec", "edge_aigc/orchestration-v0", scenario="paper-game"),
    ]
    assert all(env.scenario == game for env in made)
    assert edge_aigc_v0.env("paper-game", slot_s=0.0).scenario == game.on_events()


def test_the_single_environment_refuses_a_game_and_says_why() -> None:
    message = "'paper-game@1' is a game in slots of 600 s: this environment has one orchestrator"
    with pytest.raises(ScenarioError, match=message):
        gym.make("EdgeAIGC-v0", scenario="paper-game")
    with pytest.raises(ScenarioError, match=message):
        gym.make_vec("EdgeAIGC-v0", 2, scenario="paper-game")
    on_events = load_scenario("paper-game").on_events()
    env: Any = gym.make("EdgeAIGC-v0", scenario=on_events)
    assert env.reset(seed=0)[0] in env.observation_space
    assert on_events.on_events() is on_events


def plan(*scenarios: str, **axes: Any) -> Any:
    return make_plan(Suite(scenarios=scenarios, agents=("prophet",), **axes))


def test_a_run_plays_a_game_as_one_by_itself() -> None:
    made = plan("paper", "paper-game")
    assert [(arena.label, arena.api) for arena in made.arenas] == [
        ("paper", "single"),
        ("paper-game@1, 10 gateways, slots of 600 s", "parallel"),
    ]
    (longer,) = plan("paper-game", slot_s=1200.0).arenas
    assert longer.label == "paper-game@1, 10 gateways, slots of 1200 s"
    (moved,) = plan("paper-game", train_on="paper").arenas
    assert moved.place == load_scenario("paper")


@pytest.mark.parametrize("apis", [("single",), ("parallel", "single")])
def test_a_run_of_a_game_on_the_single_environment_is_refused(apis: Any) -> None:
    with pytest.raises(ScenarioError, match="'paper-game@1' is a game in slots of 600 s"):
        plan("smoke", "paper-game", apis=apis)


def test_what_is_asked_of_games_is_asked_of_every_scenario() -> None:
    with pytest.raises(ScenarioError, match=r"slot_s = 1\.0: the single environment"):
        plan("paper-game", "paper", slot_s=1.0)


@pytest.mark.parametrize(
    "args",
    [
        ["evaluate", "--agent", "prophet", "--scenario", "smoke-game", "--episodes", "2"],
        ["plan", "--scenario", "smoke-game", "--agents", "prophet"],
        ["scenarios", "show", "smoke-game"],
    ],
)
def test_commands_take_a_game(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        run_app(app, args)
    assert not end.value.code
    said = capsys.readouterr().out
    assert "smoke-game@1" in said
    assert args[0] == "scenarios" or "parallel" in said or "slots of" in said


@pytest.mark.parametrize("agent", ["dqn", "idqn", "vdn"])
def test_a_game_is_trained_on(agent: str, tmp_path: Any) -> None:
    """Learners of the single environment on its event clock; all are judged in its slots."""
    args = ["train", "--agent", agent, "--scenario", "smoke-game", "--budget", "200", "--quiet"]
    with pytest.raises(SystemExit) as end:
        run_app(app, [*args, "--evaluations", "1", "--out", str(tmp_path / "run")])
    assert not end.value.code
    assert (tmp_path / "run" / "agent" / "config.json").is_file()


def test_rows_of_a_game_start_by_themselves() -> None:
    rows = EdgeAIGCRows(2, "smoke-game", autoreset_mode=AutoresetMode.SAME_STEP)
    seen, infos = rows.reset(seed=0)
    assert seen.shape[:2] == (2, 3) == infos["action_mask"].shape[:2]
