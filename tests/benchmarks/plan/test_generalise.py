"""What a plan makes of `generalise` and `train_on`, and what it refuses to train on."""

from pathlib import Path
from typing import Any

import pytest

from edge_marl import load_scenario
from edge_marl.benchmarks.plan.cells import Plan
from edge_marl.benchmarks.plan.make_plan import make_plan
from edge_marl.benchmarks.suites import Suite
from edge_marl.errors import ScenarioError
from tests.worlds.moved import release_in, town

SETS = ["town", "town-half", "town-double", "town-city"]


@pytest.fixture(autouse=True)
def _towns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release_in(tmp_path / "tiers", monkeypatch, town(), town("city"))


def plan_of(*scenarios: str, **axes: Any) -> Plan:
    suite = Suite(scenarios=scenarios, agents=("prophet", "sac"), budget=1000)
    return make_plan(suite.replaced(axes))


def trained(plan: Plan) -> set[str]:
    return {(cell.train_on or cell.scenario).name for cell in plan.trained_by().values()}


def test_every_test_set_is_played_by_what_was_trained_on_its_tier() -> None:
    plan = plan_of("town", "city", generalise=True)
    assert [arena.scenario.name for arena in plan.arenas] == [
        *SETS,
        *(name.replace("town", "city", 1) for name in SETS),
    ]
    assert [arena.place.name for arena in plan.arenas] == ["town"] * 4 + ["city"] * 4
    assert plan.arenas[0].train_on is None
    assert len(plan.trained_by()) == 2 * plan.seeds
    assert trained(plan) == {"town", "city"}
    heuristic, _ = plan.agents
    assert {cell.train_on for arena in plan.arenas for cell in plan.cells(arena, heuristic)} == {
        None
    }


def test_one_place_may_train_for_all_test_sets() -> None:
    plan = plan_of("town", "city", generalise=True, train_on="city")
    assert {arena.place.name for arena in plan.arenas} == {"city"}
    assert len(plan.trained_by()) == plan.seeds
    assert trained(plan) == {"city"}


def test_in_the_game_the_game_of_the_tier_trains() -> None:
    plan = plan_of("town", generalise=True, apis=("single", "parallel"), slot_s=1.0)
    single, game = (
        [arena for arena in plan.arenas if arena.api == api] for api in ("single", "parallel")
    )
    assert {arena.place.clock.slot_s for arena in single} == {0.0}
    assert {arena.place.clock.slot_s for arena in game} == {1.0}
    assert {arena.scenario.clock.slot_s for arena in game} == {1.0}
    assert [arena.scenario.name for arena in game] == SETS
    assert {arena.place.name for arena in plan.arenas} == {"town"}


@pytest.mark.parametrize(
    ("scenarios", "axes"),
    [
        (("town-half",), {}),
        (("town",), {"train_on": "town-half"}),
        (("town",), {"generalise": True, "train_on": "town-half"}),
        (("town-half",), {"agents": ("prophet",), "split": "validation"}),
        (("town-half",), {"agents": ("prophet",), "split": "train"}),
        (("town",), {"generalise": True, "train_on": "town", "split": "validation"}),
    ],
)
def test_nothing_is_trained_or_chosen_on_a_test_set(
    scenarios: tuple[str, ...], axes: dict[str, Any]
) -> None:
    with pytest.raises(ScenarioError, match="'town-half@1' is a test set of 'town': nothing"):
        plan_of(*scenarios, **axes)


def test_a_test_set_alone_is_played_by_heuristics_and_by_agents_of_its_tier() -> None:
    assert len(plan_of("town-half", agents=("prophet",)).arenas) == 1
    plan = plan_of("town-half", train_on="town")
    assert plan.arenas[0].place == load_scenario("town")


def test_a_scenario_without_test_sets_cannot_be_generalised_from() -> None:
    with pytest.raises(ScenarioError, match=r"'smoke', version 1, has no test sets: .* city, town"):
        plan_of("smoke", generalise=True)
