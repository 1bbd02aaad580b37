import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from rich.console import Console

from edge_marl.benchmarks.plan.cells import Arena, Cell
from edge_marl.benchmarks.records.records import record_path, write_record
from edge_marl.benchmarks.report.as_json import to_json
from edge_marl.benchmarks.report.as_page import to_html
from edge_marl.benchmarks.report.as_text import print_sheets, sheets_of, to_csv, to_markdown
from edge_marl.benchmarks.report.columns import PRICE
from edge_marl.benchmarks.report.comparisons import Analysis, Report
from edge_marl.benchmarks.report.figures import drawings
from edge_marl.benchmarks.report.figures.drawings import draw_all
from edge_marl.benchmarks.report.intervals import iqm
from edge_marl.benchmarks.report.report import make_report
from edge_marl.benchmarks.report.stats import COVERAGE, estimate
from edge_marl.benchmarks.report.tables import build_tables
from edge_marl.errors import RecordError
from edge_marl.scenario import load_scenario
from edge_marl.scenario.evidence import reference_of
from tests.worlds import fakes

FILES = ("table.md", "table.csv", "report.json", "report.html")


def report_of(folder: Path) -> Report:
    return Report(build_tables(folder))


def rows_of(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(to_csv(report_of(folder)))))


def test_a_row_holds_the_statistics_of_its_records(tmp_path: Path) -> None:
    fakes.make_run(tmp_path, fakes.plan(), {"greedy": 20.0, "student": 50.0})
    (table,) = build_tables(tmp_path)
    student = table.rows[0]
    expected = fakes.scores(50.0, seeds=2)
    assert student.agent.name == "student"
    assert np.allclose(student.scores, expected)
    assert student.estimates["normalised_score"] == estimate(student.scores, iqm)
    assert student.estimates["lost_fraction"].value == pytest.approx(0.025)
    assert student.decision_latency_us == 10.5
    first = rows_of(tmp_path)[0]
    assert float(first["normalised_score_mean"]) == pytest.approx(expected.mean())
    assert first["runs"] == first["runs_planned"] == "2"


def test_tables_of_games_have_herding_and_the_price_of_decentralisation(tmp_path: Path) -> None:
    game = load_scenario("smoke-game")
    shipped = reference_of(game)
    assert shipped is not None
    name, utility = shipped
    plan = fakes.plan().model_copy(update={"arenas": (Arena(scenario=game, api="parallel"),)})
    fakes.make_run(tmp_path, plan, {"greedy": 20.0, "student": 50.0})
    (table,) = build_tables(tmp_path)
    own = np.array(utility[: fakes.EPISODES])
    got = np.mean([(20.0 + k) / 60 for k in range(fakes.EPISODES)])
    greedy = next(row for row in table.rows if row.agent.name == "greedy")
    assert greedy.estimates[PRICE].value == pytest.approx(1 - got / own.mean())
    text = to_markdown(report_of(tmp_path))
    assert "| herding (%) | price of decentralisation (%) |" in text
    assert f"less utility per task than {name}, which" in text
    first = rows_of(tmp_path)[0]
    assert float(first["herding"]) > 0
    low, price, high = (float(first[PRICE + end]) for end in ("_low", "", "_high"))
    assert low < price < high
    validation = plan.model_copy(update={"split": "validation"})
    fakes.make_run(tmp_path / "other", validation, {"greedy": 20.0, "student": 50.0})
    (other,) = build_tables(tmp_path / "other")
    assert all(PRICE not in row.estimates for row in other.rows)


def test_tables_of_tiers_have_neither(tmp_path: Path) -> None:
    fakes.make_run(tmp_path, fakes.plan(), {"greedy": 20.0, "student": 50.0})
    text = to_markdown(report_of(tmp_path)) + to_csv(report_of(tmp_path))
    assert "herding" not in text
    assert "decentralisation" not in text


def test_rows_are_sorted_by_score_and_holes_come_last(tmp_path: Path) -> None:
    agents = [fakes.HEURISTIC.model_copy(update={"agent": name}) for name in "dcba"]
    fakes.make_run(tmp_path, fakes.plan(*agents), {"a": 20.0, "b": 60.0, "c": 20.0})
    assert [row["agent"] for row in rows_of(tmp_path)] == ["b", "a", "c", "d"]


def test_equal_records_give_equal_bytes(tmp_path: Path) -> None:
    fakes.make_run(tmp_path, fakes.plan(), {"greedy": 20.0, "student": 50.0})
    make_report(tmp_path, show=False)
    before = {name: (tmp_path / name).read_bytes() for name in FILES}
    for name in FILES:
        (tmp_path / name).unlink()
    make_report(tmp_path, show=False)
    assert {name: (tmp_path / name).read_bytes() for name in FILES} == before


def test_another_agent_changes_no_other_row(tmp_path: Path) -> None:
    levels = {"greedy": 20.0, "student": 50.0, "other": 90.0}
    other = fakes.LEARNER.model_copy(update={"agent": "other"})
    fakes.make_run(tmp_path / "two", fakes.plan(), levels)
    fakes.make_run(tmp_path / "three", fakes.plan(fakes.LEARNER, other, fakes.HEURISTIC), levels)
    assert rows_of(tmp_path / "three")[1:] == rows_of(tmp_path / "two")


def agent_free(node: Any, agent: str) -> Any:
    """A JSON report without what it says of one agent."""
    if isinstance(node, list):
        kept = [part for part in node if not is_of(part, agent)]
        return [agent_free(part, agent) for part in kept]
    if isinstance(node, dict):
        return {key: agent_free(value, agent) for key, value in node.items()}
    return node


def is_of(part: Any, agent: str) -> bool:
    if isinstance(part, str):
        return part.startswith(f"‡ {agent}:")
    return isinstance(part, dict) and agent in (part.get("agent"), part.get("other"))


def test_another_agent_changes_no_other_number_of_any_report(tmp_path: Path) -> None:
    levels = {"greedy": 20.0, "student": 50.0, "best": 90.0, "worst": -400.0}
    more = [fakes.LEARNER.model_copy(update={"agent": name}) for name in ("best", "worst")]
    few = fakes.plan(fakes.HEURISTIC, fakes.LEARNER)
    many = fakes.plan(more[0], fakes.LEARNER, more[1], fakes.HEURISTIC)
    pages = []
    for plan, name in ((few, "few"), (many, "many")):
        fakes.make_run(tmp_path / name, plan, levels)
        made = report_of(tmp_path / name)
        facts = json.loads(to_json(made))
        pages.append((facts, to_html(made).decode(), to_markdown(made)))
    (before, page, text), (after, new_page, new_text) = pages
    assert before != after
    assert agent_free(agent_free(after, "best"), "worst") == before
    assert set(text.splitlines()) <= set(new_text.splitlines())
    rows = [line for line in page.splitlines() if line.startswith("<tr><td")]
    assert len(rows) == 3
    assert set(rows) <= set(new_page.splitlines())


def test_too_few_runs_are_marked_unless_one_says_it_all(tmp_path: Path) -> None:
    levels = {"greedy": 20.0, "student": 50.0}
    fakes.make_run(tmp_path / "few", fakes.plan(seeds=4), levels)
    few = to_markdown(report_of(tmp_path / "few"))
    assert "| student † |" in few
    assert "| greedy |" in few
    assert "† fewer than 5 runs" in few
    fakes.make_run(tmp_path / "enough", fakes.plan(seeds=5), levels)
    assert "†" not in to_markdown(report_of(tmp_path / "enough"))


def test_a_table_says_what_intervals_of_its_number_of_runs_are_worth(tmp_path: Path) -> None:
    levels = {"greedy": 20.0, "student": 50.0}
    for seeds, says in ((1, ""), (3, "of 3 runs in"), (7, "of 5 runs in")):
        fakes.make_run(tmp_path / str(seeds), fakes.plan(seeds=seeds), levels)
        text = to_markdown(report_of(tmp_path / str(seeds)))
        assert "95 % intervals (Student's t over runs and workloads" in text
        assert ("In simulations, such intervals held the truth: " in text) == bool(says)
        assert says in text
    low, high = COVERAGE[5]
    assert f"{says} {low} to {high} % of cases" in text


def test_too_few_workloads_are_said(tmp_path: Path) -> None:
    for episodes, says in ((4, True), (5, False)):
        folder = tmp_path / str(episodes)
        plan = fakes.plan().model_copy(update={"episodes": episodes})
        fakes.make_run(folder, plan, {"greedy": 20.0, "student": 50.0})
        assert ("Fewer than 5 test workloads" in to_markdown(report_of(folder))) == says


def test_a_failed_run_is_a_hole_with_its_reason(tmp_path: Path) -> None:
    plan = fakes.plan()
    fakes.make_run(tmp_path, plan, {"greedy": 20.0, "student": 50.0})
    write_record(tmp_path, fakes.failure_record(plan.cells(fakes.ARENA, fakes.LEARNER)[1]))
    text = to_markdown(report_of(tmp_path))
    assert "| student †‡ |" in text
    assert "| 1 of 2 |" in text
    assert "‡ student: seed 1 FAILED and is left out: ValueError: no luck" in text


def test_an_agent_without_a_run_keeps_its_row(tmp_path: Path) -> None:
    fakes.make_run(tmp_path, fakes.plan(), {"greedy": 20.0})
    last = rows_of(tmp_path)[-1]
    assert (last["agent"], last["runs"], last["normalised_score"]) == ("student", "0", "")
    assert last["holes"].count("FAILED") == 2


def test_a_missing_or_damaged_record_is_a_hole_too(tmp_path: Path) -> None:
    plan = fakes.plan()
    fakes.make_run(tmp_path, plan, {"greedy": 20.0, "student": 50.0})
    first, second = plan.cells(fakes.ARENA, fakes.LEARNER)
    record_path(tmp_path, first).unlink()
    record_path(tmp_path, second).write_text("{")
    text = to_markdown(report_of(tmp_path))
    assert "seed 0 not run yet" in text
    assert "seed 1 left out" in text
    assert record_path(tmp_path, second).exists()


def test_without_anchors_there_are_no_scores_and_the_table_says_why(tmp_path: Path) -> None:
    plan = fakes.plan()
    fakes.make_run(tmp_path, plan, {"greedy": 20.0, "student": 50.0})
    make_report(tmp_path, show=False)
    write_record(tmp_path, fakes.failure_record(plan.anchors(fakes.SMOKE)))
    make_report(tmp_path, show=False)
    assert "No scores, for want of the anchors: ValueError: no luck" in (
        tmp_path / "table.md"
    ).read_text("utf-8")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "<h3>Scores</h3>" not in page
    assert "<h3>Utility against crashes</h3>" in page
    assert [row["agent"] for row in rows_of(tmp_path)] == ["student", "greedy"]


def test_where_every_policy_gets_the_same_there_is_no_score(tmp_path: Path) -> None:
    plan = fakes.plan()
    fakes.make_run(tmp_path, plan, {"greedy": 20.0, "student": 50.0})
    record = fakes.anchors_record(plan.anchors(fakes.SMOKE))
    assert record.anchors is not None
    flat = record.anchors[2].model_copy(update={"random": 99.999999})
    anchors = (*record.anchors[:2], flat, *record.anchors[3:])
    write_record(tmp_path, record.model_copy(update={"anchors": anchors}))
    make_report(tmp_path, show=False)
    assert (
        "No scores, for want of a scale: in 1 of 4 workloads, number 2 the first, the bound is "
        "what random dispatch gets, to within rounding: no policy could do better"
    ) in (tmp_path / "table.md").read_text("utf-8")
    (table,) = build_tables(tmp_path)
    assert [row.estimates.keys() & {"normalised_score"} for row in table.rows] == [set(), set()]


def test_results_of_other_workloads_than_the_anchors_are_refused(tmp_path: Path) -> None:
    plan = fakes.plan()
    fakes.make_run(tmp_path, plan, {"greedy": 20.0, "student": 50.0})
    record = fakes.anchors_record(plan.anchors(fakes.SMOKE))
    assert record.anchors is not None
    swapped = record.model_copy(update={"anchors": record.anchors[::-1]})
    write_record(tmp_path, swapped)
    with pytest.raises(RecordError, match="different workloads"):
        build_tables(tmp_path)


def test_an_undefined_metric_is_said_and_not_averaged_away(tmp_path: Path) -> None:
    plan = fakes.plan()
    fakes.make_run(tmp_path, plan, {"greedy": 20.0, "student": 50.0})
    cell = plan.cells(fakes.ARENA, fakes.LEARNER)[0]
    write_record(tmp_path, fakes.cell_record(cell, 50.0, latency_p95_s=None))
    assert "student: p95 latency (s) is undefined in 4 of 8 episodes" in to_markdown(
        report_of(tmp_path)
    )


def test_the_terminal_shows_what_the_file_has(tmp_path: Path) -> None:
    fakes.make_run(tmp_path, fakes.plan(), {"greedy": 20.0})
    shown = io.StringIO()
    console = Console(file=shown, width=200)
    print_sheets(console, sheets_of(report_of(tmp_path)))
    text = shown.getvalue()
    for part in ("greedy", "0.215 [", "student ‡", "seed 1 FAILED", "interquartile mean"):
        assert part in text


def test_a_narrow_terminal_keeps_names_and_figures_whole(tmp_path: Path) -> None:
    long = fakes.HEURISTIC.model_copy(update={"agent": "crash-avoid-best"})
    fakes.make_run(tmp_path, fakes.plan(long, fakes.LEARNER), {long.name: 20.0, "student": 5.0})
    shown = io.StringIO()
    console = Console(file=shown, width=80)
    print_sheets(console, sheets_of(report_of(tmp_path)))
    text = shown.getvalue()
    assert re.search(r"crash-avoid-best +0\.215 \[0\.\d{3}, 0\.\d{3}\] +0\.358 ", text)
    assert "Too wide" in text


def test_a_figure_is_drawn_without_touching_matplotlibs_state(tmp_path: Path) -> None:
    import matplotlib as mpl

    fakes.make_run(tmp_path, fakes.plan(), {"greedy": 20.0, "student": 50.0})
    before = dict(dict.items(mpl.rcParams))  # as it is: a look-up would choose a backend
    (table,) = build_tables(tmp_path)
    drawings = draw_all(Analysis(table))
    assert [d.name for d in drawings] == ["scores", "profile", "improvement", "trade-off"]
    assert dict(dict.items(mpl.rcParams)) == before
    assert drawings == draw_all(Analysis(table))


def test_the_users_settings_of_matplotlib_take_no_part(tmp_path: Path) -> None:
    import matplotlib as mpl

    fakes.make_run(tmp_path, fakes.plan(), {"greedy": 20.0, "student": 50.0})
    analysis = Analysis(build_tables(tmp_path)[0])
    before = draw_all(analysis)
    with mpl.rc_context({"text.usetex": True, "font.size": 30, "axes.facecolor": "red"}):
        assert draw_all(analysis) == before


def test_a_figure_that_cannot_be_drawn_costs_no_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no font here")

    fakes.make_run(tmp_path, fakes.plan(), {"greedy": 20.0, "student": 50.0})
    monkeypatch.setattr(drawings, "to_svg", fail)
    make_report(tmp_path, show=False)
    for name in ("table.md", "table.csv", "report.json"):
        assert (tmp_path / name).stat().st_size
    assert "could not be drawn (RuntimeError: no font here)" in (
        tmp_path / "report.html"
    ).read_text("utf-8")


def test_the_harness_loads_nothing_heavy_until_it_is_used() -> None:
    code = (
        "import sys, edge_marl.benchmarks.report.tables, edge_marl.benchmarks.run.runner, "
        "edge_marl.cli, edge_marl.benchmarks.report.figures.drawings, "
        "edge_marl.benchmarks.report.report\n"
        "print([m for m in ('torch', 'tianshou', 'pandas', 'matplotlib', 'seaborn', 'numba') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_long_name_leaves_room_for_the_figure(tmp_path: Path) -> None:
    """Warnings are errors here: matplotlib warns where labels leave the axes no room."""
    name = f"/{'some/folder/' * 20}my_agents.py:ACarefullyNamedAgentOfMine"
    agent = fakes.HEURISTIC.model_copy(update={"agent": name})
    fakes.make_run(tmp_path, fakes.plan(agent), {name: 20.0})
    (table,) = build_tables(tmp_path)
    assert draw_all(Analysis(table))


def test_every_figure_is_drawn_from_few_and_many_agents_with_holes(tmp_path: Path) -> None:
    agents = [
        (fakes.LEARNER if i % 2 else fakes.HEURISTIC).model_copy(update={"agent": f"agent-{i}"})
        for i in range(12)
    ]
    plan = fakes.plan(*agents)
    levels = {f"agent-{i}": 90.0 - 30 * i for i in range(11)}  # the last agent has failed
    fakes.make_run(tmp_path, plan, levels)
    for job in plan.jobs():
        if isinstance(job, Cell) and job.agent in levels:
            write_record(tmp_path, fakes.with_lines(fakes.cell_record(job, levels[job.agent])))
    (table,) = build_tables(tmp_path)
    drawings = {d.name: d for d in draw_all(Analysis(table))}
    assert list(drawings) == ["scores", "curves", "profile", "improvement", "trade-off", "load"]
    for drawing in drawings.values():
        root = ElementTree.fromstring(drawing.svg)
        ids = [node.get("id") for node in root.iter() if node.get("id")]
        assert len(set(ids)) == len(ids)
        assert "agent-11: 0 of 2 runs" in drawing.caption


def test_the_page_asks_the_network_for_nothing_and_shows_text_as_text(tmp_path: Path) -> None:
    name = "own.py:<script>alert(1)</script>"
    agent = fakes.HEURISTIC.model_copy(update={"agent": name})
    fakes.make_run(tmp_path, fakes.plan(agent), {name: 20.0})
    page = to_html(report_of(tmp_path)).decode()
    assert "<script>alert" not in page
    assert not re.findall(r"(?:src|href)=\"(?!#)[^\"]*\"|@import|url\((?!#)", page)


def test_parquet_has_every_episode(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    fakes.make_run(tmp_path, fakes.plan(), {"greedy": 20.0, "student": 50.0})
    make_report(tmp_path, ("parquet",), show=False)
    read = parquet.read_table(tmp_path / "episodes.parquet").to_pylist()
    assert len(read) == 3 * fakes.EPISODES
    last = read[-1] if read[-1]["agent"] == "student" else read[fakes.EPISODES * 2 - 1]
    assert (last["seed"], last["test_workload"], last["utility"]) == (1, 3, 54.0)
