"""Figures of the site as SVG: drawn in the page, so that they follow its colours, light and dark.

Only attributes and classes, no styles: the pages' content security policy allows none in line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from edge_marl.benchmarks.report import style
from edge_marl.benchmarks.report.columns import COLUMNS, Column
from edge_marl.benchmarks.report.intervals import Estimate
from edge_marl.leaderboards.boards.board import Board, BoardRow

__all__ = ["Scale", "interval", "score_scale", "trade_off", "workload_scores"]

LABELS = 8
"""Points of the scatter plot that get their name, as far as there is room."""
BESIDE = (
    *((9, 4, "start"), (-9, 4, "end"), (9, -9, "start")),
    *((9, 17, "start"), (-9, -9, "end"), (-9, 17, "end")),
)
"""Where a point's name may stand, in order of preference."""


@dataclass(frozen=True)
class Scale:
    """A linear axis from values to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the place of a value, to a tenth of a pixel; at an end if it is beyond."""
        share = min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, most: int) -> list[float]:
        """Return round values between the ends, at most so many."""
        rough = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(k * step, 10) for k in range(first, last + 1)]


def _scale(values: Sequence[float], start: float, end: float) -> Scale:
    low, high = min(values), max(values)
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return Scale(low - margin, high + margin, start, end)


def _shown(estimates: Sequence[Estimate], factor: float = 1.0) -> list[float]:
    """Return the ends of intervals that an axis has room for; those beyond are cut at its ends."""
    reach = style.reach([e.value for e in estimates])
    cut = [e.within(*reach) for e in estimates]
    return [factor * x for e in cut for x in (e.low, e.high)]


def score_scale(board: Board, width: float = 170.0) -> Scale:
    """Return the common axis of a board's intervals."""
    estimates = [row.estimates[board.ranked_by.name] for row in board.rows]
    return _scale(_shown(estimates), 4.0, width - 4.0)


def interval(estimate: Estimate, scale: Scale, learned: bool) -> Markup:
    """Return one row of a forest plot, an interval with its point."""
    low, value, high = scale(estimate.low), scale(estimate.value), scale(estimate.high)
    width = scale.end + scale.start
    return Markup(
        f'<svg class="interval" viewBox="0 0 {width:g} 16" width="{width:g}" height="16" '
        'aria-hidden="true" focusable="false">'
        f'<line class="axis" x1="0" y1="8" x2="{width:g}" y2="8"/>'
        f'<g class="{_kind(learned)}"><path class="whisker" d="M{low:g} 8H{high:g}M{low:g} 4.5v7'
        f'M{high:g} 4.5v7"/>{_mark(value, 8, learned, 2.8)}</g></svg>'
    )


def _kind(learned: bool) -> str:
    return "learned" if learned else "heuristic"


def _mark(x: float, y: float, learned: bool, size: float = 4.0) -> str:
    """A disc for what is learned, a hollow square for heuristics: no colour is needed to tell."""
    if learned:
        return f'<circle cx="{x:g}" cy="{y:g}" r="{size:g}"/>'
    half = size - 0.5
    return f'<rect x="{x - half:g}" y="{y - half:g}" width="{2 * half:g}" height="{2 * half:g}"/>'


def trade_off(board: Board) -> Markup:
    """Return the scatter plot of utility against crashes, with both intervals."""
    rows = [r for r in board.rows if {"utility_per_task", "server_crash_rate"} <= set(r.estimates)]
    up, across = COLUMNS[1:3]
    width, height = 720.0, 380.0
    crashes = [r.estimates[across.name] for r in rows]
    utility = [r.estimates[up.name] for r in rows]
    x = _scale(_shown(crashes, across.scale), 58, width - 24)
    y = _scale(_shown(utility, up.scale), height - 46, 16)
    parts = [_grid(x, y, "server crashes per 100 tasks (fewer is better)", "utility per task")]
    points = [
        (x(c.value * across.scale), y(u.value * up.scale))
        for c, u in zip(crashes, utility, strict=True)
    ]
    boxes = [(px - 5, py - 5, px + 5, py + 5) for px, py in points]
    for row, c, u in reversed(list(zip(rows, crashes, utility, strict=True))):  # the best on top
        parts.append(_point(row, (c, across), (u, up), (x, y)))
    for row, (px, py) in list(zip(rows, points, strict=True))[:LABELS]:
        parts.append(_label(row.submission.agent.full_name, px, py, width, boxes))
    return Markup(
        f'<svg class="figure" viewBox="0 0 {width:g} {height:g}" role="img" '
        'aria-labelledby="trade-off-title"><title id="trade-off-title">Utility per task against '
        f"server crashes of {len(rows)} submissions; the table above has the numbers</title>"
        f"{''.join(parts)}</svg>"
    )


def _point(
    row: BoardRow,
    crashes: tuple[Estimate, Column],
    utility: tuple[Estimate, Column],
    axes: tuple[Scale, Scale],
) -> str:
    (c, across), (u, up), (x, y) = crashes, utility, axes
    px, py = x(c.value * across.scale), y(u.value * up.scale)
    learned = row.submission.agent.kind == "learner"
    cross = (
        f"M{x(c.low * across.scale):g} {py:g}H{x(c.high * across.scale):g}"
        f"M{px:g} {y(u.low * up.scale):g}V{y(u.high * up.scale):g}"
    )
    text = (
        f"{row.submission.agent.full_name}: utility {up.text(u.value)}, "
        f"{across.text(c.value)} crashes per 100 tasks, {row.level}"
    )
    return (
        f'<g class="{_kind(learned)}"><title>{escape(text)}</title>'
        f'<path class="whisker thin" d="{cross}"/>{_mark(px, py, learned)}</g>'
    )


def _label(
    name: str, px: float, py: float, width: float, taken: list[tuple[float, float, float, float]]
) -> str:
    """Return a point's name beside it, or nothing where there is no room."""
    name = name if len(name) <= 24 else name[:23] + "…"
    length = 6.7 * len(name)
    for dx, dy, anchor in BESIDE:
        left = px + dx if anchor == "start" else px + dx - length
        box = (left, py + dy - 10, left + length, py + dy + 3)
        free = all(box[2] < b[0] or box[0] > b[2] or box[3] < b[1] or box[1] > b[3] for b in taken)
        if free and left > 58 and box[2] < width:
            taken.append(box)
            return _text("name", px + dx, py + dy, anchor, name)
    return ""


def _text(kind: str, x: float, y: float, anchor: str, text: object) -> str:
    place = f'x="{x:g}" y="{y:g}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {place}>{escape(text)}</text>'


def _grid(x: Scale, y: Scale, across: str, up: str) -> str:
    parts = []
    for tick in y.ticks(6):
        ends = f'x1="{x.start:g}" x2="{x.end:g}" y1="{y(tick):g}" y2="{y(tick):g}"'
        parts.append(f'<line class="grid" {ends}/>')
        parts.append(_text("tick", x.start - 7, y(tick) + 4, "end", f"{tick:g}"))
    for tick in x.ticks(8):
        ends = f'x1="{x(tick):g}" x2="{x(tick):g}" y1="{y.end:g}" y2="{y.start:g}"'
        parts.append(f'<line class="grid" {ends}/>')
        parts.append(_text("tick", x(tick), y.start + 17, "middle", f"{tick:g}"))
    parts.append(_text("axis-name", (x.start + x.end) / 2, y.start + 37, "middle", across))
    turned = f'transform="translate(13 {(y.start + y.end) / 2:g}) rotate(-90)"'
    parts.append(f"<g {turned}>{_text('axis-name', 0, 0, 'middle', up)}</g>")
    return "".join(parts)


def workload_scores(board: Board, row: BoardRow) -> Markup:
    """Return every workload's result, sorted; a dot per run, a line through the means."""
    values = row.result.values(board.ranked_by)
    values = values[:, np.argsort(values.mean(axis=0), kind="stable")]
    width, height = 720.0, 250.0
    x = Scale(0.0, values.shape[1] - 1.0, 58, width - 14)
    y = _scale([float(values.min()), float(values.max())], height - 46, 12)
    name = board.ranked_by.name.replace("_", " ")
    parts = [_grid(x, y, f"{row.workloads} workloads, from the hardest to the easiest", name)]
    learned = row.submission.agent.kind == "learner"
    if len(values) > 1:
        dots = "".join(
            f'<circle cx="{x(k):g}" cy="{y(float(v)):g}" r="2"/>'
            for run in values
            for k, v in enumerate(run)
        )
        parts.append(f'<g class="dots">{dots}</g>')
    means = [float(v) for v in values.mean(axis=0)]
    line = "L".join(f"{x(k):g} {y(v):g}" for k, v in enumerate(means))
    parts.append(f'<g class="{_kind(learned)}"><path class="line" d="M{line}"/></g>')
    return Markup(
        f'<svg class="figure" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'aria-labelledby="workloads-title"><title id="workloads-title">{name} on each '
        f"{row.workloads} workload, from {min(means):.3f} to {max(means):.3f}; the table below has "
        f"the numbers</title>{''.join(parts)}</svg>"
    )
