"""Figures of the site: what they show of entries that are far from all others, and of curves."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_marl.benchmarks.report.figures.style import bulk
from edge_marl.benchmarks.report.intervals import Estimate
from edge_marl.benchmarks.report.stats import difference
from edge_marl.leaderboards.boards import figures, scatter
from edge_marl.leaderboards.boards.board import Board, BoardRow, read_boards
from edge_marl.leaderboards.boards.comparison import compared
from edge_marl.leaderboards.boards.scales import scale_of
from tests.worlds import made_up_submissions


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Board:
    root = tmp_path_factory.mktemp("submissions")
    made_up_submissions.write_board(root)
    return next(board for board in read_boards(root) if board.rows)


def exact(*values: float) -> list[Estimate]:
    return [Estimate(value, value - 0.1, value + 0.1) for value in values]


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        ((1.0, 2.0, 3.0, 4.0, 5.0), 0.9, 5.1),
        ((1.0, 2.0, 3.0, 4.0, 5.0, 90.0, -70.0), 0.9, 5.1),  # two that are far from the others
        ((1.0, 2.0, 90.0), 0.9, 90.1),  # too few to say which of them are far
        ((0.0, 0.0, 0.0, 0.0, 0.0, 0.05, 10.0), -0.025, 0.075),  # most are equal
        ((3.0,) * 6, 2.9, 3.1),
    ],
)
def test_an_axis_follows_the_bulk(values: tuple[float, ...], low: float, high: float) -> None:
    found = bulk(exact(*values))
    assert (min(found), max(found)) == pytest.approx((low, high))
    scale = scale_of(found, 0.0, 100.0)
    assert scale.low < low < high < scale.high
    assert [scale.beyond(value) for value in (low, 1000.0, -1000.0)] == [0, 1, -1]


def with_crashes(row: BoardRow, rate: float) -> BoardRow:
    found = {"server_crash_rate": Estimate(rate, rate, rate)}
    return replace(row, estimates=row.estimates | found)


def test_an_entry_far_from_the_others_is_at_the_rim_with_its_figures(board: Board) -> None:
    rows = [with_crashes(row, 0.001 * k) for k, row in enumerate(board.rows)]
    drawn = str(scatter.trade_off(replace(board, rows=tuple(rows))))
    assert 'class="rim"' not in drawn
    assert 'class="arrow"' not in drawn
    rows[2:4] = [with_crashes(rows[2], 0.31), with_crashes(rows[3], 0.9)]
    drawn = str(scatter.trade_off(replace(board, rows=tuple(rows))))
    assert drawn.count('class="arrow"') == 2
    for row, crashes in ((rows[2], "31.00"), (rows[3], "90.00")):
        name, utility = row.submission.agent.name, row.estimates["utility_per_task"].value
        assert f"{name} ({crashes}, {utility:.3f})</text>" in drawn
    ticks = [float(t) for t in re.findall(r'text-anchor="middle">([\d.]+)</text>', drawn)]
    assert max(ticks) < 1.0
    places = [float(x) for x in re.findall(r'class="arrow" d="M([\d.]+)', drawn)]
    assert places[0] > places[1] > 800  # drawn from the last: what is further out is further out


def with_curves(row: BoardRow, *curves: Any) -> BoardRow:
    runs = [
        run.model_copy(update={"curve": curve})
        for run, curve in zip(row.submission.runs, curves, strict=True)
    ]
    sub = row.submission.model_copy(update={"runs": tuple(runs)})
    return replace(row, entry=replace(row.entry, submission=sub))


def test_learning_curves_are_drawn_where_all_runs_have_them(board: Board) -> None:
    row = next(row for row in board.rows if row.submission.agent.name == "adsac")
    assert figures.learning_curve(row) is None
    first, second = ((100, 0.1), (200, 0.4)), ((120, 0.3), (220, 0.6), (300, 0.7))
    assert figures.learning_curve(with_curves(row, first, second, None)) is None
    assert figures.learning_curve(with_curves(row, first, second, ((100, None),))) is None
    whole = with_curves(row, first, second, first)
    drawn = str(figures.learning_curve(whole))
    assert (drawn.count('class="run"'), drawn.count('class="line"')) == (3, 1)
    assert "Learning curves of 3 runs" in drawn
    other = with_curves(board.rows[-1], first, first, first)  # names alone matter here
    assert figures.learning_curves([row, whole]) is None
    shared = str(figures.learning_curves([row, whole, other]))
    assert shared.count('class="line"') == 2
    assert "adsac</text>" in shared
    assert "random</text>" in shared


def test_the_page_that_compares_has_the_difference_of_every_pair(board: Board) -> None:
    found = compared(board)
    names = [entry["name"] for entry in found["entries"]]
    assert names == [row.submission.agent.name for row in board.rows]
    assert len(found["pairs"]) == len(names) * (len(names) - 1) / 2
    one, two = (row.result.scores for row in board.rows[2:4])
    exact = difference(one, two)
    assert found["pairs"]["2,3"] == pytest.approx([exact.value, exact.low, exact.high], rel=1e-5)
    assert found["entries"][2]["values"] == pytest.approx(one.mean(axis=0), abs=1e-4)


def test_entries_of_one_name_are_told_apart_by_their_class(tmp_path: Path) -> None:
    for budget in (1, 10**6):
        made_up_submissions.write_submission(
            tmp_path, "smoke", "mine", kind="learner", seeds=3, budget=budget, chosen={}
        )
    made_up_submissions.write_submission(tmp_path, "smoke", "rule")
    [board] = [board for board in read_boards(tmp_path) if board.rows]
    assert sorted(map(board.label_of, board.rows)) == ["mine, small", "mine, standard", "rule"]
