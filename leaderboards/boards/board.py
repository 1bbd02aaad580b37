"""Boards: what the submissions of one scenario got, and which of them can be told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edge_marl.benchmarks.report.columns import COLUMNS, SCORE, Column
from edge_marl.benchmarks.report.intervals import Estimate, FloatArray
from edge_marl.benchmarks.report.stats import MIN_RUNS, normalise
from edge_marl.bound.anchor_pairs import shipped_pairs
from edge_marl.errors import SubmissionError
from edge_marl.leaderboards.submission.facts import tier_of
from edge_marl.leaderboards.submission.files import Entry, list_submissions, read_ledger
from edge_marl.leaderboards.submission.schema import Level, Submission, Verification, board_of
from edge_marl.scenario import Scenario, list_tiers, load_scenario

__all__ = ["Board", "BoardRow", "read_boards"]


@dataclass(frozen=True, eq=False)
class BoardRow:
    """What one submission got."""

    entry: Entry
    level: Level
    """How far it was checked."""
    verification: Verification | None
    """The ledger's entry of it; None if it is only claimed."""
    scores: FloatArray
    """(runs, workloads) normalised scores; (0, 0) where the scenario has no anchors."""
    estimates: dict[str, Estimate]
    """By column name, to six digits; a column without values is missing."""
    best_rank: int = 1
    """One more than the rows that are certainly better: their whole interval is above this one's.
    """
    worst_rank: int = 1
    """The rows of the board less those that are certainly worse."""

    @property
    def submission(self) -> Submission:
        """What it says of itself."""
        return self.entry.submission

    @property
    def has_few_runs(self) -> bool:
        """Whether its interval cannot speak of runs."""
        sub = self.submission
        return sub.agent.kind != "deterministic" and len(sub.runs) < MIN_RUNS

    @property
    def rank(self) -> str:
        """The ranks that its interval allows, such as `2` or `2-4`."""
        if self.best_rank == self.worst_rank:
            return str(self.best_rank)
        return f"{self.best_rank}–{self.worst_rank}"  # noqa: RUF001 (an en dash, as ranges have)

    def metric(self, name: str) -> FloatArray:
        """Return a metric of every (run, workload); NaN where an episode has none."""
        return np.array([run.metrics[name] for run in self.submission.runs], dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Board:
    """The submissions of one scenario, best first."""

    name: str
    """Such as `paper-v0`."""
    scenario: Scenario
    rows: tuple[BoardRow, ...]

    @property
    def ranked_by(self) -> Column:
        """What decides: the score, or the utility where the scenario has no anchors."""
        return COLUMNS[0] if shipped_pairs(self.scenario) else COLUMNS[1]

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that the board has values for."""
        return COLUMNS if self.ranked_by is COLUMNS[0] else COLUMNS[1:]

    @property
    def leaders(self) -> tuple[BoardRow, ...]:
        """The rows that nothing is certainly better than."""
        return tuple(row for row in self.rows if row.best_rank == 1)


def read_boards(submissions: Path) -> list[Board]:
    """Return a board per released tier, and per other world that has submissions.

    Raises:
        SubmissionError: if a submission or the ledger cannot be read, lies in another folder than
            its own, is of no released scenario, or lacks a metric.
    """
    ledger = read_ledger(submissions)
    scenarios = {board_of(name): load_scenario(name) for name in list_tiers()}
    rows: dict[str, list[BoardRow]] = {name: [] for name in scenarios}
    for entry in list_submissions(submissions):
        sub = entry.submission
        if entry.name != sub.entry:
            raise SubmissionError(
                f"{entry.folder}: says that it is {sub.entry}: put it into the folder of that name"
            )
        scenario = scenarios.setdefault(sub.board, _scenario_of(entry))
        level, verification = ledger.level_of(sub), ledger.verification_of(sub)
        row = BoardRow(entry, level, verification, np.empty((0, 0)), {})
        rows.setdefault(sub.board, []).append(_with_estimates(row, scenario))
    return [_board(name, scenarios[name], rows[name]) for name in sorted(scenarios)]


def _scenario_of(entry: Entry) -> Scenario:
    facts = entry.submission.scenario
    scenario = tier_of(facts.name)
    if scenario is None:
        raise SubmissionError(f"{entry.folder}: no released scenario is called '{facts.name}'")
    if scenario.digest != facts.digest:
        raise SubmissionError(
            f"{entry.folder}: scenario digest {facts.digest[:12]}, the released '{facts.name}' has "
            f"{scenario.digest[:12]}: make the submission anew with this version"
        )
    return scenario


def _with_estimates(row: BoardRow, scenario: Scenario) -> BoardRow:
    folder = row.entry.folder
    try:
        row = replace(row, scores=_scores(row, scenario))
        values = {column.name: row.metric(column.name) for column in COLUMNS[1:]}
    except KeyError as error:
        raise SubmissionError(f"{folder}: metric {error} is missing") from None
    values[SCORE] = row.scores
    estimates = {
        column.name: _rounded(column.estimate(values[column.name]))
        for column in COLUMNS
        if values[column.name].size and np.isfinite(values[column.name]).all()
    }
    if values["utility_per_task"].size and "utility_per_task" not in estimates:
        raise SubmissionError(f"{folder}: utility_per_task is missing for a workload")
    return replace(row, estimates=estimates)


def _scores(row: BoardRow, scenario: Scenario) -> FloatArray:
    pairs = shipped_pairs(scenario)
    if not pairs:
        return np.empty((0, 0))
    try:
        anchors = np.array([pairs[digest] for digest in row.submission.workloads])
    except KeyError as error:
        raise SubmissionError(
            f"{row.entry.folder}: {error} is no test workload of {scenario.label}: run the agent "
            "on the test workloads of this version"
        ) from None
    return normalise(row.metric("utility"), anchors[:, 0], anchors[:, 1])


def _rounded(exact: Estimate) -> Estimate:
    """Six digits, which no machine's last bit reaches: the same ranks and bytes everywhere."""
    return Estimate(*(float(f"{x:.6g}") for x in (exact.value, exact.low, exact.high)))


def _board(name: str, scenario: Scenario, rows: Sequence[BoardRow]) -> Board:
    board = Board(name, scenario, ())
    key = board.ranked_by.name
    estimates = [row.estimates[key] for row in rows]
    ranked = [
        replace(
            row,
            best_rank=1 + sum(other.low > own.high for other in estimates),
            worst_rank=len(rows) - sum(other.high < own.low for other in estimates),
        )
        for row, own in zip(rows, estimates, strict=True)
    ]
    ranked.sort(key=lambda row: (-row.estimates[key].value, row.entry.name))
    return replace(board, rows=tuple(ranked))
