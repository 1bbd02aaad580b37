"""What a report says over several scenarios, in all its formats."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from edge_marl.benchmarks.plan.cells import AgentEntry, Arena, Plan
from edge_marl.benchmarks.records.records import record_path, write_record
from edge_marl.benchmarks.report.as_json import to_json
from edge_marl.benchmarks.report.as_page import to_html
from edge_marl.benchmarks.report.as_text import print_sheets, sheets_of, to_csv, to_markdown
from edge_marl.benchmarks.report.comparisons import Report
from edge_marl.benchmarks.report.figures.drawings import draw_aggregate
from edge_marl.benchmarks.report.intervals import iqm
from edge_marl.benchmarks.report.tables import build_tables
from tests.worlds import fakes

WORLDS = tuple(Arena(scenario=fakes.SMOKE.in_world(world)) for world in range(4))
LEVELS = {"greedy": 20.0, "student": 50.0, "best": 90.0, "worst": -400.0}


def plan_of(*agents: AgentEntry, **changes: Any) -> Plan:
    return fakes.plan(*agents, seeds=2).model_copy(update={"arenas": WORLDS} | changes)


def report_of(folder: Path) -> Report:
    return Report(build_tables(folder))


def test_an_aggregate_is_the_iqm_of_runs_and_scenarios(tmp_path: Path) -> None:
    plan = plan_of()
    fakes.make_run(tmp_path, plan, LEVELS)
    for world, arena in enumerate(WORLDS):  # each world by ten harder than the one before
        for agent in plan.agents:
            for cell in plan.cells(arena, agent):
                level = LEVELS[agent.name] + cell.seed - 10.0 * world
                write_record(tmp_path, fakes.cell_record(cell, level))
    (over,) = report_of(tmp_path).aggregates
    assert over.label == "All 4 scenarios"
    assert over.scenarios == ("smoke", "smoke-w1", "smoke-w2", "smoke-w3")
    student, greedy = over.rows
    assert student.means == pytest.approx([0.52, 0.42, 0.32, 0.22])
    assert student.lowest == 3
    runs = np.array(
        [[0.515 - 0.1 * world + 0.01 * seed for world in range(4)] for seed in range(2)]
    )
    assert student.score.value == pytest.approx(iqm(runs.ravel()))
    # Of an agent that depends on no seed, each run is as good as two.
    assert greedy.score.value == pytest.approx(np.mean([0.115, 0.015]))
    assert (greedy.runs, student.runs) == (1, 2)
    assert (greedy.has_few_runs, student.has_few_runs) == (False, True)


def test_a_single_scenario_has_no_aggregate_and_each_api_has_its_own(tmp_path: Path) -> None:
    fakes.make_run(tmp_path / "one", fakes.plan(), LEVELS)
    assert report_of(tmp_path / "one").aggregates == []
    game = tuple(Arena(scenario=arena.scenario, api="parallel") for arena in WORLDS[:2])
    fakes.make_run(tmp_path / "both", plan_of(arenas=WORLDS[:1] + game), LEVELS)
    (over,) = report_of(tmp_path / "both").aggregates
    assert over.label == "All 2 scenarios as policy of all gateways"


def test_an_agent_with_a_hole_is_left_out_and_said_everywhere(tmp_path: Path) -> None:
    plan = plan_of()
    fakes.make_run(tmp_path, plan, LEVELS)
    record_path(tmp_path, plan.cells(WORLDS[2], fakes.LEARNER)[1]).unlink()
    made = report_of(tmp_path)
    shown = io.StringIO()
    print_sheets(Console(file=shown, width=200), sheets_of(made))
    said = "‡ student is left out: 1 of 2 runs in smoke-w2"
    assert [row.agent.name for row in made.aggregates[0].rows] == ["greedy"]
    for text in (
        shown.getvalue(),
        to_markdown(made),
        to_html(made).decode(),
        to_json(made).decode(),
    ):
        assert said in text
    lines = list(csv.DictReader(io.StringIO(to_csv(made))))
    assert [row["agent"] for row in lines if row["scenario"] == "All 4 scenarios"] == ["greedy"]


def test_without_anchors_in_one_scenario_there_is_no_aggregate(tmp_path: Path) -> None:
    plan = plan_of()
    fakes.make_run(tmp_path, plan, LEVELS)
    write_record(tmp_path, fakes.failure_record(plan.anchors(WORLDS[3].scenario)))
    (over,) = report_of(tmp_path).aggregates
    assert over.rows == ()
    assert over.notes[0] == "‡ greedy is left out: no scores in smoke-w3"
    assert draw_aggregate(over) == []


def test_another_agent_changes_no_other_aggregate(tmp_path: Path) -> None:
    best, worst = (fakes.LEARNER.model_copy(update={"agent": n}) for n in ("best", "worst"))
    fakes.make_run(tmp_path / "few", plan_of(), LEVELS)
    fakes.make_run(tmp_path / "many", plan_of(best, fakes.LEARNER, worst, fakes.HEURISTIC), LEVELS)
    few, many = (report_of(tmp_path / name) for name in ("few", "many"))
    before, after = (json.loads(to_json(made))["aggregates"][0]["agents"] for made in (few, many))
    assert [row["agent"] for row in after] == ["best", "student", "greedy", "worst"]
    assert after[1:3] == before
    assert set(to_csv(few).splitlines()) <= set(to_csv(many).splitlines())
    assert set(to_markdown(few).splitlines()) <= set(to_markdown(many).splitlines())


def test_runs_trained_in_one_place_are_drawn_together(tmp_path: Path) -> None:
    plan = plan_of(seeds=6)
    for name, place in (("each", None), ("home", WORLDS[0].scenario)):
        arenas = [arena.model_copy(update={"train_on": place}) for arena in WORLDS]
        fakes.make_run(tmp_path / name, plan.model_copy(update={"arenas": tuple(arenas)}), LEVELS)
        for arena in arenas:
            for cell in plan.cells(arena, fakes.LEARNER):
                write_record(tmp_path / name, fakes.cell_record(cell, 10.0 * cell.seed))
    each, home = (
        next(r for r in report_of(tmp_path / name).aggregates[0].rows if r.agent.learns).score
        for name in ("each", "home")
    )
    assert each.value == home.value
    assert home.high - home.low > 1.5 * (each.high - each.low)
