"""The table of a tier's test sets: what agents get on each, and what they lose there."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from edge_marl.benchmarks.plan.cells import Arena, Plan
from edge_marl.benchmarks.records.records import record_path, write_record
from edge_marl.benchmarks.report.as_json import to_json
from edge_marl.benchmarks.report.as_page import to_html
from edge_marl.benchmarks.report.as_text import print_sheets, sheets_of, to_markdown
from edge_marl.benchmarks.report.comparisons import Report
from edge_marl.benchmarks.report.figures.drawings import draw_generalisation
from edge_marl.benchmarks.report.intervals import iqm
from edge_marl.benchmarks.report.report import make_report
from edge_marl.benchmarks.report.stats import change, estimate
from edge_marl.benchmarks.report.tables import build_tables
from tests.worlds import fakes

HOME = fakes.SMOKE
AWAY = {
    end: HOME.model_copy(update={"name": f"smoke-{end}", "test_set_of": "smoke"})
    for end in ("city", "half", "double", "own")
}
ARENAS = (fakes.ARENA, *(Arena(scenario=there, train_on=HOME) for there in AWAY.values()))
TITLES = ["new days", "half", "double", "new city", "own"]
LOWER = {"smoke": 0.0, "smoke-half": 5.0, "smoke-double": 1.0, "smoke-city": 20.0, "smoke-own": 2.0}


def make_run(folder: Path, *arenas: Arena, seeds: int = 3) -> Plan:
    """A run whose agents get less away, `student` by as much less as its seed is high."""
    plan = fakes.plan(seeds=seeds).model_copy(update={"arenas": arenas or ARENAS})
    fakes.make_run(folder, plan, {"greedy": 20.0, "student": 50.0})
    for arena in plan.arenas:
        for agent in plan.agents:
            for cell in plan.cells(arena, agent):
                level = 50.0 if agent.learns else 20.0
                level += 10.0 * cell.seed - LOWER[arena.scenario.name]
                write_record(folder, fakes.cell_record(cell, level))
    return plan


def report_of(folder: Path) -> Report:
    return Report(build_tables(folder))


def test_a_loss_is_that_of_the_same_runs(tmp_path: Path) -> None:
    make_run(tmp_path)
    (over,) = report_of(tmp_path).generalisations
    assert over.label == "Generalisation from smoke"
    assert list(over.sets) == TITLES
    assert [row.agent.name for row in over.rows] == ["student", "greedy"]
    student = over.rows[0]
    assert {title: loss.value for title, loss in student.losses.items()} == pytest.approx(
        {"half": 0.05, "double": 0.01, "new city": 0.2, "own": 0.02}
    )
    home, city = (over.sets[title].rows[0] for title in ("new days", "new city"))
    assert student.losses["new city"] == change(home.scores, city.scores, iqm)
    # Runs differ by far more than what each loses, and cancel.
    loss, score = student.losses["new city"], student.figures["normalised_score"]["new city"]
    assert loss.high - loss.low < 0.5 * (score.high - score.low)
    assert student.figures["utility_per_task"]["half"] == estimate(
        over.sets["half"].rows[0].runs.metrics["utility_per_task"]
    )


def test_the_change_of_a_statistic_has_the_interval_of_its_error() -> None:
    draw = np.random.Generator(np.random.PCG64(0))
    runs = draw.normal(size=(6, 1))
    first = runs + 0.1 * draw.normal(size=(6, 30))
    second = runs - 1.0 + 0.1 * draw.normal(size=(6, 20))
    for statistic in (np.mean, iqm):
        found = change(first, second, iqm if statistic is iqm else lambda v: v.mean(axis=-1))
        assert found.low < 1.0 < found.high
        assert found.high - found.low < 0.2  # that of runs that have nothing in common is 2
    with pytest.raises(ValueError, match="6 and 5 runs"):
        change(first, second[:5])


def test_all_formats_carry_it(tmp_path: Path) -> None:
    plan = make_run(tmp_path)
    made = report_of(tmp_path)
    shown = io.StringIO()
    print_sheets(Console(file=shown, width=300), sheets_of(made))
    heading = "| agent | new days | half | double | new city | own | score: new days |"
    assert heading in to_markdown(made)
    for text in (shown.getvalue(), to_markdown(made), to_html(made).decode()):
        assert "Generalisation from smoke" in text
        assert "runs are paired, workloads are not" in " ".join(text.split())
    (facts,) = json.loads(to_json(made))["generalisations"]
    assert facts["loss_in"] == "normalised_score"
    assert list(facts["sets"]) == TITLES
    student = facts["agents"][0]
    assert student["loss"]["new city"]["value"] == pytest.approx(0.2)
    assert student["utility_per_task"].keys() == student["normalised_score"].keys() == set(TITLES)
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    make_report(tmp_path, ("parquet",), show=False)
    lines = parquet.read_table(tmp_path / "episodes.parquet").to_pylist()
    told = {(line["scenario"], line["test_set_of"], line["trained_on"]) for line in lines}
    assert ("smoke-city", "smoke", "smoke") in told
    assert ("smoke-city", "smoke", None) in told  # of the heuristic
    assert len(told) == 2 * len(plan.arenas)


def test_without_scores_a_loss_is_one_of_utility(tmp_path: Path) -> None:
    plan = make_run(tmp_path)
    write_record(tmp_path, fakes.failure_record(plan.anchors(AWAY["city"])))
    made = report_of(tmp_path)
    (over,) = made.generalisations
    assert over.measure.name == "utility_per_task"
    assert over.rows[0].losses["new city"].value == pytest.approx(20.0 / 60)
    assert "No scores: there are none on new city." in over.notes
    assert "score: half" not in to_markdown(made)
    assert "in utility per task: runs" in to_markdown(made)


def test_a_run_that_is_missing_on_one_set_is_left_out_of_its_loss(tmp_path: Path) -> None:
    plan = make_run(tmp_path)
    arena = next(arena for arena in plan.arenas if arena.scenario == AWAY["half"])
    record_path(tmp_path, plan.cells(arena, fakes.LEARNER)[0]).unlink()
    made = report_of(tmp_path)
    (over,) = made.generalisations
    student = over.rows[0]
    assert student.name == "student †‡"
    assert student.losses["half"].value == pytest.approx(0.05)
    assert "‡ student, half: seed 0 not run yet" in over.notes
    for seed in (1, 2):
        record_path(tmp_path, plan.cells(arena, fakes.LEARNER)[seed]).unlink()
    (over,) = report_of(tmp_path).generalisations
    assert "half" not in over.rows[0].losses
    row = next(line for line in to_markdown(report_of(tmp_path)).splitlines() if "student" in line)
    assert row.split(" | ")[2] == "-"


def test_test_sets_have_no_part_in_the_aggregate(tmp_path: Path) -> None:
    make_run(tmp_path)
    assert report_of(tmp_path).aggregates == []


def test_only_sets_of_the_same_tier_version_and_api_are_put_together(tmp_path: Path) -> None:
    other = AWAY["city"].model_copy(update={"version": 2})
    game = Arena(scenario=AWAY["half"], api="parallel", train_on=HOME)
    make_run(tmp_path, fakes.ARENA, Arena(scenario=other, train_on=HOME), game)
    assert report_of(tmp_path).generalisations == []


def test_it_is_drawn(tmp_path: Path) -> None:
    make_run(tmp_path)
    (over,) = report_of(tmp_path).generalisations
    (drawing,) = draw_generalisation(over)
    assert drawing.svg.startswith("<svg")
    assert "Score on each test set" in drawing.caption
