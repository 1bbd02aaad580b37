"""The figures of a result that tables and boards show, and how."""

from __future__ import annotations

from dataclasses import dataclass

from edge_marl.benchmarks.report.bootstrap import Estimate, Statistic, iqm, mean

__all__ = ["COLUMNS", "SCORE", "Column"]

SCORE = "normalised_score"


@dataclass(frozen=True)
class Column:
    """A figure with an interval: where it comes from and how it is shown."""

    name: str
    """Of the metric."""
    heading: str
    """In a run's tables."""
    short: str
    """On the boards, above its `note`."""
    note: str
    statistic: Statistic
    scale: float
    digits: int
    higher_is_better: bool

    def text(self, value: float) -> str:
        """Return a value as it is shown."""
        return f"{value * self.scale:z.{self.digits}f}"

    def interval(self, found: Estimate) -> str:
        """Return an estimate as it is shown: `1.318 [1.312, 1.323]`."""
        return f"{self.text(found.value)} [{self.text(found.low)}, {self.text(found.high)}]"


COLUMNS = (
    Column(SCORE, "score", "Score", "0 random, 1 bound", iqm, 1.0, 3, True),
    Column("utility_per_task", "utility per task", "Utility", "per task", mean, 1.0, 3, True),
    Column(
        "server_crash_rate",
        "server crashes (%)",
        "Crashes",
        "per 100 tasks",
        mean,
        100.0,
        2,
        higher_is_better=False,
    ),
    Column("lost_fraction", "tasks lost (%)", "Lost", "% of tasks", mean, 100.0, 2, False),
    Column("latency_p95_s", "p95 latency (s)", "p95 latency", "s", mean, 1.0, 0, False),
)
