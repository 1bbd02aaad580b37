"""Tables as people and spreadsheets read them: on a terminal, in Markdown, and as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table as RichTable

from edge_marl.benchmarks.report import overall
from edge_marl.benchmarks.report.columns import COLUMNS, SCORE, Column, columns_of, fitting
from edge_marl.benchmarks.report.comparisons import Report
from edge_marl.benchmarks.report.intervals import Estimate
from edge_marl.benchmarks.report.overall import (
    Aggregate,
    AggregateRow,
    Generalisation,
    GeneralisationRow,
)
from edge_marl.benchmarks.report.stats import METHOD
from edge_marl.benchmarks.report.tables import Row, Table
from edge_marl.scenario.generalisation import NEW_DAYS

__all__ = ["Sheet", "print_sheets", "sheet_of", "sheets_of", "to_csv", "to_markdown"]

NONE = "-"
UNKNOWN = Estimate(math.nan, math.nan, math.nan)

CAPTION = (
    "Score: 0 is random dispatch, 1 the hindsight bound; interquartile mean over runs and "
    "workloads. Utility per task (net of penalties), server crashes per 100 tasks, tasks lost and "
    f"p95 latency: means. In brackets: 95 % intervals ({METHOD}). Decision: median time at batch 1 "
    "on the machine of the run; not ranked."
)
NARROW = "Too wide for this terminal: the other columns and intervals are in table.md."
NARROW_COLUMNS = 5


@dataclass(frozen=True)
class Sheet:
    """A table as text."""

    label: str
    subtitle: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    keys: tuple[tuple[str, ...], ...]
    """What each entry is sorted by: the first column as text, the others as numbers, empty last."""
    notes: tuple[str, ...]


def sheets_of(made: Report) -> list[Sheet]:
    """Return the sheets of a report: those of several scenarios first."""
    return [
        *map(sheet_of, made.aggregates),
        *map(sheet_of, made.generalisations),
        *map(sheet_of, made.tables),
    ]


def sheet_of(table: Table | Aggregate | Generalisation) -> Sheet:
    """Return a table as text."""
    if isinstance(table, Generalisation):
        return _of_generalisation(table)
    return _of_aggregate(table) if isinstance(table, Aggregate) else _of_table(table)


def _of_table(table: Table) -> Sheet:
    columns = fitting(columns_of(table.scenario), (row.estimates for row in table.rows))
    headings = ("agent", *(column.heading for column in columns), "decision (µs)", "runs")
    rows = tuple(_texts(row, columns) for row in table.rows)
    keys = tuple(_keys(row, columns) for row in table.rows)
    return Sheet(table.label, table.subtitle, headings, rows, keys, (CAPTION, *table.notes))


def _texts(row: Row, columns: tuple[Column, ...]) -> tuple[str, ...]:
    figures = (_interval(row.estimates.get(column.name), column) for column in columns)
    latency = row.decision_latency_us
    decision = NONE if math.isnan(latency) else f"{latency:.0f}"
    runs = f"{row.count} of {row.runs.planned}" if row.runs.holes else f"{row.count}"
    return row.name, *figures, decision, runs


def _keys(row: Row, columns: tuple[Column, ...]) -> tuple[str, ...]:
    values = [row.estimates.get(column.name, UNKNOWN).value for column in columns]
    numbers = [*values, row.decision_latency_us, float(row.count)]
    return row.agent.name, *map(_number, numbers)


def _of_aggregate(over: Aggregate) -> Sheet:
    headings = ("agent", "score", "lowest", "in", "runs in each")
    rows = tuple(_aggregate_texts(over, row) for row in over.rows)
    keys = tuple(map(_aggregate_keys, over.rows))
    notes = (overall.CAPTION, *over.notes)
    return Sheet(over.label, ", ".join(over.scenarios), headings, rows, keys, notes)


def _aggregate_texts(over: Aggregate, row: AggregateRow) -> tuple[str, ...]:
    score, lowest = _interval(row.score, COLUMNS[0]), f"{row.means[row.lowest]:z.3f}"
    return row.name, score, lowest, over.scenarios[row.lowest], f"{row.runs}"


def _aggregate_keys(row: AggregateRow) -> tuple[str, ...]:
    numbers = (row.score.value, float(row.means[row.lowest]), float(row.lowest), float(row.runs))
    return row.agent.name, *map(_number, numbers)


def _of_generalisation(over: Generalisation) -> Sheet:
    headings = [
        f"score: {title}" if column.name == SCORE else title
        for column in over.columns
        for title in over.sets
    ]
    losses = [f"loss: {title}" for title in over.away]
    places = [f"{title}: {table.label}" for title, table in over.sets.items()]
    plan = over.sets[NEW_DAYS].plan
    return Sheet(
        label=over.label,
        subtitle=", ".join([f"{plan.workloads} each", *places]),
        headings=("agent", *headings, *losses, "runs"),
        rows=tuple(_generalisation_texts(over, row) for row in over.rows),
        keys=tuple(_generalisation_keys(over, row) for row in over.rows),
        notes=(overall.MOVED.format(measure=over.measure.heading), *over.notes),
    )


def _generalisation_texts(over: Generalisation, row: GeneralisationRow) -> tuple[str, ...]:
    figures = [_interval(found, column) for column, found in _figures(over, row)]
    return row.name, *figures, f"{row.runs}"


def _generalisation_keys(over: Generalisation, row: GeneralisationRow) -> tuple[str, ...]:
    values = [(found or UNKNOWN).value for _, found in _figures(over, row)]
    return row.agent.name, *map(_number, [*values, float(row.runs)])


def _figures(
    over: Generalisation, row: GeneralisationRow
) -> Iterator[tuple[Column, Estimate | None]]:
    """Yield a row's figures from left to right, each with how it is shown."""
    for column in over.columns:
        for title in over.sets:
            yield column, row.figures[column.name].get(title)
    for title in over.away:
        yield over.measure, row.losses.get(title)


def _interval(found: Estimate | None, column: Column) -> str:
    return NONE if found is None else column.interval(found)


def _number(value: float) -> str:
    """A number to six digits, which no machine's last bit reaches; empty for NaN."""
    return "" if math.isnan(value) else f"{value:.6g}"


def print_sheets(console: Console, sheets: list[Sheet]) -> None:
    """Print tables for people; a narrow console gets the columns that fit 80 characters."""
    for sheet in sheets:
        shown = _for_console(sheet, narrow=False)
        unlimited = console.options.update(max_width=10_000)
        if Measurement.get(console, unlimited, shown).maximum > console.width:
            shown = _for_console(sheet, narrow=True)
        console.print(shown)


def _for_console(sheet: Sheet, *, narrow: bool) -> RichTable:
    shown = RichTable(
        title=f"[bold]{escape(sheet.label)}[/]  {escape(sheet.subtitle)}",
        title_justify="left",
        caption="\n".join(escape(note) for note in (*sheet.notes, *([NARROW] if narrow else []))),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
    )
    headings, rows = sheet.headings, sheet.rows
    if narrow:  # agent and score whole, then three figures without their intervals
        end = slice(2, NARROW_COLUMNS)
        headings = headings[:NARROW_COLUMNS]
        rows = tuple((*row[:2], *(text.partition(" [")[0] for text in row[end])) for row in rows)
    for place, heading in enumerate(headings):
        shown.add_column(
            heading, justify="right" if place else "left", no_wrap=place < 2, overflow="fold"
        )
    for row in rows:
        shown.add_row(*(escape(text) for text in row))
    return shown


def to_markdown(made: Report) -> str:
    """Return the tables as Markdown."""
    lines = ["# Results"]
    for sheet in sheets_of(made):
        lines += ["", f"## {sheet.label}", "", f"{sheet.subtitle}.", ""]
        lines += [_line(sheet.headings), _line((":---",) + ("---:",) * (len(sheet.headings) - 1))]
        lines += [_line(row) for row in sheet.rows]
        lines += [text for note in sheet.notes for text in ("", note)]
    return "\n".join(lines) + "\n"


def _line(texts: tuple[str, ...]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"


def to_csv(made: Report) -> str:
    """Return the tables as one CSV, one line per scenario and agent, in base units.

    After them come the scores over several scenarios, which have no digest.
    """
    header = ["scenario", "scenario_digest", "agent", "runs", "runs_planned", "too_few_runs"]
    columns = columns_of(*(table.scenario for table in made.tables))
    for column in columns:
        header += [column.name, f"{column.name}_low", f"{column.name}_high"]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*header, "normalised_score_mean", "decision_latency_us", "holes"])
    writer.writerows(_csv_lines(made, columns))
    return out.getvalue()


def _csv_lines(made: Report, columns: tuple[Column, ...]) -> Iterator[list[str]]:
    for table in made.tables:
        for row in table.rows:
            score = float(row.scores.mean()) if row.scores.size else math.nan
            yield [
                *(table.label, table.scenario.digest, row.agent.name),
                *(str(row.count), str(row.runs.planned), str(row.has_few_runs).lower()),
                *_csv_numbers(row.estimates, columns),
                *(_number(score), _number(row.decision_latency_us), "; ".join(row.runs.holes)),
            ]
    for over in made.aggregates:
        for one in over.rows:
            yield [
                *(over.label, "", one.agent.name),
                *(str(one.runs), str(one.runs), str(one.has_few_runs).lower()),
                *_csv_numbers({COLUMNS[0].name: one.score}, columns),
                *(_number(float(one.means.mean())), "", ""),
            ]


def _csv_numbers(estimates: dict[str, Estimate], columns: tuple[Column, ...]) -> Iterator[str]:
    for column in columns:
        found = estimates.get(column.name, UNKNOWN)
        yield from map(_number, (found.value, found.low, found.high))
