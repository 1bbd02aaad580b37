"""Boards: what the submissions of one scenario got, and which of them can be told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Literal, NamedTuple

import numpy as np

from edge_marl.benchmarks.plan.budgets import BUDGETS, BudgetClass
from edge_marl.benchmarks.report.columns import COLUMNS, Column, columns_of, fitting
from edge_marl.benchmarks.report.intervals import Estimate
from edge_marl.benchmarks.report.stats import MIN_RUNS
from edge_marl.errors import SubmissionError
from edge_marl.leaderboards.submission.chain import is_game
from edge_marl.leaderboards.submission.facts import tier_of
from edge_marl.leaderboards.submission.files import Entry, list_submissions, read_ledger
from edge_marl.leaderboards.submission.ledger import Verification
from edge_marl.leaderboards.submission.results import (
    Result,
    held_out_result,
    ranked_by,
    result_of,
)
from edge_marl.leaderboards.submission.schema import Execution, Level, Submission, board_of
from edge_marl.scenario import Scenario, list_games, list_tiers, load_scenario

__all__ = [
    "Basis",
    "Board",
    "BoardRow",
    "Rank",
    "mean_of",
    "rank_columns",
    "read_boards",
    "six_digits",
]

CLASSES: tuple[Execution | None, ...] = (None, "decentralised", "central")
"""Of rows that are ranked together, in the order in which they are shown."""

Basis = Literal["held-out", "closed loop", "log"]
"""What a row is ranked by: what its policy got on held-out workloads, what it got playing the test
workloads by itself, or what its log says."""


class Rank(NamedTuple):
    """Where a row stands among those that it is ranked with."""

    place: int
    """By its value, from 1."""
    best: int
    """One more than the rows that are certainly better: their whole interval is above its own."""
    worst: int
    """The rows less those that are certainly worse."""
    of: int
    """The rows."""

    @property
    def text(self) -> str:
        """The ranks that its interval allows, such as `2` or `2-4`."""
        if self.best == self.worst:
            return str(self.best)
        return f"{self.best}–{self.worst}"  # noqa: RUF001 (an en dash, as ranges have)


@dataclass(frozen=True, eq=False)
class BoardRow:
    """What one submission got."""

    entry: Entry
    level: Level
    """What it counts as."""
    verification: Verification | None
    """The ledger's entry of it; None if it is only claimed."""
    basis: Basis
    """What it is ranked by."""
    result: Result
    """What its policy got there: all of the row's figures."""
    log: Result
    """What its log says, which the player shows."""
    estimates: dict[str, Estimate]
    """By column name, to six digits; a column without values is missing."""
    public: Estimate
    """What it would be ranked by if its log were."""
    ranks: dict[BudgetClass, Rank] = field(default_factory=dict)
    """By budget: of a learner in its own class, of what does not learn in every one."""
    earlier: tuple[BoardRow, ...] = ()
    """Those that it supersedes, of the same authors, agent, settings and classes, the newest first:
    they have no ranks."""

    @property
    def submission(self) -> Submission:
        """What it says of itself."""
        return self.entry.submission

    @property
    def execution(self) -> Execution | None:
        """Its class on the board of a game; None elsewhere."""
        return self.submission.game.execution if self.submission.game else None

    @property
    def workloads(self) -> str:
        """Which workloads its figures are from."""
        return "held-out" if self.basis == "held-out" else "test"

    @property
    def has_few_runs(self) -> bool:
        """Whether its interval cannot speak of runs."""
        sub = self.submission
        return sub.agent.kind != "deterministic" and len(sub.runs) < MIN_RUNS

    @property
    def is_marked(self) -> bool:
        """Whether a dagger leads to a note on its runs."""
        return self.has_few_runs or self.submission.mark is not None

    @property
    def train_s(self) -> float | None:
        """Seconds of training, the mean of its runs; None where one does not say."""
        return mean_of([run.train_s for run in self.submission.runs])

    @property
    def train_cpu_s(self) -> float | None:
        """Processor time of training, likewise."""
        return mean_of([run.train_cpu_s for run in self.submission.runs])


@dataclass(frozen=True, eq=False)
class Board:
    """The submissions of one scenario, best first; of a game class by class."""

    name: str
    """Such as `paper-v0`."""
    scenario: Scenario
    rows: tuple[BoardRow, ...]
    """Those that are ranked."""

    @property
    def entries(self) -> tuple[tuple[BoardRow, BoardRow], ...]:
        """Every row, and the ranked one that it is folded under: itself where it is ranked."""
        return tuple((one, row) for row in self.rows for one in (row, *row.earlier))

    def label_of(self, row: BoardRow) -> str:
        """Return the name of a ranked row in a figure or a list, told apart from the others'."""
        name, size = row.submission.agent.full_name, row.submission.budget_class
        same = sum(other.submission.agent.full_name == name for other in self.rows)
        return f"{name}, {size}" if same > 1 and size else name

    @property
    def is_game(self) -> bool:
        """Whether it is of a game of gateways."""
        return is_game(self.scenario)

    @property
    def ranked_by(self) -> Column:
        """What decides: the score, or the utility where the scenario has no anchors."""
        return ranked_by(self.scenario)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns that the board has values for."""
        estimates = (row.estimates for row, _ in self.entries)
        columns = fitting(columns_of(self.scenario), estimates)
        return columns if self.ranked_by is COLUMNS[0] else columns[1:]

    @property
    def has_public_column(self) -> bool:
        """Whether any row is ranked by something else than its log, which is then shown too."""
        return any(row.result is not row.log for row in self.rows)

    @property
    def marks(self) -> list[str]:
        """What its rows are marked with, each once."""
        return sorted({row.submission.mark for row, _ in self.entries if row.submission.mark})

    @property
    def classes(self) -> dict[Execution | None, tuple[BoardRow, ...]]:
        """The rows that are ranked together, best first: in a game decentralised and central ones,
        else all of them."""
        found = {row.execution for row in self.rows}
        order = [one for one in CLASSES if one in found]
        return {one: tuple(r for r in self.rows if r.execution == one) for one in order}

    @property
    def leaders(self) -> dict[BudgetClass, tuple[BoardRow, ...]]:
        """By budget the rows that nothing is certainly better than, of a game of its first class;
        classes with the same leaders once."""
        first = next(iter(self.classes.values()), ())
        found: dict[BudgetClass, tuple[BoardRow, ...]] = {}
        for one in rank_columns(first):
            leaders = tuple(row for row in first if one in row.ranks and row.ranks[one].best == 1)
            if leaders and leaders not in found.values():
                found[one] = leaders
        return found


def rank_columns(rows: Sequence[BoardRow]) -> dict[BudgetClass, str]:
    """Return the headings of the ranks of rows that are ranked together, by budget.

    These are the classes that they have learners of; where nothing learns, one stands for all.
    """
    found = {row.submission.budget_class for row in rows}
    return {one: f"rank, {one}" for one in BUDGETS if one in found} or {"small": "rank"}


def read_boards(submissions: Path) -> list[Board]:
    """Return a board per release of a tier, and per other world that has submissions.

    By name, those of earlier versions last.

    Raises:
        SubmissionError: if a submission or the ledger cannot be read, lies in another folder than
            its own, is of no released scenario, or lacks a metric, or if the ledger lacks what one
            is to be ranked by.
    """
    ledger = read_ledger(submissions)
    released = (*list_tiers(), *list_games())
    scenarios = {board_of(name): load_scenario(name) for name in released}
    rows: dict[str, list[BoardRow]] = {name: [] for name in scenarios}
    for entry in list_submissions(submissions):
        sub = entry.submission
        if entry.name != sub.entry:
            raise SubmissionError(
                f"{entry.folder}: says that it is {sub.entry}: put it into the folder of that name"
            )
        scenario = scenarios.setdefault(sub.board, _scenario_of(entry))
        level, verification = ledger.level_of(sub), ledger.verification_of(sub)
        rows.setdefault(sub.board, []).append(_row(entry, level, verification, scenario))
    order = sorted(scenarios, key=lambda name: (scenarios[name].superseded, name))
    return [_board(name, scenarios[name], rows[name]) for name in order]


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


def _row(
    entry: Entry, level: Level, verification: Verification | None, scenario: Scenario
) -> BoardRow:
    try:
        log = result_of(entry.submission, None, scenario)
        basis, result = _checked_result(entry.submission, level, verification, log, scenario)
    except SubmissionError as error:
        raise SubmissionError(f"{entry.folder}: {error}") from None
    estimates, column = _estimates(entry, result, scenario), ranked_by(scenario)
    public = estimates[column.name]
    if result is not log:
        public = _rounded(column.estimate(log.values(column)))
    return BoardRow(entry, level, verification, basis, result, log, estimates, public)


def _checked_result(
    submission: Submission,
    level: Level,
    verification: Verification | None,
    log: Result,
    scenario: Scenario,
) -> tuple[Basis, Result]:
    """Return what was checked last, which is what is ranked."""
    if verification is None or level in ("claimed", "replayed"):
        return "log", log
    if level == "held-out" and verification.held_out is not None:
        return "held-out", held_out_result(verification.held_out, scenario)
    if verification.closed_loop is None:  # it decided as logged, so its log is what it got
        return "closed loop", log
    return "closed loop", result_of(submission, verification.closed_loop, scenario)


def _estimates(entry: Entry, result: Result, scenario: Scenario) -> dict[str, Estimate]:
    values = {column: result.values(column) for column in columns_of(scenario)}
    estimates = {
        column.name: _rounded(column.estimate(found))
        for column, found in values.items()
        if found.size and np.isfinite(found).all()
    }
    if "utility_per_task" not in estimates:
        raise SubmissionError(f"{entry.folder}: utility_per_task is missing for a workload")
    return estimates


def _rounded(exact: Estimate) -> Estimate:
    return Estimate(*map(six_digits, (exact.value, exact.low, exact.high)))


def _board(name: str, scenario: Scenario, rows: Sequence[BoardRow]) -> Board:
    key = ranked_by(scenario).name
    found: list[BoardRow] = []
    for one in CLASSES:
        found += _ranked(_newest([row for row in rows if row.execution == one]), key)
    return Board(name, scenario, tuple(found))


def _newest(rows: Sequence[BoardRow]) -> list[BoardRow]:
    """Return the rows of a class, those that a newer one supersedes folded under it."""
    lines: dict[tuple[object, ...], list[BoardRow]] = {}
    for row in sorted(rows, key=lambda row: row.submission.date, reverse=True):
        lines.setdefault(row.submission.line, []).append(row)
    return [replace(newest, earlier=tuple(rest)) for newest, *rest in lines.values()]


def _ranked(rows: Sequence[BoardRow], key: str) -> list[BoardRow]:
    """Return the rows of a class with their ranks by budget, best first."""
    rows = sorted(rows, key=lambda row: (-row.estimates[key].value, row.entry.name))
    ranks: list[dict[BudgetClass, Rank]] = [{} for _ in rows]
    for one in BUDGETS:
        peers = [k for k, row in enumerate(rows) if row.submission.budget_class in (None, one)]
        found = _ranks([rows[k].estimates[key] for k in peers])
        for k, rank in zip(peers, found, strict=True):
            ranks[k][one] = rank
    return [replace(row, ranks=own) for row, own in zip(rows, ranks, strict=True)]


def _ranks(estimates: Sequence[Estimate]) -> list[Rank]:
    """Return the rank of each of some estimates, the largest value first."""
    return [
        Rank(
            place=place,
            best=1 + sum(other.low > own.high for other in estimates),
            worst=len(estimates) - sum(other.high < own.low for other in estimates),
            of=len(estimates),
        )
        for place, own in enumerate(estimates, 1)
    ]


def six_digits(value: float) -> float:
    """Return a number that no machine's last bit changes: the same ranks and bytes everywhere."""
    return float(f"{value:.6g}")


def mean_of(values: Sequence[float | None]) -> float | None:
    """Return the mean; None where there is nothing, or a value is not known."""
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None
