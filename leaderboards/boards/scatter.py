"""Scatter plots of a board, on axes that follow the bulk of its entries.

An entry far from the others stands at the rim, with an arrow that points to where it is and its
figures beside its name: one policy that collapsed does not press all others into a corner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from edge_marl.benchmarks.report.columns import Column
from edge_marl.benchmarks.report.figures.style import bulk
from edge_marl.benchmarks.report.intervals import Estimate
from edge_marl.leaderboards.boards.board import Board, BoardRow
from edge_marl.leaderboards.boards.drawing import Frame, grid, kind_of, mark, picture, text
from edge_marl.leaderboards.boards.scales import Scale, scale_of

__all__ = ["trade_off"]

FRAME = Frame(58.0, 886.0, 414.0, 12.0)
RIM = 48.0
"""Room for what is beyond an axis, where anything is: what is further out stands further out."""
CHARACTER = 6.9
"""Width of a character of a name at most, in pixels."""
LONGEST = 34
"""Characters of a name."""
NEAR = (
    *((9, 4, "start"), (-9, 4, "end"), (9, -9, "start")),
    *((9, 17, "start"), (-9, -9, "end"), (-9, 17, "end")),
)
"""Where a point's name may stand, in order of preference."""
FAR = tuple(
    (dx, dy + 4, "start" if dx > 0 else "end")
    for dy in (-24, 24, -40, 40, -56, 56, -72, -88, -104, -120)
    for dx in (22, -22)
)
"""And where it may with a line to it."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class _Axis:
    """A column with where its values are drawn."""

    column: Column
    scale: Scale
    beyond: tuple[list[float], list[float]]
    """Values that are beyond its lower and its upper end, the nearest first."""

    def place(self, found: Estimate) -> tuple[float, int, tuple[float, float] | None]:
        """Return where an estimate is drawn; which way it is beyond the axis, in pixels, or 0; and
        the ends of its interval, where it is not."""
        value, low, high = (self.column.scale * v for v in (found.value, found.low, found.high))
        if side := self.scale.beyond(value):
            way = side * (1 if self.scale.end > self.scale.start else -1)
            others = self.beyond[side > 0]
            out = (others.index(value) + 1) / (len(others) + 1)
            return round(self.scale(value) + out * RIM * way, 1), way, None
        return self.scale(value), 0, (self.scale(low), self.scale(high))


@dataclass(frozen=True)
class _Point:
    row: BoardRow
    label: str
    x: float
    y: float
    arrows: tuple[int, int]
    cross: str
    figures: str

    @property
    def name(self) -> str:
        """What stands beside it."""
        name = self.label if len(self.label) <= LONGEST else self.label[: LONGEST - 1] + "…"
        return f"{name} ({self.figures})" if any(self.arrows) else name


def trade_off(board: Board, across: str = "server_crash_rate") -> Markup:
    """Return the scatter plot of utility against another metric, with both intervals.

    Args:
        board: whose ranked entries are shown.
        across: column of the horizontal axis.
    """
    columns = {column.name: column for column in board.columns}
    names = (across, "utility_per_task")
    rows = [row for row in board.rows if set(names) <= set(row.estimates)]
    x, y = (
        _axis(columns[name], [row.estimates[name] for row in rows], *ends)
        for name, ends in zip(names, (FRAME[:2], FRAME[2:4]), strict=True)
    )
    points = [_point(row, board.label_of(row), x, y) for row in rows]
    what = f"{x.column.short.lower()} ({x.column.note})"
    better = "more" if x.column.higher_is_better else "fewer"
    title = (
        f"Utility per task against {what} of {len(rows)} submissions; the table above has the "
        "numbers"
    )
    parts = [grid(FRAME, x.scale, y.scale, (f"{what}: {better} is better", "utility per task"))]
    parts += [_drawn(point) for point in reversed(points)]  # the best on top
    return picture(FRAME, f"trade-off-{across}", title, parts + _labels(points))


def _axis(column: Column, found: Sequence[Estimate], start: float, end: float) -> _Axis:
    shown = [Estimate(*(column.scale * v for v in (e.value, e.low, e.high))) for e in found]
    whole = scale_of(bulk(shown), start, end)
    least = column.scale * column.limits[0] - 0.02 * (whole.high - whole.low)
    scale = Scale(max(whole.low, least), whole.high, start, end)
    below = sorted((e.value for e in shown if scale.beyond(e.value) < 0), reverse=True)
    above = sorted(e.value for e in shown if scale.beyond(e.value) > 0)
    rim = RIM if end > start else -RIM
    return _Axis(
        column,
        Scale(scale.low, scale.high, start + rim * bool(below), end - rim * bool(above)),
        (below, above),
    )


def _point(row: BoardRow, label: str, x: _Axis, y: _Axis) -> _Point:
    one, two = row.estimates[x.column.name], row.estimates[y.column.name]
    (px, right, wide), (py, down, tall) = x.place(one), y.place(two)
    cross = f"M{wide[0]:g} {py:g}H{wide[1]:g}" if wide else ""
    cross += f"M{px:g} {tall[0]:g}V{tall[1]:g}" if tall else ""
    figures = f"{x.column.text(one.value)}, {y.column.text(two.value)}"
    return _Point(row, label, px, py, (right, down), cross, figures)


def _drawn(point: _Point) -> str:
    learned = point.row.submission.agent.kind == "learner"
    x, y, (right, down) = point.x, point.y, point.arrows
    arrows = ""
    if right:
        arrows += f"M{x + 7 * right:g} {y - 4:g}l{5 * right} 4l{-5 * right} 4"
    if down:
        arrows += f"M{x - 4:g} {y + 7 * down:g}l4 {5 * down}l4 {-5 * down}"
    told = f"{point.label}: {point.figures}, {point.row.level}"
    return (
        f'<g class="{kind_of(learned)}"><title>{escape(told)}</title>'
        f'<path class="whisker thin" d="{point.cross}"/>'
        + (f'<path class="arrow" d="{arrows}"/>' if arrows else "")
        + f"{mark(x, y, learned)}</g>"
    )


def _labels(points: Sequence[_Point]) -> list[str]:
    """Return the names that there is room for, the best entry's first."""
    taken: list[Box] = [(p.x - 6, p.y - 6, p.x + 6, p.y + 6) for p in points]
    return [_label(point, taken) for point in points]


def _label(point: _Point, taken: list[Box]) -> str:
    length = CHARACTER * len(point.name)
    for dx, dy, anchor in (*NEAR, *FAR):
        px, py = point.x + dx, point.y + dy
        left = px if anchor == "start" else px - length
        box = (left - 2, py - 10, left + length + 2, py + 3)
        inside = (
            FRAME.left < box[0] and box[2] < FRAME.size[0] and box[1] > 2 and box[3] < FRAME.bottom
        )
        if inside and all(_apart(box, other) for other in taken):
            taken.append(box)
            line = ""
            if abs(dx) > 9:
                ends = f'x1="{point.x:g}" y1="{point.y:g}" x2="{px - dx / 11:g}" y2="{py - 4:g}"'
                line = f'<line class="leader" {ends}/>'
            return line + text("name", px, py, anchor, point.name)
    return ""


def _apart(one: Box, two: Box) -> bool:
    return one[2] < two[0] or one[0] > two[2] or one[3] < two[1] or one[1] > two[3]
