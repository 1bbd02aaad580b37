"""Tables of a run, made from its plan and its records alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_marl.benchmarks.plan.budgets import budget_class
from edge_marl.benchmarks.plan.cells import AgentEntry, Arena, Plan
from edge_marl.benchmarks.records.records import read_plan
from edge_marl.benchmarks.report.columns import PRICE, PRICE_NOTE, SCORE, columns_of
from edge_marl.benchmarks.report.intervals import Estimate, FloatArray
from edge_marl.benchmarks.report.results import (
    OTHER_WORKLOADS,
    HoleError,
    Runs,
    read_anchors,
    read_runs,
)
from edge_marl.benchmarks.report.stats import (
    MIN_RUNS,
    MIN_WORKLOADS,
    coverage_note,
    has_scale,
    normalise,
    prices,
)
from edge_marl.errors import RecordError
from edge_marl.scenario import Scenario
from edge_marl.scenario.evidence import reference_of

__all__ = ["FEW_RUNS", "Row", "Table", "build_tables"]

FEW_WORKLOADS = (
    f"Fewer than {MIN_WORKLOADS} test workloads: too few for intervals over workloads; those shown "
    "are likely too narrow."
)
FEW_RUNS = (
    f"† fewer than {MIN_RUNS} runs: too few to show how often a run fails; of one run, the "
    "interval is over workloads alone."
)


@dataclass(frozen=True, eq=False)
class _Anchors:
    """Both ends of the score; (workloads,) each."""

    workloads: tuple[str, ...]
    """SHA-256 (hex) of each."""
    random: FloatArray
    bound: FloatArray


@dataclass(frozen=True, eq=False)
class Row:
    """What one agent got on one scenario."""

    agent: AgentEntry
    runs: Runs
    scores: FloatArray
    """Normalised scores (runs, workloads); no entries where there are no anchors or no runs."""
    estimates: dict[str, Estimate]
    """By column name; a column without values is missing."""
    gaps: tuple[str, ...]
    """Why it has no value in a column although it has runs."""

    @property
    def count(self) -> int:
        """Runs that have a result."""
        return len(self.runs.seeds)

    @property
    def decision_latency_us(self) -> float:
        """Median over the runs, NaN without any."""
        return float(np.median(self.runs.decision_latency_us)) if self.count else math.nan

    @property
    def has_few_runs(self) -> bool:
        """Whether its interval cannot speak of runs."""
        return not self.agent.deterministic and 0 < self.count < MIN_RUNS

    @property
    def name(self) -> str:
        """The agent's name with the marks of its notes."""
        marks = ("†" if self.has_few_runs else "") + ("‡" if self.runs.holes else "")
        return f"{self.agent.name} {marks}".rstrip()


@dataclass(frozen=True)
class Table:
    """The rows of one scenario, best score first."""

    plan: Plan
    arena: Arena
    subtitle: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    @property
    def label(self) -> str:
        """The scenario's name for people, with its game where agents are the policy of gateways."""
        return self.arena.label

    @property
    def scenario(self) -> Scenario:
        """What was played."""
        return self.arena.scenario


def build_tables(folder: Path) -> list[Table]:
    """Return one table per scenario of the run in a folder.

    Raises:
        RecordError: if the folder holds no run, or its records are not of the same workloads.
    """
    plan = read_plan(folder)
    return [_build(folder, plan, arena) for arena in plan.arenas]


def _build(folder: Path, plan: Plan, arena: Arena) -> Table:
    scenario, notes = arena.scenario, []
    try:
        anchors = _anchors(folder, plan, scenario)
    except HoleError as hole:
        anchors = None
        notes.append(f"No scores, {hole}")
    reference = _reference(plan, scenario)
    rows = [_row(folder, plan, arena, agent, anchors, reference) for agent in plan.agents]
    rows.sort(key=_rank)
    if scenario.clock.slot_ms:
        told = "the game's best reference" if reference is None else reference[0]
        notes.append(PRICE_NOTE.format(reference=told))
    if plan.episodes < MIN_WORKLOADS:
        notes.append(FEW_WORKLOADS)
    notes += coverage_note(row.count for row in rows if not row.agent.deterministic)
    if any(row.has_few_runs for row in rows):
        notes.append(FEW_RUNS)
    for row in rows:
        notes += [f"‡ {row.agent.name}: {hole}" for hole in row.runs.holes]
        notes += [f"{row.agent.name}: {gap}" for gap in row.gaps]
    seeds = "seed 0" if plan.seeds == 1 else f"seeds 0..{plan.seeds - 1}"
    facts = [plan.workloads, seeds]
    if any(agent.learns for agent in plan.agents):
        place = f" of {arena.train_on.label}" if arena.train_on else ""
        others = "".join(f", {a.name} on {_budget(a.budget)}" for a in plan.agents if a.budget)
        facts.append(f"trained on {_budget(plan.budget, ' decisions')}{place}{others}")
    if arena.api == "parallel":
        facts.append("as policy of all gateways")
    subtitle = ", ".join([*facts, f"scenario {scenario.digest[:12]}"])
    return Table(plan, arena, subtitle, tuple(rows), tuple(notes))


def _budget(decisions: int, unit: str = "") -> str:
    return f"{decisions:,}{unit} ({budget_class(decisions)})"


def _anchors(folder: Path, plan: Plan, scenario: Scenario) -> _Anchors:
    """Return the anchors of a scenario.

    Raises:
        HoleError: if there are none, or no scale between them.
    """
    try:
        values = read_anchors(folder, plan.anchors(scenario))
    except HoleError as hole:
        raise HoleError(f"for want of the anchors: {hole}") from None
    anchors = _Anchors(
        tuple(pair.workload for pair in values),
        np.array([pair.random for pair in values]),
        np.array([pair.bound for pair in values]),
    )
    flat = np.flatnonzero(~has_scale(anchors.random, anchors.bound))
    if len(flat):
        raise HoleError(
            f"for want of a scale: in {len(flat)} of {len(values)} workloads, number "
            f"{plan.first + flat[0]} the first, the bound is what random dispatch gets, to within "
            "rounding: no policy could do better"
        )
    return anchors


def _rank(row: Row) -> tuple[float, float, str]:
    """Sort key: the best score first, then the best utility; those without either last."""

    def descending(name: str) -> float:
        found = row.estimates.get(name)
        return math.inf if found is None else -found.value

    return descending(SCORE), descending("utility_per_task"), row.agent.name


def _reference(plan: Plan, scenario: Scenario) -> tuple[str, FloatArray] | None:
    """Return which reference a game's agents are measured against, and what it got per task.

    That is on the plan's workloads, (workloads,). None but for a released game's test workloads.
    """
    shipped = reference_of(scenario)
    if shipped is None or plan.split != "test":
        return None
    agent, utility = shipped
    own = utility[plan.first : plan.first + plan.episodes]
    return (agent, np.array(own)) if len(own) == plan.episodes else None


def _row(
    folder: Path,
    plan: Plan,
    arena: Arena,
    agent: AgentEntry,
    anchors: _Anchors | None,
    reference: tuple[str, FloatArray] | None,
) -> Row:
    runs = read_runs(folder, plan, arena, agent)
    scores = _scores(runs, anchors)
    made = {SCORE: scores, PRICE: _prices(runs, reference)}
    estimates, gaps = {}, []
    for column in columns_of(arena.scenario):
        values = made.get(column.name, runs.metrics.get(column.name))
        if values is None or not values.size:
            continue
        undefined = int(np.isnan(values).sum())
        if undefined:
            gaps.append(f"{column.heading} is undefined in {undefined} of {values.size} episodes")
        else:
            estimates[column.name] = column.estimate(values)
    return Row(agent, runs, scores, estimates, tuple(gaps))


def _scores(runs: Runs, anchors: _Anchors | None) -> FloatArray:
    if anchors is None or not runs.seeds:
        return np.empty((0, 0))
    if runs.workloads != anchors.workloads:
        raise RecordError(OTHER_WORKLOADS)
    return normalise(runs.metrics["utility"], anchors.random, anchors.bound)


def _prices(runs: Runs, reference: tuple[str, FloatArray] | None) -> FloatArray:
    if reference is None or not runs.seeds:
        return np.empty((0, 0))
    return prices(runs.metrics["utility_per_task"], reference[1])
