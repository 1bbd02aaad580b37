"""Reports of a run, made from its records alone: equal records give equal bytes.

`report` is the command; `WRITERS` says which file each format is. Figures are drawn, and what else
is heavy loaded, only for the formats that need it.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_marl.benchmarks.aggregate import Aggregate
from edge_marl.benchmarks.analysis import (
    THRESHOLDS,
    Analysis,
    Report,
    learning_curve,
    performance_profile,
)
from edge_marl.benchmarks.sheets import print_sheets, sheet_of, sheets_of, to_csv, to_markdown
from edge_marl.benchmarks.stats import Band, Estimate
from edge_marl.benchmarks.tables import Row, Table, build_tables
from edge_marl.console import results
from edge_marl.errors import RecordError
from edge_marl.files import write_file

__all__ = ["FORMATS", "make_report"]


SCHEMA_VERSION = 1
"""Of `report.json`."""


def make_report(folder: Path, formats: tuple[str, ...] = (), *, show: bool = True) -> None:
    """Write a run's reports to its folder, and print the tables.

    Args:
        folder: of the run.
        formats: of `FORMATS`; none means those that a run writes at its end.
        show: whether the tables are printed.

    Raises:
        RecordError: if the folder holds no run, or cannot be written to; a format needs a package
            that is not installed.
    """
    made = Report(build_tables(folder))
    # All are made before the first is written: a failure leaves the old ones as they were.
    files = {WRITERS[name][0]: WRITERS[name][1](made) for name in formats or DEFAULT_FORMATS}
    for name, content in files.items():
        write_file(folder / name, content, RecordError)
    if show:
        sheets = sheets_of(made)
        overall = len(made.aggregates)  # last: the end is what a terminal shows
        print_sheets(results(), sheets[overall:] + sheets[:overall])
        shown = f"{folder}: {', '.join(files)}"
        results().print(shown, markup=False, highlight=False, soft_wrap=True)


# ---- JSON ----------------------------------------------------------------------------------------


def to_json(made: Report) -> bytes:
    """Return every figure of the report as JSON, numbers to six digits, in base units."""
    facts = {
        "schema_version": SCHEMA_VERSION,
        "score_thresholds": _numbers(THRESHOLDS),
        "aggregates": [_aggregate(over) for over in made.aggregates],
        "scenarios": [_scenario(analysis) for analysis in made.analyses],
    }
    return json.dumps(facts, indent=1, allow_nan=False, ensure_ascii=False).encode() + b"\n"


def _scenario(analysis: Analysis) -> dict[str, Any]:
    table = analysis.table
    return {
        "scenario": table.label,
        "scenario_digest": table.scenario.digest,
        "facts": table.subtitle,
        "notes": list(table.notes),
        "agents": [_agent(table, row) for row in table.rows],
        "comparisons": [
            {
                "agent": pair.agent,
                "other": pair.other,
                "score_difference": _estimate(pair.difference),
                "probability_of_improvement": _estimate(pair.improvement),
            }
            for pair in analysis.comparisons
        ],
    }


def _aggregate(over: Aggregate) -> dict[str, Any]:
    return {
        "label": over.label,
        "scenarios": list(over.scenarios),
        "notes": list(over.notes),
        "agents": [
            {
                "agent": row.agent.name,
                "runs": row.runs,
                "too_few_runs": row.has_few_runs,
                "normalised_score": _estimate(row.score),
                "means": dict(zip(over.scenarios, _numbers(row.means), strict=True)),
            }
            for row in over.rows
        ],
    }


def _agent(table: Table, row: Row) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "agent": row.agent.name,
        "learns": row.agent.learns,
        "deterministic": row.agent.deterministic,
        "runs": row.count,
        "runs_planned": row.runs.planned,
        "too_few_runs": row.has_few_runs,
        "holes": list(row.runs.holes),
        "gaps": list(row.gaps),
        "estimates": {name: _estimate(found) for name, found in row.estimates.items()},
        "means": _means(row),
        "decision_latency_us": _rounded(row.decision_latency_us),
    }
    if row.scores.size:
        facts["performance_profile"] = _band(performance_profile(table, row))
    if (found := learning_curve(table, row)) is not None:
        decisions, band = found
        facts["learning_curve"] = {"decisions": _numbers(decisions)} | _band(band)
    return facts


def _means(row: Row) -> dict[str, float | None]:
    """Mean of every metric over runs and workloads; None where an episode leaves it undefined."""
    return {name: _rounded(float(values.mean())) for name, values in row.runs.metrics.items()}


def _estimate(found: Estimate) -> dict[str, float | None]:
    return {
        "value": _rounded(found.value),
        "low": _rounded(found.low),
        "high": _rounded(found.high),
    }


def _band(band: Band) -> dict[str, list[float | None]]:
    return {
        "values": _numbers(band.values),
        "low": _numbers(band.low),
        "high": _numbers(band.high),
    }


def _numbers(values: Any) -> list[float | None]:
    return [_rounded(float(value)) for value in values]


def _rounded(value: float) -> float | None:
    """A number to six digits, which no machine's last bit reaches; None for NaN."""
    return None if math.isnan(value) else float(f"{value:.6g}") + 0.0  # + 0: no minus zero


# ---- Parquet -------------------------------------------------------------------------------------


def to_parquet(made: Report) -> bytes:
    """Return every episode as Parquet: one line per scenario, agent, seed and workload.

    Raises:
        RecordError: if pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise RecordError(
            "--format parquet needs pyarrow, which is missing: pip install 'edge-marl[parquet]'"
        ) from None
    lines = [
        {
            "scenario": table.label,
            "scenario_digest": table.scenario.digest,
            "agent": row.agent.name,
            "seed": seed,
            "test_workload": number,
            "workload_digest": workload,
            **{name: _defined(values[run, number]) for name, values in row.runs.metrics.items()},
        }
        for table in made.tables
        for row in table.rows
        for run, seed in enumerate(row.runs.seeds)
        for number, workload in enumerate(row.runs.workloads)
    ]
    out = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(lines), out)
    return out.getvalue()


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


# ---- HTML ----------------------------------------------------------------------------------------


def to_html(made: Report) -> bytes:
    """Return the report as one page that needs nothing else: figures and style are inside."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from edge_marl.benchmarks.plots import draw_aggregate, draw_all

    environment = Environment(
        loader=PackageLoader("edge_marl.benchmarks"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    sections = [
        {
            "sheet": sheet_of(analysis.table),
            "drawings": draw_all(analysis),
            "comparisons": [
                (c.agent, c.other, _text(c.difference), _text(c.improvement))
                for c in analysis.comparisons
            ],
        }
        for analysis in made.analyses
    ]
    overall = [
        {"sheet": sheet_of(over), "drawings": draw_aggregate(over), "comparisons": []}
        for over in made.aggregates
    ]
    page = environment.get_template("report.html.j2")
    return page.render(sections=overall + sections).encode()


def _text(found: Estimate) -> str:
    return f"{found.value:z.3f} [{found.low:z.3f}, {found.high:z.3f}]"


WRITERS: dict[str, tuple[str, Callable[[Report], bytes]]] = {
    "html": ("report.html", to_html),
    "md": ("table.md", lambda made: to_markdown(made).encode()),
    "csv": ("table.csv", lambda made: to_csv(made).encode()),
    "json": ("report.json", to_json),
    "parquet": ("episodes.parquet", to_parquet),
}
FORMATS = tuple(WRITERS)
DEFAULT_FORMATS = ("html", "md", "csv", "json")
"""What a run writes at its end."""
