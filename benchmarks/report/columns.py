"""The figures of a result that tables and boards show, and how."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from edge_marl.benchmarks.report.intervals import Estimate, FloatArray, Statistic, iqm, mean
from edge_marl.benchmarks.report.stats import estimate
from edge_marl.scenario import Scenario

__all__ = [
    "COLUMNS",
    "GAME_COLUMNS",
    "PRICE",
    "PRICE_NOTE",
    "SCORE",
    "Column",
    "columns_of",
    "duration",
    "fitting",
]

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

    def spread(self, found: Estimate) -> str:
        """Return an interval as it is shown below its value: `± 0.006`, or its ends where it does
        not reach as far on both sides."""
        below, above = self.text(found.value - found.low), self.text(found.high - found.value)
        return f"± {above}" if below == above else self.ends(found)

    def ends(self, found: Estimate) -> str:
        """Return an interval by its ends: `1.312 to 1.323`."""
        return f"{self.text(found.low)} to {self.text(found.high)}"


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


TIMES = (("h", 3600.0), ("min", 60.0), ("s", 1.0))
"""Units of columns of times, in seconds; one is taken from two of it on."""


def fitting(
    columns: Iterable[Column], rows: Iterable[Mapping[str, Estimate]]
) -> tuple[Column, ...]:
    """Return columns, those of times in the one unit that fits the largest value of some rows.

    Args:
        columns: of times are those whose name ends in `_s`.
        rows: estimates by column name.
    """
    found = list(rows)

    def fit(column: Column) -> Column:
        values = [row[column.name].value for row in found if column.name in row]
        return _in_unit(column, max(values)) if values and column.name.endswith("_s") else column

    return tuple(map(fit, columns))


def _in_unit(column: Column, largest: float) -> Column:
    unit, length = next((one for one in TIMES if largest >= 2 * one[1]), TIMES[-1])
    shown = largest / length
    digits = 2 if shown < 100 else 1 if shown < 1000 else 0
    heading = column.heading.replace("(s)", f"({unit})")
    return replace(column, heading=heading, note=unit, scale=1 / length, digits=digits)


def duration(seconds: float) -> str:
    """Return a time in the unit that fits it: `41 s`, `12 min`, `1.3 h`."""
    unit, length = next((one for one in TIMES if seconds >= 1.5 * one[1]), TIMES[-1])
    shown = seconds / length
    return f"{shown:.1f} {unit}" if shown < 9.95 else f"{shown:,.0f} {unit}"
