"""What agents get over all scenarios of a run: one normalised score each, and where it is lowest.

Only agents that have every planned run with a score in every scenario are in: a mean over what is
there would be one of other scenarios for each agent. Each agent's figures depend on the plan and on
its own records alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_marl.benchmarks.plan.cells import AgentEntry
from edge_marl.benchmarks.report.columns import SCORE
from edge_marl.benchmarks.report.intervals import Estimate, FloatArray
from edge_marl.benchmarks.report.stats import METHOD, aggregate
from edge_marl.benchmarks.report.tables import FEW_RUNS, Row, Table

__all__ = ["CAPTION", "Aggregate", "AggregateRow", "build_aggregates"]

CAPTION = (
    "Score: 0 is random dispatch, 1 the hindsight bound; interquartile mean over runs and "
    "scenarios of what a run got in a scenario, its mean over the workloads there. In brackets: "
    f"95 % intervals ({METHOD}), the scenarios as they are: they do not speak of others. Lowest: "
    "the lowest mean of a scenario, and in which."
)


@dataclass(frozen=True, eq=False)
class AggregateRow:
    """What one agent got over all scenarios."""

    agent: AgentEntry
    runs: int
    """In each scenario."""
    has_few_runs: bool
    score: Estimate
    means: FloatArray
    """Mean score in each scenario, (scenarios,)."""

    @property
    def name(self) -> str:
        """The agent's name with the mark of its note."""
        return f"{self.agent.name} †" if self.has_few_runs else self.agent.name

    @property
    def lowest(self) -> int:
        """Place of the scenario with the lowest mean."""
        return int(np.argmin(self.means))


@dataclass(frozen=True)
class Aggregate:
    """Agents over all scenarios of a run under one API, best score first."""

    label: str
    scenarios: tuple[str, ...]
    """Their names for people."""
    rows: tuple[AggregateRow, ...]
    notes: tuple[str, ...]


def build_aggregates(tables: list[Table]) -> list[Aggregate]:
    """Return one aggregate per API that a run has several scenarios of."""
    by_api = {
        table.arena.api: [t for t in tables if t.arena.api == table.arena.api] for table in tables
    }
    return [_build(group) for group in by_api.values() if len(group) > 1]


def _build(tables: list[Table]) -> Aggregate:
    rows, notes = [], []
    for agent in tables[0].plan.agents:
        found = [next(row for row in table.rows if row.agent == agent) for table in tables]
        if holes := _holes(tables, found):
            notes.append(f"‡ {agent.name} is left out: {'; '.join(holes)}")
        else:
            rows.append(_row(tables, agent, found))
    if any(row.has_few_runs for row in rows):
        notes.insert(0, FEW_RUNS)
    rows.sort(key=lambda row: (-row.score.value, row.agent.name))
    game = " as policy of all gateways" if tables[0].arena.api == "parallel" else ""
    return Aggregate(
        label=f"All {len(tables)} scenarios{game}",
        scenarios=tuple(table.label for table in tables),
        rows=tuple(rows),
        notes=tuple(notes),
    )


def _holes(tables: list[Table], rows: list[Row]) -> list[str]:
    """Return what an agent lacks, by scenario."""
    holes = []
    for table, row in zip(tables, rows, strict=True):
        if row.runs.holes:
            holes.append(f"{row.count} of {row.runs.planned} runs in {table.label}")
        elif SCORE not in row.estimates:
            holes.append(f"no scores in {table.label}")
    return holes


def _row(tables: list[Table], agent: AgentEntry, rows: list[Row]) -> AggregateRow:
    plan = tables[0].plan
    # A run that depends on no seed is what each seed would have given: as many rows as the others
    # have, or their entries would be cut differently.
    copies = plan.seeds if agent.deterministic else 1
    digests = [table.scenario.digest for table in tables]
    elsewhere = plan.train_on.digest if agent.learns and plan.train_on else None
    return AggregateRow(
        agent=agent,
        runs=rows[0].count,
        has_few_runs=rows[0].has_few_runs,
        score=aggregate(
            [np.repeat(row.scores, copies, axis=0) for row in rows],
            scenarios=digests,
            trained=[elsewhere or digest for digest in digests],
        ),
        means=np.array([row.scores.mean() for row in rows]),
    )
