"""What agents get over several scenarios of a run: all of them, and the test sets of a tier.

Over all scenarios that is one normalised score each, and where it is lowest. Only agents that have
every planned run with a score in every scenario are in: a mean over what is there would be one of
other scenarios for each agent. Test sets are in tables of their own: what a tier's agents get on
each, and what they lose there. Each agent's figures depend on the plan and on its own records
alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_marl.benchmarks.plan.cells import AgentEntry
from edge_marl.benchmarks.report.columns import COLUMNS, SCORE, Column
from edge_marl.benchmarks.report.intervals import Estimate, FloatArray
from edge_marl.benchmarks.report.stats import METHOD, aggregate, change
from edge_marl.benchmarks.report.tables import FEW_RUNS, Row, Table
from edge_marl.scenario.generalisation import NEW_DAYS, TITLES, title_of

__all__ = [
    "CAPTION",
    "MOVED",
    "Aggregate",
    "AggregateRow",
    "Generalisation",
    "GeneralisationRow",
    "build_aggregates",
    "build_generalisations",
]

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
    """Return one aggregate per API that a run has several scenarios of; test sets do not count."""
    homes = [table for table in tables if table.scenario.test_set_of is None]
    by_api = {
        table.arena.api: [t for t in homes if t.arena.api == table.arena.api] for table in homes
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
    return AggregateRow(
        agent=agent,
        runs=rows[0].count,
        has_few_runs=rows[0].has_few_runs,
        score=aggregate(
            [np.repeat(row.scores, copies, axis=0) for row in rows],
            scenarios=[table.scenario.digest for table in tables],
            trained=[(t.arena.place if agent.learns else t.scenario).digest for t in tables],
        ),
        means=np.array([row.scores.mean() for row in rows]),
    )


UTILITY = "utility_per_task"

MOVED = (
    "The agents of a tier on its test sets: utility per task (net of penalties), means; score: 0 "
    "is random dispatch, 1 the hindsight bound, interquartile means. Loss: what the same runs have "
    "less there than on new days, in {measure}: runs are paired, workloads are not, for no two "
    f"sets share one. In brackets: 95 % intervals ({METHOD}). A set on which agents that do not "
    "train lose too is a harder world, not only an unknown one."
)


@dataclass(frozen=True, eq=False)
class GeneralisationRow:
    """What one agent got on the test sets of a tier."""

    agent: AgentEntry
    name: str
    """With the marks of its notes."""
    runs: int
    """On new days."""
    figures: dict[str, dict[str, Estimate]]
    """By column name, `utility_per_task` and the score's, and title of the test set."""
    losses: dict[str, Estimate]
    """By title: what it has less than on new days."""


@dataclass(frozen=True)
class Generalisation:
    """Agents on the test sets of one tier, best on new days first."""

    label: str
    sets: dict[str, Table]
    """By title; the first is the tier itself, on new days."""
    measure: Column
    """What losses are in: the score where all sets have one, or else the utility."""
    rows: tuple[GeneralisationRow, ...]
    notes: tuple[str, ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        """What is shown of each set."""
        return tuple(c for c in COLUMNS if c.name in {UTILITY, self.measure.name})[::-1]

    @property
    def away(self) -> tuple[str, ...]:
        """Titles of the sets that are not the tier itself."""
        return tuple(self.sets)[1:]


def build_generalisations(tables: list[Table]) -> list[Generalisation]:
    """Return one for each tier, and API, that a run has test sets of."""
    found = []
    for home in tables:
        tier = home.scenario
        sets = {
            title_of(table.scenario): table
            for table in tables
            if table.arena.api == home.arena.api
            and (table.scenario.test_set_of, table.scenario.version) == (tier.name, tier.version)
        }
        if sets:
            known = [title for title in TITLES.values() if title in sets]
            order = [*known, *(title for title in sets if title not in known)]
            found.append(_generalisation({NEW_DAYS: home} | {t: sets[t] for t in order}))
    return found


def _generalisation(sets: dict[str, Table]) -> Generalisation:
    home = sets[NEW_DAYS]
    scored = all(_has_scores(table) for table in sets.values())
    measure = next(column for column in COLUMNS if column.name == (SCORE if scored else UTILITY))
    rows, notes = [], []
    for agent in home.plan.agents:
        found = {t: next(r for r in table.rows if r.agent == agent) for t, table in sets.items()}
        rows.append(_moved(agent, found, measure))
        notes += [
            f"‡ {agent.name}, {title}: {hole}"
            for title, r in found.items()
            for hole in r.runs.holes
        ]
    rows.sort(key=_by_new_days)
    if any(row.has_few_runs for row in home.rows):
        notes.insert(0, FEW_RUNS)
    unscored = [title for title, table in sets.items() if not _has_scores(table)]
    if unscored:
        notes.append(f"No scores: there are none on {', '.join(unscored)}.")
    return Generalisation(
        label=f"Generalisation from {home.label}",
        sets=sets,
        measure=measure,
        rows=tuple(rows),
        notes=tuple(notes),
    )


def _has_scores(table: Table) -> bool:
    return any(SCORE in row.estimates for row in table.rows)


def _moved(agent: AgentEntry, found: dict[str, Row], measure: Column) -> GeneralisationRow:
    """Return what an agent got, given its rows by title of the test set."""
    home = found[NEW_DAYS]
    names = {UTILITY, measure.name}
    figures = {
        name: {t: row.estimates[name] for t, row in found.items() if name in row.estimates}
        for name in names
    }
    losses = {
        title: loss
        for title, row in found.items()
        if title != NEW_DAYS and (loss := _loss(home, row, measure)) is not None
    }
    marks = [("†", home.has_few_runs), ("‡", any(row.runs.holes for row in found.values()))]
    name = f"{agent.name} {''.join(mark for mark, on in marks if on)}".rstrip()
    return GeneralisationRow(agent, name, home.count, figures, losses)


def _loss(home: Row, away: Row, measure: Column) -> Estimate | None:
    """Return what the runs that both have get less away than at home; None where there is none."""
    if measure.name not in home.estimates or measure.name not in away.estimates:
        return None
    both = sorted(set(home.runs.seeds) & set(away.runs.seeds))
    if not both:
        return None
    first, second = (
        _values(row, measure)[[row.runs.seeds.index(seed) for seed in both]] for row in (home, away)
    )
    return change(first, second, measure.statistic)


def _values(row: Row, measure: Column) -> FloatArray:
    return row.scores if measure.name == SCORE else row.runs.metrics[measure.name]


def _by_new_days(row: GeneralisationRow) -> tuple[float, str]:
    """Sort key: the best utility on new days first, those without one last."""
    found = row.figures[UTILITY].get(NEW_DAYS)
    return (np.inf if found is None else -found.value), row.agent.name
