"""The figure of scores with their intervals, and what all figures share.

Seaborn and matplotlib are loaded when one is drawn, not before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from edge_marl.benchmarks import style
from edge_marl.benchmarks.stats import MIN_RUNS
from edge_marl.benchmarks.tables import Row, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["canvas", "score_figure", "short_name", "with_score"]

ROW_IN = 0.4
FRAME_IN = 0.95
LEGEND_IN = 0.35
LONGEST_NAME = 28
"""Characters of an agent's name that are shown."""
DOTS_BELOW = 0.27
"""The dots' distance below the row's interval, in rows: on one line they would hide each other."""


def score_figure(panels: list[tuple[Table, list[Row]]]) -> Figure:
    """Return a figure of the scores of tables' rows, all of which have one."""
    from matplotlib.figure import Figure

    heights = [ROW_IN * len(rows) + FRAME_IN for _, rows in panels]
    with canvas():
        size = (style.WIDTH_IN, sum(heights) + LEGEND_IN)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)
        for axes, (table, rows) in zip(grid[:, 0], panels, strict=True):
            _draw_panel(axes, table, rows)
        _add_legend(figure, [row for _, rows in panels for row in rows])
    return figure


@contextmanager
def canvas() -> Iterator[None]:
    """Draw and save in the one style, without leaving a trace in matplotlib's settings."""
    import seaborn as sns
    from matplotlib import rc_context

    with rc_context({**sns.axes_style("white"), **style.RC}):
        yield


def short_name(name: str) -> str:
    """Return a name that leaves room for the figure: of a file its last part, cut from the left."""
    name = name.rsplit("/", maxsplit=1)[-1]
    return name if len(name) <= LONGEST_NAME else "…" + name[1 - LONGEST_NAME :]


def with_score(table: Table) -> list[Row]:
    """Return the rows of the agents that have a score."""
    return [row for row in table.rows if "normalised_score" in row.estimates]


def _draw_panel(axes: Axes, table: Table, rows: list[Row]) -> None:
    import seaborn as sns

    dots = {
        "score": [score for row in rows for score in row.scores.mean(axis=0)],
        "place": [i + DOTS_BELOW for i, row in enumerate(rows) for _ in row.scores[0]],
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
    for place, row in enumerate(rows):
        found = row.estimates["normalised_score"]
        axes.errorbar(
            found.value,
            place,
            # A percentile interval of a skewed sample may lie beside its point.
            xerr=[[max(found.value - found.low, 0.0)], [max(found.high - found.value, 0.0)]],
            **style.INTERVAL,
            **(style.LEARNED if row.agent.learns else style.HEURISTIC),
        )
        text = f"{found.value:z.3f} [{found.low:z.3f}, {found.high:z.3f}]"
        axes.text(1.02, place, text, transform=axes.get_yaxis_transform(), va="center", size=8.5)
    for anchor in (0.0, 1.0):
        axes.axvline(anchor, zorder=0, **style.ANCHOR)
    axes.set_yticks(range(len(rows)), [short_name(row.name) for row in rows])
    axes.set_ylim(len(rows) - 0.45, -0.55)
    axes.margins(x=0.03)
    axes.set_title(table.label)
    axes.set_xlabel("normalised score (0 = random dispatch, 1 = hindsight bound)")
    axes.set_ylabel("")


def _add_legend(figure: Figure, rows: list[Row]) -> None:
    from matplotlib.lines import Line2D

    kinds = [("learned", style.LEARNED)] if any(row.agent.learns for row in rows) else []
    if not all(row.agent.learns for row in rows):
        kinds.append(("heuristic", style.HEURISTIC))
    line: dict[str, Any] = {k: v for k, v in style.INTERVAL.items() if not k.startswith("cap")}
    handles = [
        Line2D([], [], label=f"{label}: IQM, 95 % interval", **line, **kind)
        for label, kind in kinds
    ]
    dot: dict[str, Any] = {"marker": "o", "linestyle": "", "markersize": 2.6, "color": "0.6"}
    handles.append(Line2D([], [], label="one test workload", **dot))
    if any(row.has_few_runs for row in rows):
        handles.append(Line2D([], [], label=f"† fewer than {MIN_RUNS} runs", linestyle=""))
    if any(row.runs.holes for row in rows):
        handles.append(Line2D([], [], label="‡ runs missing", linestyle=""))
    columns = len(handles) if len(handles) < 5 else 3
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, columnspacing=1.2)
