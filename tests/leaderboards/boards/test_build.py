"""Boards, tables and pages: ranks, bytes, escaping, what is refused."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_marl.benchmarks.report.intervals import Estimate, iqm
from edge_marl.benchmarks.report.stats import estimate, normalise
from edge_marl.bound.anchor_pairs import anchors
from edge_marl.cli import app
from edge_marl.console import run_app
from edge_marl.errors import SubmissionError
from edge_marl.leaderboards.boards import figures
from edge_marl.leaderboards.boards.board import Board, BoardRow, Rank, read_boards
from edge_marl.leaderboards.boards.build import build, tables
from edge_marl.leaderboards.boards.pretrained import to_pretrained
from edge_marl.leaderboards.boards.scales import Scale
from edge_marl.leaderboards.submission.files import ACTIONS, SUBMISSION, Actions, read_actions
from edge_marl.leaderboards.submission.schema import seal_of
from edge_marl.scenario import list_games, list_tiers, load_scenario
from tests.worlds import made_up_submissions

EVIL = "<script>alert(1)</script>\"'|[x](javascript:alert(1))*b*"


@pytest.fixture(scope="module")
def submissions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("submissions")
    made_up_submissions.write_board(root)
    return root


@pytest.fixture(scope="module")
def board(submissions: Path) -> Board:
    return next(board for board in read_boards(submissions) if board.name == "smoke-v0")


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what a submission says, and seal it anew."""
    facts = json.loads((folder / SUBMISSION).read_text())
    change(facts)
    facts["seal"] = seal_of(facts)
    (folder / SUBMISSION).write_text(json.dumps(facts))


def one(root: Path, **facts: Any) -> Path:
    """Write one submission below a folder and return its own."""
    return root / made_up_submissions.write_submission(root, "smoke", "prophet", **facts).entry


def test_scores_are_those_of_the_definition(board: Board) -> None:
    row = next(row for row in board.rows if row.submission.agent.name == "adsac")
    ends = anchors(load_scenario("smoke"), made_up_submissions.workloads_of("smoke"))
    utility = np.array([run.metrics["utility"] for run in row.submission.runs], dtype=float)
    found = estimate(normalise(utility, ends.random, ends.bound), iqm)
    shown = row.estimates["normalised_score"]
    assert (shown.value, shown.low, shown.high) == pytest.approx(
        (found.value, found.low, found.high), rel=1e-5
    )


def test_ranks_are_what_the_intervals_allow(board: Board) -> None:
    names = [row.submission.agent.name for row in board.rows]
    assert names[0] == "prophet"
    assert names[-1] == "random"
    found = [row.estimates["normalised_score"] for row in board.rows]
    assert [e.value for e in found] == sorted((e.value for e in found), reverse=True)
    for place, (row, own) in enumerate(zip(board.rows, found, strict=True), 1):
        better = sum(other.low > own.high for other in found)
        worse = sum(other.high < own.low for other in found)
        ranked = Rank(place, better + 1, len(found) - worse, len(found))
        assert row.ranks["standard"] == ranked
    by_name = {row.submission.agent.name: row for row in board.rows}
    ranks = {name: row.ranks["standard"].text for name, row in by_name.items()}
    assert ranks["adsac"] == ranks["dqn-masked"]  # they cannot be told apart
    assert ranks["random"] == "8"
    leaders = ("prophet", "adsac-plus", "adsac", "dqn-masked")
    assert board.leaders == {"standard": tuple(by_name[name] for name in leaders)}


def test_a_very_wide_interval_leaves_room_for_the_others(board: Board) -> None:
    wide = Estimate(0.6, -400.0, 500.0)
    first = replace(board.rows[0], estimates={"normalised_score": wide})
    scale = figures.score_scale(replace(board, rows=(first, *board.rows[1:])))
    assert -1.0 < scale.low < scale.high < 2.0
    assert (scale(wide.low), scale(wide.high)) == (scale.start, scale.end)  # cut at the ends
    drawn = figures.interval(wide, scale, learned=True)
    assert drawn.count("l-5 3.5l5 3.5") == drawn.count("l5 3.5l-5 3.5") == 1  # an arrow at each


def test_few_runs_are_marked_where_runs_count(board: Board) -> None:
    marked = {row.submission.agent.name for row in board.rows if row.has_few_runs}
    assert marked == {"adsac-plus", "adsac", "dqn-masked", "ppo", "random"}


def test_levels_come_from_the_ledger_and_only_for_the_sealed(tmp_path: Path) -> None:
    sub = made_up_submissions.write_submission(tmp_path, "smoke", "prophet")
    made_up_submissions.write_ledger(tmp_path, [(sub, "re-executed")])

    def level() -> str:
        return next(board.rows[0].level for board in read_boards(tmp_path) if board.rows)

    assert level() == "re-executed"
    edit(tmp_path / sub.entry, lambda facts: facts["about"].update(description="other"))
    assert level() == "claimed"


def test_same_submissions_same_bytes(submissions: Path, tmp_path: Path) -> None:
    done: list[int] = []
    build(submissions, tmp_path / "one", done.append)
    build(submissions, tmp_path / "two")
    first = contents(tmp_path / "one")
    assert done == list(range(1, 9))
    assert first == contents(tmp_path / "two")
    (tmp_path / "one" / "site" / "stale.html").write_text("of a submission that is gone")
    build(submissions, tmp_path / "one")
    assert contents(tmp_path / "one") == first
    assert {f"{tier}-v0.md" for tier in list_tiers()} < set(first)
    assert "site/smoke-v0/2026-11-01-adsac.html" in first
    assert not [name for name in first if name.endswith(".part")]


def test_tables_agree_with_each_other(submissions: Path, board: Board, tmp_path: Path) -> None:
    build(submissions, tmp_path)
    facts = json.loads((tmp_path / "leaderboard.json").read_text())
    with (tmp_path / "leaderboard.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    page = (tmp_path / "smoke-v0.md").read_text()
    assert len(facts) == len(rows) == len(board.rows) == page.count("| 2026-11-01 |")
    for fact, cells, row in zip(facts, rows, board.rows, strict=True):
        found = row.estimates["normalised_score"]
        assert fact["normalised_score"] == float(cells["normalised_score"]) == found.value
        assert (fact["agent"], fact["level"]) == (cells["agent"], cells["level"])
        assert f"**{row.submission.agent.name}**" in page
        assert f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]" in page
    front = (tmp_path / "README.md").read_text()
    assert "prophet 0.688 and 3 not told apart from it" in front


def test_trained_agents_are_listed_where_they_were_re_executed(board: Board) -> None:
    def ours(row: BoardRow, name: str = "") -> BoardRow:
        sub = row.submission
        agent = sub.agent.model_copy(update={"registered": True, "name": name or sub.agent.name})
        files = {"policy/seed-0/config.json": "0" * 64}
        named = sub.model_copy(update={"agent": agent, "files": sub.files | files})
        return replace(row, entry=replace(row.entry, submission=named))

    def listed(*rows: BoardRow) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(to_pretrained([replace(board, rows=rows)]))
        return found

    assert listed(*board.rows) == []  # who has their own code
    both = listed(*map(ours, board.rows))
    assert [one["agent"] for one in both] == ["adsac", "adsac-plus"]
    assert [one["files"] for one in both] == [{"seed-0/config.json": "0" * 64}] * 2
    (best,) = listed(*(ours(row, "adsac") for row in board.rows))
    assert best["score"] == max(one["score"] for one in both)


def test_the_tables_in_the_repository_are_those_of_its_submissions() -> None:
    folder = Path(__file__).parents[3] / "leaderboards"
    if not (folder / "submissions").is_dir():
        pytest.skip("the repository has no submissions yet")
    for name, text in tables(read_boards(folder / "submissions")):
        stale = "run edge-marl leaderboard build, and commit what it writes"
        assert (folder / name).read_text() == text, f"{name}: {stale}"


def test_empty_boards_say_so(tmp_path: Path) -> None:
    root = tmp_path / "submissions"
    root.mkdir()
    boards = build(root, tmp_path / "out")
    assert [len(board.rows) for board in boards] == [0] * len([*list_tiers(), *list_games()])
    page = (tmp_path / "out" / "site" / "paper-v0.html").read_text()
    assert "No submissions yet" in page
    assert "<table" not in page
    assert "No submissions yet." in (tmp_path / "out" / "paper-v0.md").read_text()
    first = (tmp_path / "out" / "README.md").read_text()
    assert "| board |" not in first
    assert "No submissions yet: [agod-v0](agod-v0.md), [campus@2-v0](campus@2-v0.md)" in first
    index = (tmp_path / "out" / "site" / "index.html").read_text()
    assert (
        index.count("No submissions yet: ") == 2
    )  # of newest and of earlier versions, a line each
    assert "<li>" not in index
    assert json.loads((tmp_path / "out" / "leaderboard.json").read_text()) == []


def test_text_of_others_stays_text(tmp_path: Path) -> None:
    about = {
        "authors": [EVIL, "=cmd()"],
        "links": ["https://example.org/a?b=1&c=2"],
        "description": EVIL,
        "training": {"data": EVIL, "budget": 1},
    }
    folder = one(tmp_path / "submissions", about=about)
    edit(folder, lambda facts: facts["agent"]["settings"].update({EVIL: EVIL}))
    edit(folder, lambda facts: facts["versions"].update({EVIL[:50]: EVIL[:50]}))
    build(tmp_path / "submissions", tmp_path)
    for name, content in contents(tmp_path / "site").items():
        text = content.decode()
        if name.endswith(".html"):
            assert "<script>alert" not in text, name
            assert 'href="javascript' not in text
            scripts = re.findall(r"<script[^>]*>", text)
            assert all("src=" in s or "application/json" in s for s in scripts)
            assert not re.findall(r"<[a-z][^>]* on[a-z]+=", text)
            assert not re.findall(r"<[a-z][^>]* style=", text)
    markdown = (tmp_path / "README.md").read_text() + (tmp_path / "smoke-v0.md").read_text()
    assert "<script" not in markdown.replace("\\<", "")
    with (tmp_path / "leaderboard.csv").open(newline="") as file:
        assert next(csv.DictReader(file))["authors"].startswith("<script>")


def test_a_page_asks_for_nothing_from_elsewhere(submissions: Path, tmp_path: Path) -> None:
    build(submissions, tmp_path)
    for name, content in contents(tmp_path / "site").items():
        for found in re.findall(r'(?:src|href)="([^"]+)"', content.decode()):
            if found.startswith("https://example.org") or found.startswith("#"):
                continue  # a link of a submission, for the reader to follow; a place in the page
            found = found.partition("#")[0]
            assert ((tmp_path / "site" / name).parent / found).is_file(), (name, found)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda actions: actions[:-1], "fewer actions than the episode has decisions"),
        (lambda actions: np.append(actions, 0), "more actions than the episode has decisions"),
        (lambda actions: np.where(actions > 2, 0, 2), "the actions do not give the claimed"),
        (lambda actions: actions + 90, "the largest is 5"),
    ],
)
def test_actions_that_belie_the_board_are_refused(
    break_it: Callable[[Any], Any], message: str, tmp_path: Path
) -> None:
    folder = one(tmp_path / "submissions")
    actions = read_actions(folder)
    episodes = [break_it(actions.episode(0, k)).astype(np.uint16) for k in range(100)]
    lengths = np.array([[len(episode) for episode in episodes]], dtype=np.int32)
    (folder / ACTIONS).write_bytes(Actions(np.concatenate(episodes), lengths).packed())
    with pytest.raises(SubmissionError, match=message) as error:
        build(tmp_path / "submissions", tmp_path / "out")
    assert str(folder) in str(error.value)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f["scenario"].update(digest="0" * 64), "make the submission anew"),
        (lambda f: f.update(date="2026-11-02"), "put it into the folder of that name"),
        (lambda f: f["workloads"].__setitem__(3, "0" * 64), "is no test workload of smoke"),
        (lambda f: f["runs"][0]["metrics"].pop("utility"), "metric 'utility' is missing"),
        (
            lambda f: f["runs"][0]["metrics"]["utility_per_task"].__setitem__(0, None),
            "utility_per_task is missing for a workload",
        ),
    ],
)
def test_submissions_that_cannot_be_shown_are_refused(
    change: Callable[[dict[str, Any]], object], message: str, tmp_path: Path
) -> None:
    edit(one(tmp_path), change)
    with pytest.raises(SubmissionError, match=message):
        read_boards(tmp_path)


def test_a_board_of_an_unknown_scenario_is_refused(tmp_path: Path) -> None:
    folder = one(tmp_path)
    (tmp_path / "mars-v0").mkdir()
    moved = folder.rename(tmp_path / "mars-v0" / folder.name)
    edit(moved, lambda facts: facts["scenario"].update(name="mars"))
    with pytest.raises(SubmissionError, match="no released scenario is called 'mars'"):
        read_boards(tmp_path)


def test_a_folder_of_somebody_else_is_not_replaced(submissions: Path, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "thesis.txt").write_text("years of work")
    with pytest.raises(SubmissionError, match="holds something else than a site of edge-marl"):
        build(submissions, tmp_path)
    assert (tmp_path / "site" / "thesis.txt").read_text() == "years of work"


def test_the_command(submissions: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = ["leaderboard", "build", "--submissions", str(submissions), "--out", str(tmp_path)]
    with pytest.raises(SystemExit) as end:
        run_app(app, args)
    assert end.value.code == 0
    assert "8 submissions on 1 of" in capsys.readouterr().out
    with pytest.raises(SystemExit) as end:
        run_app(app, [*args[:3], str(tmp_path / "nowhere"), *args[4:]])
    assert end.value.code == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "there is no such folder; give it by" in said


def test_the_players_facts_give_the_metrics(board: Board, submissions: Path) -> None:
    """What the player counts is what the metrics say: decisions, crashes, losses, utility."""
    from edge_marl.leaderboards.boards.player_episodes import episodes_of

    row = board.rows[2]
    for episode in episodes_of(board, row):
        metrics = {
            name: values[episode["workload"]]
            for name, values in row.submission.runs[episode["run"]].metrics.items()
        }
        status = np.array(episode["status"])
        assert len(status) == metrics["tasks"]
        assert (status == 3).sum() == metrics["server_crashes"]
        assert metrics["lost_fraction"] == pytest.approx((status != 1).mean())
        assert sum(episode["reward"]) == pytest.approx(metrics["utility"], abs=0.05)
        assert min(episode["sent"]) >= 0


@given(
    low=st.floats(-1e6, 1e6),
    width=st.floats(1e-6, 1e6),
    most=st.integers(2, 12),
)
def test_ticks_are_round_few_and_inside(low: float, width: float, most: int) -> None:
    scale = Scale(low, low + width, 0.0, 100.0)
    ticks = scale.ticks(most)
    slack = 1e-6 * width + 1e-9 * max(abs(low), 1.0)
    assert len(ticks) <= most + 1
    assert all(low - slack <= tick <= low + width + slack for tick in ticks)
    gaps = np.diff(ticks)
    assert len(gaps) == 0 or np.allclose(gaps, gaps[0], rtol=1e-3, atol=1e-9)
