"""The figures of a result that tables and boards show, and how."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge_marl.benchmarks.report.intervals import Estimate, FloatArray, Statistic, iqm, mean
from edge_marl.benchmarks.report.stats import estimate
from edge_marl.scenario import Scenario

__all__ = ["COLUMNS", "GAME_COLUMNS", "PRICE", "PRICE_NOTE", "SCORE", "Column", "columns_of"]

SCORE = "normalised_score"
PRICE = "price_of_decentralisation"
PRICE_NOTE = (
    "Herding: slots in which dispatches of two or more gateways met in one overload, of slots with "
    "a dispatch. Price of decentralisation: how much less utility per task than {reference}, which "
    "decides centrally or in turn, on the same workloads, as a share of what that gets in the mean."
)
"""Below a table of a game."""


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
    limits: tuple[float, float] = (-math.inf, math.inf)
    """The lowest and the highest that the metric can be."""

    def estimate(self, values: FloatArray) -> Estimate:
        """Return the figure of (runs, workloads), with an interval inside what the metric can be.

        Raises:
            ValueError: if `values` is no matrix, empty, or not all finite.
        """
        return estimate(values, self.statistic).within(*self.limits)

    def text(self, value: float) -> str:
        """Return a value as it is shown."""
        return f"{value * self.scale:z.{self.digits}f}"

    def interval(self, found: Estimate) -> str:
        """Return an estimate as it is shown: `1.318 [1.312, 1.323]`."""
        return f"{self.text(found.value)} [{self.text(found.low)}, {self.text(found.high)}]"


COLUMNS = (
    Column(
        SCORE,
        "score",
        "Score",
        "0 random, 1 bound",
        iqm,
        1.0,
        3,
        True,
        limits=(-math.inf, 1.0),  # the bound is one on every policy
    ),
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
        limits=(0.0, math.inf),
    ),
    Column(
        "lost_fraction", "tasks lost (%)", "Lost", "% of tasks", mean, 100.0, 2, False, (0.0, 1.0)
    ),
    Column(
        "latency_p95_s", "p95 latency (s)", "p95 latency", "s", mean, 1.0, 0, False, (0.0, math.inf)
    ),
)

GAME_COLUMNS = (
    Column(
        "herding", "herding (%)", "Herding", "% of slots", mean, 100.0, 1, False, limits=(0.0, 1.0)
    ),
    Column(
        PRICE,
        "price of decentralisation (%)",
        "Price",
        "of decentralisation, %",
        mean,
        100.0,
        1,
        higher_is_better=False,
    ),
)
"""Besides, of games in slots."""


def columns_of(*scenarios: Scenario) -> tuple[Column, ...]:
    """Return the columns that tables of some scenarios have."""
    in_slots = any(scenario.clock.slot_ms for scenario in scenarios)
    return COLUMNS + GAME_COLUMNS if in_slots else COLUMNS
