"""Evaluation as the policy of all gateways, against evaluation on the single environment."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edge_marl.agents import Agent, make
from edge_marl.benchmarks.plan.cells import Arena, Cell, Plan
from edge_marl.benchmarks.plan.make_plan import make_plan
from edge_marl.benchmarks.plan.sources import agent_code
from edge_marl.benchmarks.records.records import Record
from edge_marl.benchmarks.report.as_text import to_csv, to_markdown
from edge_marl.benchmarks.report.comparisons import Report
from edge_marl.benchmarks.report.tables import build_tables
from edge_marl.benchmarks.run.evaluation import draw_test_workloads, evaluate, evaluate_gateways
from edge_marl.benchmarks.run.task import Task
from edge_marl.benchmarks.run.worker import execute
from edge_marl.benchmarks.suites import DEFAULT, DEFAULT_AGENTS
from edge_marl.errors import ScenarioError
from edge_marl.scenario import Scenario, load_scenario
from tests.worlds import fakes

EVENTS = load_scenario("smoke").with_gateways(3)
SLOTS = EVENTS.with_clock(600.0, hold=True)


def agent_of(name: str, scenario: Scenario) -> Agent:
    made = make(name, scenario)
    assert isinstance(made, Agent)
    return made


@pytest.mark.parametrize("name", ["round-robin", "crash-avoid", "crash-avoid-best", "prophet"])
@pytest.mark.parametrize("gateways", [1, 3])
def test_on_the_event_clock_both_apis_give_the_same_metrics(name: str, gateways: int) -> None:
    scenario = load_scenario("smoke").with_gateways(gateways)
    workloads = draw_test_workloads(scenario, 3)
    single = evaluate(agent_of(name, scenario), scenario, workloads, seed=0)
    seen: list[int] = []
    parallel = evaluate_gateways(agent_of(name, scenario), scenario, workloads, 0, seen.append)
    for one, other in zip(single, parallel, strict=True):
        np.testing.assert_equal(other, one)
    assert seen[-1] == 3


def test_in_slots_every_task_is_dispatched_by_its_gateway() -> None:
    workloads = draw_test_workloads(SLOTS, 3)
    metrics = evaluate_gateways(agent_of("prophet", SLOTS), SLOTS, workloads, seed=0)
    assert [m["tasks"] for m in metrics] == [w.num_tasks for w in workloads]
    assert all(m["illegal_actions"] == 0 for m in metrics)
    single = evaluate(agent_of("prophet", SLOTS), SLOTS.on_events(), workloads, seed=0)
    # Prophets that do not see what the others choose now and then meet on a server.
    assert sum(m["utility"] for m in metrics) < sum(m["utility"] for m in single)


def test_agents_see_the_single_environments_rows_and_masks() -> None:
    class Watcher(Agent):
        """Takes action 0 and keeps what it was shown."""

        deterministic = True

        def reset(self, seed: int) -> None:
            self.shown: set[tuple[tuple[int, ...], tuple[int, ...]]] = set()

        def act(
            self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
        ) -> npt.NDArray[np.int64]:
            assert info["action_mask"].all()
            self.shown.add((observation.shape, info["action_mask"].shape))
            return np.zeros(len(observation), dtype=np.int64)

    watcher = Watcher(SLOTS)
    evaluate_gateways(watcher, SLOTS, draw_test_workloads(SLOTS, 2), seed=0)
    from edge_marl.layout import ObservationLayout

    assert watcher.shown == {((6, ObservationLayout(SLOTS).size), (6, SLOTS.num_actions))}


def test_the_api_is_part_of_a_cell() -> None:
    cells = [
        Cell(
            scenario=EVENTS,
            episodes=2,
            code=agent_code("prophet"),
            agent="prophet",
            seed=0,
            budget=None,
            api=api,
        )
        for api in ("single", "parallel")
    ]
    assert cells[0].key != cells[1].key
    assert cells[0].label == "smoke / prophet / seed 0"
    assert cells[1].label == "smoke, 3 gateways, event clock / prophet / seed 0"
    records = [
        Record.model_validate(
            {
                "job": cell,
                "provenance": fakes.PROVENANCE,
                "result": execute(Task(job=cell), lambda *state: None)["result"],
            }
        )
        for cell in cells
    ]
    assert records[0].result is not None
    assert records[1].result is not None
    assert records[0].result.episodes == records[1].result.episodes


def test_a_plan_hands_its_api_to_its_cells_and_its_table(tmp_path: Any) -> None:
    game = Arena(scenario=fakes.SMOKE, api="parallel")
    plan = fakes.plan().model_copy(update={"arenas": (game,)})
    assert {cell.api for cell in plan.cells(game, fakes.LEARNER)} == {"parallel"}
    fakes.make_run(tmp_path, plan, {"greedy": 20.0, "student": 50.0})
    assert "as policy of all gateways" in build_tables(tmp_path)[0].subtitle


def plan_of(*scenarios: str, apis: tuple[str, ...] = ("single",), **axes: Any) -> Plan:
    asked = {"scenarios": scenarios, "agents": ("prophet",), "apis": apis, **axes}
    return make_plan(DEFAULT.replaced(asked))


def game_of(**game: Any) -> Plan:
    return plan_of("smoke", apis=("parallel",), **game)


def test_a_game_replaces_the_scenarios() -> None:
    (arena,) = game_of(gateways="servers", slot_s=60.0, hold=True).arenas
    assert arena.scenario == load_scenario("smoke").with_gateways(3).with_clock(60.0, hold=True)
    # What is not given stays.
    (arena,) = game_of(slot_s=60.0).arenas
    assert arena.scenario == load_scenario("smoke").with_clock(60.0, hold=False)
    assert game_of().arenas == (Arena(scenario=load_scenario("smoke"), api="parallel"),)
    other_world = plan_of("paper", apis=("parallel",), worlds=(3,), gateways=2)
    assert other_world.arenas[0].scenario == load_scenario("paper", 3).with_gateways(2)


@pytest.mark.parametrize("game", [{"gateways": 2}, {"slot_s": 0.0}, {"hold": False}])
def test_a_game_needs_the_parallel_api(game: dict[str, Any]) -> None:
    name, value = next(iter(game.items()))
    with pytest.raises(ScenarioError, match=f"{name} = {value}: .*add --api parallel"):
        plan_of("smoke", **game)


GAMES: list[dict[str, Any]] = [
    {},
    {"gateways": 1},
    {"gateways": 3},
    {"slot_s": 60.0},
    {"slot_s": 0.5},
    {"slot_s": 60.0, "hold": True},
]


def test_each_game_has_its_own_cells_labels_and_folder() -> None:
    plans = [game_of(**game) for game in GAMES]
    cells = [plan.cells(plan.arenas[0], plan.agents[0])[0] for plan in plans]
    assert len({cell.key for cell in cells}) == len(GAMES)
    assert [cell.label.partition(" / ")[0] for cell in cells] == [
        "smoke, 2 gateways, event clock",
        "smoke, 1 gateway, event clock",
        "smoke, 3 gateways, event clock",
        "smoke, 2 gateways, slots of 60 s",
        "smoke, 2 gateways, slots of 0.5 s",
        "smoke, 2 gateways, slots of 60 s, hold",
    ]
    assert plans[-1].name == "smoke-2-gateways-slots-of-60-s-hold"
    assert cells[-1].file_name.startswith(f"{plans[-1].name}_prophet_s0_")
    assert plan_of("smoke", "paper").name == "smoke+paper"


def test_two_clocks_are_two_rows(tmp_path: Path) -> None:
    clocks = (fakes.SMOKE, fakes.SMOKE.with_clock(60.0, hold=False))
    arenas = tuple(Arena(scenario=clock, api="parallel") for clock in clocks)
    plan = fakes.plan().model_copy(update={"arenas": arenas})
    fakes.make_run(tmp_path, plan, {"greedy": 20.0, "student": 50.0})
    events, slots = build_tables(tmp_path)
    made = Report([events, slots])
    labels = [row["scenario"] for row in csv.DictReader(io.StringIO(to_csv(made)))]
    assert list(dict.fromkeys(labels))[:2] == [events.label, slots.label]
    text = to_markdown(made)
    assert "## smoke, 2 gateways, event clock" in text
    assert "## smoke, 2 gateways, slots of 60 s" in text
    of_games, *others = slots.notes
    assert of_games.startswith("Herding: ")
    assert tuple(others) == events.notes  # each has anchors of its own clock, and nothing to add
    assert plan.anchors(clocks[0]).key != plan.anchors(clocks[1]).key


def test_the_default_agents_are_a_fixed_list() -> None:
    plan = make_plan(DEFAULT)
    assert tuple(entry.name for entry in plan.agents) == DEFAULT_AGENTS
    assert {arena.api for arena in plan.arenas} == {"single"}
