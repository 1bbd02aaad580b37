"""Test sets: how they are named and loaded, and that nothing is trained on them."""

from collections.abc import Callable
from pathlib import Path

import gymnasium
import pytest

import edge_marl
from edge_marl import ObservationLayout, list_tiers, load_scenario
from edge_marl import scenario as scenarios
from edge_marl.agents import make
from edge_marl.agents.heuristics.prices import learn_prices
from edge_marl.agents.training.run_folder import RunFolder
from edge_marl.agents.training.trainer import LearningTrainer
from edge_marl.cli.scenarios import show
from edge_marl.errors import ScenarioError
from edge_marl.scenario.generalisation import tier_of, title_of
from tests.worlds.moved import release_in, town

NAMES = {"new days": "town", "half": "town-half", "double": "town-double", "new city": "town-city"}


@pytest.fixture
def _towns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release_in(tmp_path / "tiers", monkeypatch, town(version=9), town(version=10))


@pytest.mark.usefixtures("_towns")
def test_the_test_sets_of_a_tier_come_in_order_and_are_of_its_version() -> None:
    found = edge_marl.test_sets("town")
    assert {title: scenario.name for title, scenario in found.items()} == NAMES
    assert list(found) == list(NAMES)
    assert found["new days"] == load_scenario("town")
    assert {scenario.version for scenario in found.values()} == {10}
    assert edge_marl.test_sets(load_scenario("town")) == found
    assert [title_of(scenario) for scenario in found.values()] == list(NAMES)


@pytest.mark.usefixtures("_towns")
def test_a_name_without_a_version_is_the_newest() -> None:
    newest, old = load_scenario("town-half"), load_scenario("town-half@9")
    assert (newest.version, old.version) == (10, 9)  # by number: as text, 9 is the larger
    assert newest == load_scenario("town-half@10") != old
    with pytest.raises(ScenarioError, match="unknown tier 'town-hlaf': did you mean 'town-half'"):
        load_scenario("town-hlaf")
    with pytest.raises(ScenarioError, match="'town-half' has no version '8': it has town-half@9"):
        load_scenario("town-half@8")


@pytest.mark.usefixtures("_towns")
def test_test_sets_are_no_tiers() -> None:
    assert list_tiers(newest=True) == ["smoke", "town@10"]
    with pytest.raises(ScenarioError, match=r"'smoke', version 1, has no test sets: .* are town"):
        scenarios.test_sets("smoke")


def test_a_tier_has_none_where_none_are_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release_in(tmp_path / "tiers", monkeypatch)
    with pytest.raises(ScenarioError, match="no tier has them"):
        scenarios.test_sets("smoke")


@pytest.mark.usefixtures("_towns")
@pytest.mark.parametrize("title", ["half", "double", "new city"])
def test_a_test_set_is_played_like_any_scenario(title: str) -> None:
    home = load_scenario("town")
    there = scenarios.test_sets("town")[title]
    assert ObservationLayout(there).size == ObservationLayout(home).size
    assert there.num_actions == home.num_actions
    env = gymnasium.make("EdgeAIGC-v0", scenario=there)
    observation, info = env.reset(seed=0)
    env.step(int(info["action_mask"].argmax()))
    assert observation.shape == env.observation_space.shape
    env.close()


def select(trainer: LearningTrainer, folder: Path) -> object:
    return trainer.select(trainer.scenario, 10, 0)


def start(trainer: LearningTrainer, folder: Path) -> object:
    return trainer.start(trainer.scenario, 10, 0)


def go_on(trainer: LearningTrainer, folder: Path) -> object:
    return RunFolder(folder, trainer, trainer.scenario, 10, 0)


@pytest.mark.usefixtures("_towns")
@pytest.mark.parametrize("way", [select, start, go_on])
@pytest.mark.parametrize("agent", ["ppo", "qmix"])
def test_nothing_is_trained_on_a_test_set(
    agent: str, way: Callable[[LearningTrainer, Path], object], tmp_path: Path
) -> None:
    if agent == "qmix":
        pytest.importorskip("torchrl", reason="torchrl is not installed")
    trainer = make(agent, load_scenario("town-city"))
    assert isinstance(trainer, LearningTrainer)
    message = "'town-city@1?0?' is a test set of 'town': nothing is trained or chosen on it"
    with pytest.raises(ScenarioError, match=message):
        way(trainer, tmp_path / "run")
    trainer.start(load_scenario("town"), 10, 0)


@pytest.mark.usefixtures("_towns")
def test_a_game_on_a_test_set_is_one_too() -> None:
    game = load_scenario("town-half").with_gateways(3).with_clock(1.0, hold=False)
    with pytest.raises(ScenarioError, match="test set of 'town'"):
        scenarios.generalisation.check_trainable(game)
    assert tier_of(game) == load_scenario("town")
    with pytest.raises(ScenarioError, match="'town' is no test set"):
        tier_of(load_scenario("town"))


def test_prices_of_a_test_set_are_learnt_on_its_tier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_MARL_CACHE", str(tmp_path / "cache"))
    release_in(tmp_path / "tiers", monkeypatch, town())
    home = learn_prices(load_scenario("town"))
    assert home.any()
    assert (learn_prices(load_scenario("town-city")) == home).all()


@pytest.mark.usefixtures("_towns")
def test_show_names_the_test_sets_and_says_what_one_is(capsys: pytest.CaptureFixture[str]) -> None:
    show("town")
    assert "town-half@10, town-double@10, town-city@10" in capsys.readouterr().out
    show("town-half@9")
    assert "town: nothing is trained on it" in capsys.readouterr().out
