"""What is ranked is what was checked; rows with fewer seeds than are asked carry a mark."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from edge_marl.errors import SubmissionError
from edge_marl.leaderboards.boards.board import Board, mean_of, read_boards
from edge_marl.leaderboards.boards.build import build
from edge_marl.leaderboards.submission.ledger import Verification
from edge_marl.leaderboards.submission.schema import Submission
from tests.worlds import made_up_submissions as made_up

BETTER, WORSE = "better", "worse"


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Submission, Submission]:
    """Two of one board; by their logs the first one leads."""
    return (
        made_up.write_submission(tmp_path, "smoke", BETTER),
        made_up.write_submission(tmp_path, "smoke", WORSE, lots=0.2),
    )


def board_of(root: Path, *found: tuple[Submission, Verification]) -> Board:
    made_up.write_verifications(root, found)
    return next(board for board in read_boards(root) if board.rows)


def order(board: Board) -> list[tuple[str, str, str]]:
    return [(row.submission.agent.name, row.level, row.basis) for row in board.rows]


def test_a_held_out_entry_is_ranked_by_what_it_got_there(
    pair: tuple[Submission, Submission], tmp_path: Path
) -> None:
    better, worse = pair
    there = made_up.held_out(better, made_up.logged(better, less=20.0))
    found = made_up.verified(better, "held-out", held_out=there)
    board = board_of(tmp_path, (better, found), (worse, made_up.verified(worse, "replayed")))
    assert order(board) == [(WORSE, "replayed", "log"), (BETTER, "held-out", "held-out")]
    assert board.has_public_column
    first, last = board.rows
    assert last.public.value > first.public.value > last.estimates["normalised_score"].value
    assert first.public == first.estimates["normalised_score"]


def test_a_re_executed_entry_is_ranked_by_what_its_policy_got_by_itself(
    pair: tuple[Submission, Submission], tmp_path: Path
) -> None:
    better, worse = pair
    facts = {"differing": 3, "closed_loop": made_up.logged(better, less=20.0)}
    found = made_up.verified(better, "re-executed", **facts)
    same = made_up.verified(worse, "re-executed", differing=0)
    board = board_of(tmp_path, (better, found), (worse, same))
    assert order(board) == [
        (WORSE, "re-executed", "closed loop"),
        (BETTER, "re-executed", "closed loop"),
    ]
    assert board.rows[0].result is board.rows[0].log
    assert board.rows[1].result is not board.rows[1].log


def test_what_differs_and_was_not_played_counts_as_replayed(
    pair: tuple[Submission, Submission], tmp_path: Path
) -> None:
    better, worse = pair
    board = board_of(
        tmp_path,
        (better, made_up.verified(better, "re-executed", differing=3)),
        (worse, made_up.verified(worse, "held-out", held_out=None, differing=0)),
    )
    assert order(board) == [(BETTER, "replayed", "log"), (WORSE, "re-executed", "closed loop")]
    assert not board.has_public_column


def test_held_out_workloads_without_anchors_give_no_score(
    pair: tuple[Submission, Submission], tmp_path: Path
) -> None:
    better, _ = pair
    there = made_up.held_out(better, made_up.logged(better))
    there = there.model_copy(update={"bound": None})
    with pytest.raises(SubmissionError, match="its workloads lack anchors: verify it again"):
        board_of(tmp_path, (better, made_up.verified(better, "held-out", held_out=there)))


def test_the_public_score_stands_beside_it_wherever_the_board_is_shown(
    pair: tuple[Submission, Submission], tmp_path: Path
) -> None:
    better, worse = pair
    there = made_up.held_out(better, made_up.logged(better, less=20.0))
    found = made_up.verified(better, "held-out", held_out=there)
    made_up.write_verifications(tmp_path, [(better, found)])
    [board] = [board for board in build(tmp_path, tmp_path / "out") if board.rows]
    shown = board.ranked_by.text(board.rows[1].public.value)
    page = (tmp_path / "out" / "smoke-v0.md").read_text()
    assert "| public score | basis |" in page
    assert f"| {shown} [" in page
    assert "| held-out | - | - | - | 1 |" in page
    assert "Basis: a rank is by what was checked last" in page
    facts = json.loads((tmp_path / "out" / "leaderboard.json").read_text())
    with (tmp_path / "out" / "leaderboard.csv").open(newline="") as file:
        cells = list(csv.DictReader(file))
    for fact, cell, row in zip(facts, cells, board.rows, strict=True):
        assert fact["basis"] == cell["basis"] == row.basis
        assert fact["public_score"] == float(cell["public_score"]) == row.public.value
    site = (tmp_path / "out" / "site" / "smoke-v0.html").read_text()
    assert "Public score" in site
    assert f"<b>{shown}</b>" in site
    own = (tmp_path / "out" / "site" / f"{better.entry}.html").read_text()
    assert "These figures are what its policy got on held-out workloads." in own
    assert "Result on each held-out workload" in own
    assert (
        "Result on each test workload"
        in (tmp_path / "out" / "site" / f"{worse.entry}.html").read_text()
    )


def test_learners_are_ranked_in_their_class_and_heuristics_in_every_one(tmp_path: Path) -> None:
    made_up.write_submission(tmp_path, "smoke", "rule")
    for name, lots, budget in (("few", 0.2, 48_000), ("many", 0.1, 48_001), ("all", 0.0, 10**7)):
        made_up.write_submission(
            tmp_path, "smoke", name, kind="learner", lots=lots, seeds=3, budget=budget
        )
    [board] = [board for board in build(tmp_path, tmp_path / "out") if board.rows]
    ranks = {row.submission.agent.name: row.ranks for row in board.rows}
    assert {name: list(own) for name, own in ranks.items()} == {
        "rule": ["small", "standard", "open"],
        "all": ["open"],
        "many": ["standard"],
        "few": ["small"],
    }
    assert ranks["few"]["small"].text == ranks["many"]["standard"].text == "2"
    assert ranks["few"]["small"].of == 2
    page = (tmp_path / "out" / "smoke-v0.md").read_text()
    assert "| rank, small | rank, standard | rank, open | agent |" in page
    assert "| 2 |  |  | **few** † |" in page
    assert "|  | 2 |  | **many** † |" in page
    assert "| 48,001 | - | - | 3 |" in page
    first, _, others = (tmp_path / "out" / "README.md").read_text().partition("small: rule ")
    assert first
    assert "; open: " in others.partition("\n")[0]
    with (tmp_path / "out" / "leaderboard.csv").open(newline="") as file:
        rows = {row["agent"]: row for row in csv.DictReader(file)}
    assert rows["many"]["budget_class"] == "standard"
    assert rows["many"]["rank_small_low"] == rows["rule"]["budget_class"] == ""
    facts = json.loads((tmp_path / "out" / "leaderboard.json").read_text())
    for fact in facts:
        for one, rank in ranks[fact["agent"]].items():
            assert (fact[f"rank_{one}_low"], fact[f"rank_{one}_high"]) == (rank.best, rank.worst)
    site = (tmp_path / "out" / "site" / "smoke-v0.html").read_text()
    assert '<span class="sort">Rank</span><small>standard</small>' in site
    assert "48,001<small>standard</small>" in site
    own = (tmp_path / "out" / "site" / "smoke-v0" / "2026-11-01-few.html").read_text()
    assert "Rank, small: 2 of 2." in own


def test_of_the_same_authors_agent_and_class_the_newest_is_ranked(tmp_path: Path) -> None:
    days = [date(2026, 11, day) for day in (3, 1, 2)]
    for day, lots in zip(days, (0.3, 0.0, 0.1), strict=True):
        made_up.write_submission(
            tmp_path, "smoke", "mine", kind="learner", lots=lots, seeds=3, on=day
        )
    other: dict[str, Any] = {"kind": "learner", "lots": 0.0, "seeds": 3}
    made_up.write_submission(tmp_path, "smoke", "mine", **other, on=date(2026, 11, 4), budget=1)
    made_up.write_submission(tmp_path, "smoke", "rule")
    [board] = [board for board in build(tmp_path, tmp_path / "out") if board.rows]
    found = {row.entry.folder.name: row for row in board.rows}
    assert set(found) == {"2026-11-03-mine", "2026-11-04-mine", "2026-11-01-rule"}
    newest = found["2026-11-03-mine"]
    assert [row.entry.folder.name[:10] for row in newest.earlier] == ["2026-11-02", "2026-11-01"]
    assert newest.ranks["standard"].of == 2
    assert [row.ranks for row in newest.earlier] == [{}, {}]
    assert len(board.entries) == 5
    out = tmp_path / "out"
    page = (out / "smoke-v0.md").read_text()
    assert page.count("**mine**") == 2
    assert "| 2026-11-03<br>before: 2026-11-02, 0." in page
    assert "(smoke-v0.md) | 3 servers" in (out / "README.md").read_text()
    facts = {
        fact["submission"]: fact for fact in json.loads((out / "leaderboard.json").read_text())
    }
    first = facts["smoke-v0/2026-11-01-mine"]
    assert (first["superseded_by"], first["rank_standard_low"]) == (newest.entry.name, None)
    assert facts[newest.entry.name]["superseded_by"] is None
    site = (out / "site" / "smoke-v0.html").read_text()
    assert '<summary>2 before</summary><a href="smoke-v0/2026-11-02-mine.html">' in site
    own = (out / "site" / "smoke-v0" / "2026-11-01-mine.html").read_text()
    assert 'Superseded by <a href="../smoke-v0/2026-11-03-mine.html">2026-11-03-mine</a>' in own


def test_other_settings_are_another_entry_of_the_same_day(tmp_path: Path) -> None:
    own: dict[str, Any] = {"kind": "learner", "seeds": 3, "lots": 0.1}
    made_up.write_submission(tmp_path, "smoke", "mine", **own, on=date(2026, 10, 1))
    for chosen in ({}, {"network": "pairs"}, {"network": "pairs", "hidden": [64, 64]}):
        made_up.write_submission(tmp_path, "smoke", "mine", **own, chosen=chosen)
    later = {"network": "pairs"}
    made_up.write_submission(
        tmp_path, "smoke", "mine", **own, chosen=later, on=date(2026, 11, 2), budget=1
    )
    made_up.write_submission(
        tmp_path, "smoke", "mine", **own, chosen=later, on=date(2026, 11, 3), budget=10**6
    )
    [board] = [board for board in build(tmp_path, tmp_path / "out") if board.rows]
    folded = {
        row.entry.folder.name: [e.entry.folder.name for e in row.earlier] for row in board.rows
    }
    assert folded == {
        "2026-11-01-mine,standard": ["2026-10-01-mine"],  # of before settings were declared
        "2026-11-01-mine,standard,hidden=64x64,network=pairs": [],
        "2026-11-02-mine,network=pairs": [],
        "2026-11-03-mine,standard,network=pairs": ["2026-11-01-mine,standard,network=pairs"],
    }
    out = tmp_path / "out"
    page = (out / "smoke-v0.md").read_text()
    assert r"| **mine** hidden=64x64 network=pairs † |" in page
    facts = json.loads((out / "leaderboard.json").read_text())
    assert {fact["settings"] for fact in facts} == {
        None,
        "network=pairs",
        "hidden=64x64 network=pairs",
    }
    for name in folded:
        assert (out / "site" / "smoke-v0" / f"{name}.html").is_file()
        assert f'href="smoke-v0/{name}.html"' in (out / "site" / "smoke-v0.html").read_text()


def test_times_of_training_are_means_and_nothing_where_a_run_lacks_one() -> None:
    assert (mean_of([3.0, 5.0]), mean_of([3.0, None]), mean_of([])) == (4.0, None, None)


def test_fewer_seeds_than_are_asked_carry_a_mark_everywhere(tmp_path: Path) -> None:
    for seeds in (3, 5, 10):
        made_up.write_submission(
            tmp_path, "smoke", f"mine-{seeds}", kind="learner", lots=0.05, seeds=seeds
        )
    made_up.write_submission(tmp_path, "smoke", "drawn", kind="randomised", agent="random")
    build(tmp_path, tmp_path / "out")
    page = (tmp_path / "out" / "smoke-v0.md").read_text()
    site = (tmp_path / "out" / "site" / "smoke-v0.html").read_text()
    facts = json.loads((tmp_path / "out" / "leaderboard.json").read_text())
    marks = {fact["agent"]: fact["mark"] for fact in facts}
    assert marks["mine-10"] is marks["drawn"] is None
    assert "**mine-10** |" in page.replace("\\", "")
    with (tmp_path / "out" / "leaderboard.csv").open(newline="") as file:
        in_csv = {row["agent"]: row["mark"] for row in csv.DictReader(file)}
    for seeds in (3, 5):
        mark = f"† {seeds} training seeds where 10 are asked"
        assert marks[f"mine-{seeds}"] == in_csv[f"mine-{seeds}"] == mark
        assert f"**mine-{seeds}** † |" in page.replace("\\", "")
        assert f"\n{mark}.\n" in page
        assert f"{mark}." in site
        own = tmp_path / "out" / "site" / "smoke-v0" / f"2026-11-01-mine-{seeds}.html"
        assert f"{mark}." in own.read_text()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda metrics: metrics.pop("lost_fraction"), "metric 'lost_fraction' is missing"),
        (lambda metrics: metrics["utility"][0].pop(), "must be of one shape, (runs, workloads)"),
    ],
)
def test_an_outcome_that_is_not_whole_is_refused(
    change: Callable[[Any], object],
    says: str,
    pair: tuple[Submission, Submission],
    tmp_path: Path,
) -> None:
    better, _ = pair
    made_up.write_verifications(tmp_path, [(better, made_up.verified(better, "held-out"))])
    ledger = json.loads((tmp_path / "digests.json").read_text())
    change(ledger["entries"][better.entry]["held_out"]["outcome"]["metrics"])
    (tmp_path / "digests.json").write_text(json.dumps(ledger))
    with pytest.raises(SubmissionError, match=re.escape(says)):
        read_boards(tmp_path)
