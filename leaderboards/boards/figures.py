"""Figures of a submission's row and page: its interval, its workloads, its learning curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from edge_marl.benchmarks.report.figures.style import bulk
from edge_marl.benchmarks.report.intervals import Estimate, FloatArray
from edge_marl.leaderboards.boards.board import Board, BoardRow
from edge_marl.leaderboards.boards.drawing import Frame, grid, kind_of, mark, path, picture, text
from edge_marl.leaderboards.boards.scales import Scale, scale_of

__all__ = ["interval", "learning_curve", "learning_curves", "score_scale", "workload_scores"]

FRAME = Frame(58.0, 706.0, 204.0, 12.0)
WITH_NAMES = Frame(58.0, 700.0, 324.0, 12.0, margin=200.0)
SERIES = 8
"""Looks of curves that share a figure, colour and dashes together."""
LINE_HEIGHT = 14.0
ACROSS = ("decisions of training", "utility per task, validation")
LONGEST = 27
"""Characters of a curve's name."""


def score_scale(board: Board, width: float = 96.0) -> Scale:
    """Return the common axis of a board's intervals."""
    estimates = [row.estimates[board.ranked_by.name] for row in board.rows]
    return scale_of(bulk(estimates), 8.0, width - 8.0)


def interval(estimate: Estimate, scale: Scale, learned: bool) -> Markup:
    """Return one row of a forest plot, an interval with its point; an arrow where it goes on."""
    low, value, high = scale(estimate.low), scale(estimate.value), scale(estimate.high)
    width = scale.end + scale.start
    if way := scale.beyond(estimate.value):
        drawn, point = f"M{value:g} 8h{8 * -way}{_end(value, way, way)}", ""
    else:
        ends = ((low, -1, estimate.low), (high, 1, estimate.high))
        drawn = f"M{low:g} 8H{high:g}" + "".join(_end(x, s, scale.beyond(e)) for x, s, e in ends)
        point = mark(value, 8, learned, 2.8)
    return Markup(
        f'<svg class="interval" viewBox="0 0 {width:g} 16" width="{width:g}" height="16" '
        'aria-hidden="true" focusable="false">'
        f'<line class="axis" x1="0" y1="8" x2="{width:g}" y2="8"/>'
        f'<g class="{kind_of(learned)}"><path class="whisker" d="{drawn}"/>{point}</g></svg>'
    )


def _end(x: float, side: int, beyond: int) -> str:
    """Return an end of an interval: a bar, or an arrow to where it is beyond the axis."""
    if not beyond:
        return f"M{x:g} 4.5v7"
    return f"M{x:g} 4.5l{5 * side} 3.5l{-5 * side} 3.5"


def workload_scores(board: Board, row: BoardRow) -> Markup:
    """Return every workload's result, sorted; a dot per run, a line through the means."""
    values = row.result.values(board.ranked_by)
    values = values[:, np.argsort(values.mean(axis=0), kind="stable")]
    x = Scale(0.0, values.shape[1] - 1.0, FRAME.left, FRAME.right)
    y = scale_of([float(values.min()), float(values.max())], FRAME.bottom, FRAME.top)
    name = board.ranked_by.name.replace("_", " ")
    across = f"{row.workloads} workloads, from the hardest to the easiest"
    parts = [grid(FRAME, x, y, (across, name))]
    if len(values) > 1:
        dots = "".join(
            f'<circle cx="{x(k):g}" cy="{y(float(v)):g}" r="2"/>'
            for run in values
            for k, v in enumerate(run)
        )
        parts.append(f'<g class="dots">{dots}</g>')
    means = [float(v) for v in values.mean(axis=0)]
    learned = row.submission.agent.kind == "learner"
    line = path("line", ((x(k), y(v)) for k, v in enumerate(means)))
    parts.append(f'<g class="{kind_of(learned)}">{line}</g>')
    title = (
        f"{name} on each {row.workloads} workload, from {min(means):.3f} to {max(means):.3f}; the "
        "table below has the numbers"
    )
    return picture(FRAME, "workloads-title", title, parts)


class _Curve(NamedTuple):
    """The trainings of an entry, as far as all of them go."""

    row: BoardRow
    decisions: FloatArray
    """(points,)."""
    utility: FloatArray
    """(runs, points), per task on validation workloads."""


def _curve_of(row: BoardRow) -> _Curve | None:
    """Return an entry's learning curve; None where it has none, or an undefined value."""
    curves = [run.curve or () for run in row.submission.runs]
    points = min(map(len, curves))
    utility = [[value for _, value in curve[:points]] for curve in curves]
    known = [[value for value in one if value is not None] for one in utility]
    if points == 0 or known != utility:
        return None
    decisions = np.array([[at for at, _ in curve[:points]] for curve in curves]).mean(axis=0)
    return _Curve(row, decisions, np.array(known))


def learning_curve(row: BoardRow) -> Markup | None:
    """Return the trainings of one entry: a thin line each, a strong one for their mean."""
    curve = _curve_of(row)
    if curve is None:
        return None
    x = Scale(0.0, float(curve.decisions.max()), FRAME.left, FRAME.right)
    y = scale_of([float(v) for v in curve.utility.ravel()], FRAME.bottom, FRAME.top)
    runs = [_line_of("run", curve.decisions, one, x, y) for one in curve.utility]
    mean = _line_of("line", curve.decisions, curve.utility.mean(axis=0), x, y)
    parts = [grid(FRAME, x, y, ACROSS, _thousands), f'<g class="learned">{"".join(runs)}{mean}</g>']
    return picture(FRAME, "curve-title", f"Learning curves of {len(runs)} runs", parts)


def learning_curves(rows: Sequence[BoardRow]) -> Markup | None:
    """Return the mean learning curves of several entries with their names; None where fewer than
    two have one."""
    curves = [curve for row in rows if (curve := _curve_of(row)) is not None]
    if len(curves) < 2:
        return None
    means = [curve.utility.mean(axis=0) for curve in curves]
    x = Scale(0.0, max(float(c.decisions.max()) for c in curves), WITH_NAMES.left, WITH_NAMES.right)
    values = [float(v) for mean in means for v in mean]
    y = scale_of(bulk([Estimate(v, v, v) for v in values]), WITH_NAMES.bottom, WITH_NAMES.top)
    parts = [grid(WITH_NAMES, x, y, ACROSS, _thousands)]
    ends = sorted((y(float(mean[-1])), k) for k, mean in enumerate(means))
    free = WITH_NAMES.top
    for end, k in ends:
        at = max(end + 4, free)
        free = at + LINE_HEIGHT
        line = _line_of("line", curves[k].decisions, means[k], x, y)
        name = curves[k].row.submission.agent.full_name
        name = name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
        label = text("name", WITH_NAMES.right + 10, at, "start", name)
        parts.append(f'<g class="series-{k % SERIES}">{line}{label}</g>')
    size = curves[0].row.submission.budget_class
    title = f"Mean learning curves of {len(curves)} entries of class {size}"
    return picture(WITH_NAMES, f"curves-{size}", title, parts)


def _line_of(kind: str, decisions: FloatArray, values: FloatArray, x: Scale, y: Scale) -> str:
    places = zip(decisions, values, strict=True)
    return path(kind, ((x(float(at)), y(float(v))) for at, v in places))


def _thousands(decisions: float) -> str:
    return f"{decisions:g}" if decisions < 1000 else f"{decisions / 1000:g}k"
