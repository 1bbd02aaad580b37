"""Whether two runs of one plan found the same: their tables without what a clock has measured.

A record holds times (of a decision, the training, the evaluation, the process), and the tables show
one of them, the decision latency. They differ between any two runs. So they are set to zero in a
copy of the records, and it is the tables of that copy that are to be equal, byte for byte.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from edge_marl.benchmarks.records.records import (
    read_plan,
    read_record,
    without_clock,
    write_plan,
    write_record,
)
from edge_marl.benchmarks.report.report import make_report

__all__ = ["tables_without_clock"]


def tables_without_clock(run: Path) -> list[bytes]:
    """Return a run's tables (CSV, JSON, Markdown), as they are where every clock stands still.

    Raises:
        RecordError: if the folder holds no run, or a record of it is damaged.
    """
    plan = read_plan(run)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        write_plan(copy, plan)
        for job in plan.jobs():
            if (record := read_record(run, job)) is not None:
                write_record(copy, without_clock(record))
        before = set(copy.iterdir())
        make_report(copy, ("md", "csv", "json"), show=False)
        return [path.read_bytes() for path in sorted(set(copy.iterdir()) - before)]
