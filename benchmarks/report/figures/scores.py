"""The figure of scores with their intervals, and what all figures share.

Seaborn and matplotlib are loaded when one is drawn, not before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_marl.benchmarks.report.columns import SCORE
from edge_marl.benchmarks.report.figures import style
from edge_marl.benchmarks.report.intervals import Estimate, FloatArray
from edge_marl.benchmarks.report.tables import Row, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["ScoreLine", "canvas", "panels_of", "score_figure", "short_name", "with_score"]

COLUMNS = 3
PANEL_IN = 1.6
ROW_IN = 0.4
FRAME_IN = 0.95
LEGEND_IN = 0.35
LONGEST_NAME = 28
"""Characters of an agent's name that are shown."""
DOTS_BELOW = 0.27
"""The dots' distance below the row's interval, in rows: on one line they would hide each other."""


@dataclass(frozen=True, eq=False)
class ScoreLine:
    """What one line of the figure of scores shows."""

    name: str
    learns: bool
    score: Estimate
    dots: FloatArray
    """Scores on single workloads, or in single scenarios."""


def score_figure(title: str, lines: list[ScoreLine], dot: str, remarks: list[str]) -> Figure:
    """Return a figure of scores with their intervals.

    Args:
        title: what they are scores in.
        lines: from the top.
        dot: what a dot is.
        remarks: what the names' marks mean.
    """
    from matplotlib.figure import Figure

    with canvas():
        size = (style.WIDTH_IN, ROW_IN * len(lines) + FRAME_IN + LEGEND_IN)
        figure = Figure(figsize=size, layout="constrained")
        _draw_scores(figure.subplots(), title, lines)
        _add_legend(figure, lines, dot, remarks)
    return figure


def panels_of(count: int) -> tuple[Figure, list[Axes]]:
    """Return a figure with as many panels, row by row; those left over are switched off."""
    from matplotlib.figure import Figure

    columns = min(COLUMNS, count)
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(style.WIDTH_IN, PANEL_IN * rows + 0.5), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes in panels[count:]:
        axes.axis("off")
    for axes in panels[max(0, count - columns) : count]:  # the lowest of each column
        axes.tick_params(labelbottom=True)
    return figure, list(panels[:count])


@contextmanager
def canvas() -> Iterator[None]:
    """Draw and save in the one style: no setting of the user's takes part, and none is changed."""
    import seaborn as sns
    from matplotlib import rc_context, rcdefaults, rcParams

    with rc_context():
        rcdefaults()
        rcParams.update({**sns.axes_style("white"), **style.RC})
        yield


def short_name(name: str) -> str:
    """Return a name that leaves room for the figure: of a file its last part, cut from the left."""
    name = name.rsplit("/", maxsplit=1)[-1]
    return name if len(name) <= LONGEST_NAME else "…" + name[1 - LONGEST_NAME :]


def with_score(table: Table) -> list[Row]:
    """Return the rows of the agents that have a score."""
    return [row for row in table.rows if SCORE in row.estimates]


def _draw_scores(axes: Axes, title: str, lines: list[ScoreLine]) -> None:
    import seaborn as sns

    dots = {
        "score": [score for line in lines for score in line.dots],
        "place": [i + DOTS_BELOW for i, line in enumerate(lines) for _ in line.dots],
    }
    sns.stripplot(
        dots,
        x="score",
        y="place",
        orient="y",
        native_scale=True,
        jitter=False,
        ax=axes,
        **style.DOTS,
    )
    reach = style.reach([*dots["score"], *(line.score.value for line in lines)])
    for place, line in enumerate(lines):
        found = line.score
        axes.errorbar(
            found.value,
            place,
            xerr=found.within(*reach).arms,
            **style.INTERVAL,
            **(style.LEARNED if line.learns else style.HEURISTIC),
        )
        text = f"{found.value:z.3f} [{found.low:z.3f}, {found.high:z.3f}]"
        axes.text(1.02, place, text, transform=axes.get_yaxis_transform(), va="center", size=8.5)
    for anchor in (0.0, 1.0):
        axes.axvline(anchor, zorder=0, **style.ANCHOR)
    axes.set_yticks(range(len(lines)), [short_name(line.name) for line in lines])
    axes.set_ylim(len(lines) - 0.45, -0.55)
    axes.margins(x=0.03)
    axes.set_title(title)
    axes.set_xlabel("normalised score (0 = random dispatch, 1 = hindsight bound)")
    axes.set_ylabel("")


def _add_legend(figure: Figure, lines: list[ScoreLine], dot: str, remarks: list[str]) -> None:
    from matplotlib.lines import Line2D

    kinds = [("learned", style.LEARNED)] if any(line.learns for line in lines) else []
    if not all(line.learns for line in lines):
        kinds.append(("heuristic", style.HEURISTIC))
    line: dict[str, Any] = {k: v for k, v in style.INTERVAL.items() if not k.startswith("cap")}
    handles = [
        Line2D([], [], label=f"{label}: IQM, 95 % interval", **line, **kind)
        for label, kind in kinds
    ]
    look: dict[str, Any] = {"marker": "o", "linestyle": "", "markersize": 2.6, "color": "0.6"}
    handles.append(Line2D([], [], label=dot, **look))
    handles += [Line2D([], [], label=remark, linestyle="") for remark in remarks]
    columns = len(handles) if len(handles) < 5 else 3
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, columnspacing=1.2)
