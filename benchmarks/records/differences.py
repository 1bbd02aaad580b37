"""Two records of one job, compared number by number."""

from __future__ import annotations

from edge_marl.benchmarks.records.records import Record

__all__ = ["Row", "differences"]

Row = tuple[str, int, int, float]
"""Name, number of values, how many differ, and the largest difference."""


def differences(before: Record, after: Record) -> list[Row]:
    """Compare two records of one job, number by number.

    Raises:
        RecordError: if they are not of the same workloads.
    """
    old, new = _numbers(before), _numbers(after)
    rows = []
    for name, values in old.items():
        pairs = list(zip(values, new.get(name, [None] * len(values)), strict=True))
        apart = [abs((a or 0.0) - (b or 0.0)) for a, b in pairs if a != b]
        rows.append((name, len(pairs), len(apart), max(apart, default=0.0)))
    return rows


def _numbers(record: Record) -> dict[str, list[float | None]]:
    if record.result is not None:
        episodes = record.result.episodes
        numbers = {name: [e.metrics[name] for e in episodes] for name in episodes[0].metrics}
        workloads = [e.workload for e in episodes]
    else:
        anchors = record.anchors or ()
        numbers = {name: [getattr(a, name) for a in anchors] for name in ("random", "bound")}
        workloads = [a.workload for a in anchors]
    return {"workload": [float(int(digest[:12], 16)) for digest in workloads], **numbers}
