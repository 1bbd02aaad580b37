"""A run's episodes as `report.parquet`."""

from __future__ import annotations

import io
import math

from edge_marl.benchmarks.report.comparisons import Report
from edge_marl.errors import RecordError

__all__ = ["to_parquet"]


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
            "test_set_of": table.scenario.test_set_of,
            "trained_on": table.arena.place.label if row.agent.learns else None,
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
