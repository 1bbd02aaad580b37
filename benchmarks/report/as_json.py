"""A run's report as `report.json`."""

from __future__ import annotations

import json
import math
from typing import Any

from edge_marl.benchmarks.report.comparisons import (
    THRESHOLDS,
    Analysis,
    Report,
    learning_curve,
    performance_profile,
)
from edge_marl.benchmarks.report.intervals import Band, Estimate
from edge_marl.benchmarks.report.overall import Aggregate, Generalisation
from edge_marl.benchmarks.report.tables import Row, Table

__all__ = ["to_json"]

SCHEMA_VERSION = 1
"""Of `report.json`."""


def to_json(made: Report) -> bytes:
    """Return every figure of the report as JSON, numbers to six digits, in base units."""
    facts = {
        "schema_version": SCHEMA_VERSION,
        "score_thresholds": _numbers(THRESHOLDS),
        "aggregates": [_aggregate(over) for over in made.aggregates],
        "generalisations": [_generalisation(over) for over in made.generalisations],
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


def _generalisation(over: Generalisation) -> dict[str, Any]:
    return {
        "label": over.label,
        "sets": {
            title: {"scenario": table.label, "scenario_digest": table.scenario.digest}
            for title, table in over.sets.items()
        },
        "loss_in": over.measure.name,
        "notes": list(over.notes),
        "agents": [
            {
                "agent": row.agent.name,
                "runs": row.runs,
                **{column.name: _estimates(row.figures[column.name]) for column in over.columns},
                "loss": _estimates(row.losses),
            }
            for row in over.rows
        ],
    }


def _estimates(found: dict[str, Estimate]) -> dict[str, dict[str, float | None]]:
    return {name: _estimate(one) for name, one in found.items()}


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
        "estimates": _estimates(row.estimates),
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
