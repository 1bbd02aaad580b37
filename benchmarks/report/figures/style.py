"""The one style of all figures: sizes, fonts, and marks that need no colour to be told apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_marl.benchmarks.report.intervals import Estimate

__all__ = [
    "ANCHOR",
    "DOTS",
    "HEURISTIC",
    "INTERVAL",
    "LEARNED",
    "OTHERS",
    "RC",
    "WIDTH_IN",
    "bulk",
    "line",
    "reach",
]

WIDTH_IN = 7.5
DPI = 160

RC: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": "0.3",
    "axes.grid": True,
    "axes.grid.axis": "x",
    "axes.labelsize": 9.5,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "figure.dpi": DPI,
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture on every machine
    "grid.color": "0.9",
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "savefig.dpi": DPI,
    "xtick.bottom": True,
    "xtick.labelsize": 9,
    "ytick.labelsize": 10,
    "ytick.left": False,
}
"""What differs from seaborn's "white" style."""

# Learned and heuristic differ in shape and in filling, so that greyscale and colour-blind eyes can
# tell them apart.
LEARNED: dict[str, Any] = {"marker": "o", "color": "#0b3c5d", "markerfacecolor": "#0b3c5d"}
HEURISTIC: dict[str, Any] = {"marker": "s", "color": "#9a4d00", "markerfacecolor": "white"}
INTERVAL: dict[str, Any] = {
    "linewidth": 1.8,
    "capsize": 5,
    "capthick": 1.8,
    "markersize": 4.5,
    "markeredgewidth": 1.3,
}
DOTS: dict[str, Any] = {"color": "0.6", "size": 2.6, "alpha": 0.8}
ANCHOR: dict[str, Any] = {"color": "0.45", "linewidth": 1.0, "linestyle": (0, (4, 2))}
OTHERS: dict[str, Any] = {"color": "0.82", "linewidth": 0.8, "zorder": 1}
"""Of the lines that a panel does not speak of."""

COLOURS = ("#0b3c5d", "#c8641b", "#3f7f4f", "#8e3563", "#4a90b8", "#7a6a1f", "#5b4b9a", "#333333")
MARKERS = "osD^vPX*<>ph"
DASHES = ("solid", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))


def line(place: int, learns: bool) -> dict[str, Any]:
    """Return the look of the agent at a place: shape, dashes and filling tell it in greyscale."""
    colour = COLOURS[place % len(COLOURS)]
    return {
        "color": colour,
        "linestyle": DASHES[place % len(DASHES)],
        "linewidth": 1.5,
        "marker": MARKERS[place % len(MARKERS)],
        "markersize": 5,
        "markeredgewidth": 1.2,
        "markerfacecolor": colour if learns else "white",
    }


FENCE = 1.5
"""Quartile ranges from the quartiles on, from where a value is beyond the bulk (Tukey)."""
LEAST = 0.01
"""Of the distance of the outermost two: as far a value may be in any case, where many are equal."""
FEWEST = 5
"""Values of which some may be beyond the bulk; of fewer, all are the bulk."""


def bulk(estimates: Sequence[Estimate]) -> list[float]:
    """Return the values that an axis is for, with their intervals as far as these are near.

    A value far from the middle half of them is none: an axis for it would press all others
    together. An interval is cut where it reaches further than half of what the values take up.
    """
    values = np.array([found.value for found in estimates])
    kept = np.ones(len(values), dtype=bool)
    if len(values) >= FEWEST:
        first, third = np.quantile(values, (0.25, 0.75))
        room = max(FENCE * (third - first), LEAST * float(np.ptp(values)))
        kept = (values >= first - room) & (values <= third + room)
    low, high = float(values[kept].min()), float(values[kept].max())
    room = 0.5 * (high - low) or math.inf
    cut = [e.within(low - room, high + room) for e, k in zip(estimates, kept, strict=True) if k]
    return [x for e in cut for x in (e.low, e.high)]


def reach(values: Sequence[float]) -> tuple[float, float]:
    """Return how far intervals are drawn: to either side, by as much as their values are apart.

    Two runs that disagree have one so wide that a figure of it would show nothing else.
    """
    lowest, highest = min(values), max(values)
    room = (highest - lowest) or math.inf
    return lowest - room, highest + room
