"""The figures of a report, each as SVG with its caption; equal tables give equal bytes."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_marl.benchmarks.plan.cells import file_part
from edge_marl.benchmarks.report.columns import SCORE
from edge_marl.benchmarks.report.comparisons import (
    THRESHOLDS,
    Analysis,
    learning_curve,
    performance_profile,
)
from edge_marl.benchmarks.report.figures import style
from edge_marl.benchmarks.report.figures.scores import (
    ScoreLine,
    canvas,
    panels_of,
    score_figure,
    short_name,
    with_score,
)
from edge_marl.benchmarks.report.intervals import Band
from edge_marl.benchmarks.report.overall import Aggregate, Generalisation, GeneralisationRow
from edge_marl.benchmarks.report.stats import MIN_RUNS
from edge_marl.benchmarks.report.tables import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Drawing", "draw_aggregate", "draw_all", "draw_generalisation", "to_svg"]

MOST_LINES = 8
"""Lines that one pair of axes can hold; more get a panel each, the others in grey behind."""
FEW_RUNS = f"† fewer than {MIN_RUNS} runs"
MISSING = "‡ runs missing"


@dataclass(frozen=True)
class Drawing:
    """A figure of one scenario."""

    name: str
    title: str
    caption: str
    svg: str


@dataclass(frozen=True, eq=False)
class _Line:
    place: int
    """Of the agent in the table, which gives it the same look in all figures."""
    row: Row
    x: Any
    band: Band
    markers: bool
    intervals: bool


def draw_all(analysis: Analysis) -> list[Drawing]:
    """Return the figures of a scenario, those that its records have data for."""
    return list(_drawings(analysis))


def draw_aggregate(over: Aggregate) -> list[Drawing]:
    """Return the figure of scores over scenarios, if there is a score."""
    if not over.rows:
        return []
    lines = [ScoreLine(row.name, row.agent.learns, row.score, row.means) for row in over.rows]
    remarks = [FEW_RUNS] if any(row.has_few_runs for row in over.rows) else []
    figure = score_figure(over.label, lines, "one scenario", remarks)
    caption = (
        "Interquartile mean over runs and scenarios with its 95 % interval; dots are the means of "
        "single scenarios."
    )
    with canvas():
        return [Drawing("scores", "Scores", caption, to_svg(figure, file_part(over.label)))]


def draw_generalisation(over: Generalisation) -> list[Drawing]:
    """Return the figure of what agents get on each test set of a tier, if there is anything."""
    name = over.measure.name
    shown = {place: row for place, row in enumerate(over.rows) if row.figures[name]}
    if not shown:
        return []
    caption = f"{over.measure.heading.capitalize()} on each test set, with 95 % intervals."
    with canvas():
        figure = _moved(over, shown)
        return [
            Drawing("moved", "On the test sets", caption, to_svg(figure, file_part(over.label)))
        ]


def _moved(over: Generalisation, shown: dict[int, GeneralisationRow]) -> Figure:
    from matplotlib.figure import Figure

    titles = list(over.sets)
    height = max(3.8, 0.8 + 0.2 * len(shown))
    figure = Figure(figsize=(style.WIDTH_IN, height), layout="constrained")
    axes = figure.subplots()
    values = [row.figures[over.measure.name] for row in shown.values()]
    reach = style.reach([found.value for one in values for found in one.values()])
    for (place, row), found in zip(shown.items(), values, strict=True):
        aside = 0.5 * ((place + 0.5) / len(over.rows) - 0.5)  # so that intervals do not hide others
        at = [titles.index(title) + aside for title in found]
        arms = np.hstack([one.within(*reach).arms for one in found.values()])
        axes.errorbar(
            at,
            [one.value for one in found.values()],
            yerr=arms,
            elinewidth=1,
            label=short_name(row.name),
            **style.line(place, row.agent.learns),
        )
    axes.set_xticks(range(len(titles)), titles)
    axes.grid(True, axis="y")
    axes.grid(False, axis="x")
    axes.set(ylabel=over.measure.heading)
    figure.legend(loc="outside right upper", handlelength=3.2)
    return figure


def _drawings(analysis: Analysis) -> Iterator[Drawing]:
    rows = analysis.table.rows
    missing = [
        f"{row.agent.name}: {row.count} of {row.runs.planned} runs"
        for row in rows
        if row.runs.holes
    ]
    tail = f" Runs are missing (‡): {'; '.join(missing)}." if missing else ""
    if any(row.has_few_runs for row in rows):
        tail += f" {FEW_RUNS}: too few to show how often a run fails."
    with canvas():
        for name, title, caption, figure in _figures(analysis):
            svg = to_svg(figure, f"{name}-{analysis.table.scenario.digest[:8]}")
            yield Drawing(name, title, caption + tail, svg)


def _figures(analysis: Analysis) -> Iterator[tuple[str, str, str, Figure]]:
    table = analysis.table
    scored = with_score(table)
    if scored:
        lines = [
            ScoreLine(r.name, r.agent.learns, r.estimates[SCORE], r.scores.mean(axis=0))
            for r in scored
        ]
        remarks = [FEW_RUNS] if any(row.has_few_runs for row in scored) else []
        remarks += [MISSING] if any(row.runs.holes for row in scored) else []
        yield (
            "scores",
            "Scores",
            "Interquartile mean of the normalised score with its 95 % interval; dots are the "
            "means over runs on single test workloads.",
            score_figure(table.label, lines, "one test workload", remarks),
        )
    curves = [
        _Line(place, row, found[0] / 1000, found[1], True, row.count > 1)
        for place, row in enumerate(table.rows)
        if (found := learning_curve(table, row)) is not None
    ]
    if curves:
        yield (
            "curves",
            "Learning curves",
            "Utility per task on validation workloads during training: interquartile mean over "
            "runs, 95 % band where there is more than one run.",
            _lines(curves, "decisions trained on (thousands)", "utility per task (validation)"),
        )
    if scored:
        profiles = [
            _Line(place, row, THRESHOLDS, performance_profile(table, row), False, True)
            for place, row in enumerate(table.rows)
            if row.scores.size
        ]
        lowest = min(0.0, *(float(row.scores.min()) for row in scored))
        yield (
            "profile",
            "Performance profile",
            "Share of runs and workloads whose score is above a threshold, with 95 % bands; "
            "higher is better everywhere.",
            _lines(
                profiles,
                "normalised score τ",
                "share with score > τ",
                (max(lowest, float(THRESHOLDS[0])), 1.0),
            ),
        )
    if len(scored) > 1:
        yield (
            "improvement",
            "Probability of improvement",
            "Probability (%) that a run of the row's agent has a higher score than one of the "
            "column's on a workload (ties count half). Bold: the 95 % interval excludes 50 %.",
            _improvement(analysis, scored),
        )
    yield from _behaviour(table.rows)


def _behaviour(rows: tuple[Row, ...]) -> Iterator[tuple[str, str, str, Figure]]:
    both = {
        place: row
        for place, row in enumerate(rows)
        if {"server_crash_rate", "utility_per_task"} <= row.estimates.keys()
    }
    if both:
        yield (
            "trade-off",
            "Utility against crashes",
            "Mean utility per task and server crashes per 100 tasks, with 95 % intervals; up and "
            "left is better. Below one crash in 100 tasks the scale is linear, above logarithmic. "
            "An arrow at the rim: further out, at the utility beside the name.",
            _trade_off(both),
        )
    loaded = [row for row in rows if row.runs.load.share]
    if loaded:
        yield (
            "load",
            "Load over time",
            "Capacity in use in the episode of the first test workload, for the first run of each "
            "agent; ticks above mark intervals with a server crash.",
            _load(loaded),
        )


def _lines(
    lines: list[_Line],
    xlabel: str,
    ylabel: str,
    xlim: tuple[float, float] | None = None,
) -> Figure:
    from matplotlib.figure import Figure

    reach = style.reach([float(value) for line in lines for value in line.band.values])
    if len(lines) <= MOST_LINES:
        figure = Figure(figsize=(style.WIDTH_IN, 3.6), layout="constrained")
        axes = figure.subplots()
        for line in lines:
            _draw_line(axes, line, reach)
        figure.legend(loc="outside right upper", handlelength=3.2)
        axes.set(xlabel=xlabel, ylabel=ylabel, xlim=xlim)
        return figure
    figure, panels = panels_of(len(lines))
    for axes, line in zip(panels, lines, strict=True):
        for other in lines:
            axes.plot(other.x, other.band.values, **style.OTHERS)
        _draw_line(axes, line, reach)
        axes.set_title(short_name(line.row.name), fontsize=8.5)
        axes.set(xlim=xlim)
    figure.supxlabel(xlabel, fontsize=9.5)
    figure.supylabel(ylabel, fontsize=9.5)
    return figure


def _draw_line(axes: Axes, line: _Line, reach: tuple[float, float]) -> None:
    place = line.place
    look = style.line(place, line.row.agent.learns)
    if not line.markers:  # a dense line: some marks along it, not one per point
        look["markevery"] = (5 * (place % 4), 20)
    axes.plot(line.x, line.band.values, label=short_name(line.row.name), **look)
    if line.intervals:
        low, high = (np.clip(ends, *reach) for ends in (line.band.low, line.band.high))
        axes.fill_between(line.x, low, high, color=look["color"], alpha=0.15, linewidth=0)


def _improvement(analysis: Analysis, rows: list[Row]) -> Figure:
    import seaborn as sns
    from matplotlib.figure import Figure

    count = len(rows)
    values = np.full((count, count), np.nan)
    weights = {}
    for i, row in enumerate(rows):
        for j, other in enumerate(rows):
            if i != j:
                found = analysis.improvement(row, other)
                values[i, j] = 100 * found.value
                weights[i, j] = "bold" if not found.low <= 0.5 <= found.high else "normal"
    names = [short_name(row.name) for row in rows]
    figure = Figure(figsize=(style.WIDTH_IN, 1.8 + 0.3 * count), layout="constrained")
    axes = figure.subplots()
    size = 9 if count <= 10 else 6.5
    sns.heatmap(
        values,
        ax=axes,
        vmin=0,
        vmax=100,
        cmap="Blues",
        annot=True,
        fmt=".0f",
        annot_kws={"size": size},
        linewidths=0.5,
        xticklabels=names,
        yticklabels=names,
        cbar_kws={"label": "P(row better than column) (%)"},
    )
    cells = [(i, j) for i in range(count) for j in range(count) if i != j]
    for text, cell in zip(axes.texts, cells, strict=True):
        text.set_fontweight(weights[cell])
    axes.grid(False)
    axes.tick_params(axis="x", rotation=90)
    axes.tick_params(axis="y", rotation=0)
    return figure


def _trade_off(rows: dict[int, Row]) -> Figure:
    from matplotlib.figure import Figure

    height = max(3.8, 0.8 + 0.2 * len(rows))
    figure = Figure(figsize=(style.WIDTH_IN, height), layout="constrained")
    axes = figure.subplots()
    both = [
        (row.estimates["server_crash_rate"], row.estimates["utility_per_task"])
        for row in rows.values()
    ]
    across = style.reach([crash.value for crash, _ in both])
    shown = style.bulk([utility for _, utility in both])
    margin = 0.06 * (max(shown) - min(shown)) or 0.1
    low, high = min(shown) - margin, max(shown) + margin
    rims = {-1: low - 0.6 * margin, 1: high + 0.6 * margin}
    sides = [(found.value > high) - (found.value < low) for _, found in both]
    for (place, row), (crash, utility), side in zip(rows.items(), both, sides, strict=True):
        look = style.line(place, row.agent.learns) | {"linestyle": ""}
        at = 100 * crash.value, rims.get(side, utility.value)
        axes.errorbar(
            *at,
            xerr=100 * crash.within(*across).arms,
            yerr=None if side else utility.within(low, high).arms,
            elinewidth=1,
            label=short_name(row.name) + (f": {utility.value:z.2f}" if side else ""),
            **look,
        )
        if side:
            _point_out(axes, at, side, look["color"])
    _add_rims(axes, (low, high), 2 * margin, set(sides))
    axes.set_xscale("symlog", linthresh=1.0)
    axes.set_xlim(left=-0.05)  # room for marks at 0
    axes.xaxis.set_major_formatter("{x:g}")
    axes.grid(True, axis="both")
    axes.set(xlabel="server crashes per 100 tasks", ylabel="utility per task (net of penalties)")
    figure.legend(loc="outside right upper")
    return figure


def _point_out(axes: Axes, at: tuple[float, float], way: int, colour: str) -> None:
    """Draw an arrow down (-1) or up (1) from what stands in a rim."""
    look = {"arrowstyle": "<|-", "color": colour, "shrinkA": 0, "shrinkB": 2}
    axes.annotate("", xy=at, xytext=(0, 13 * way), textcoords="offset points", arrowprops=look)


def _add_rims(axes: Axes, ends: tuple[float, float], room: float, sides: set[int]) -> None:
    """Make room beyond the ends of the vertical axis, where anything is, with no ticks in it."""
    low, high = ends
    axes.set_ylim(low - room * (-1 in sides), high + room * (1 in sides))
    axes.set_yticks([tick for tick in axes.get_yticks() if low <= tick <= high])
    for side, end in ((-1, low), (1, high)):
        if side in sides:
            axes.axhline(end, **style.ANCHOR)


def _load(rows: list[Row]) -> Figure:
    figure, panels = panels_of(len(rows))
    for axes, row in zip(panels, rows, strict=True):
        load = row.runs.load
        hours = np.array(load.time_s) / 3600
        axes.fill_between(hours, 100 * np.array(load.share), color="#9db8cc", linewidth=0)
        axes.plot(hours, 100 * np.array(load.share), color="#0b3c5d", linewidth=0.8)
        crashed = hours[np.array(load.crashes) > 0]
        axes.plot(crashed, np.full(len(crashed), 106.0), "|", color="0.1", markersize=5)
        axes.set_title(short_name(row.name), fontsize=8.5)
        axes.set_ylim(0, 112)
        axes.set_yticks([0, 50, 100])
    figure.supxlabel("time (h)", fontsize=9.5)
    figure.supylabel("capacity in use (%)", fontsize=9.5)
    return figure


def to_svg(figure: Figure, name: str) -> str:
    """Return a figure as an SVG element for a page, its ids apart from other figures'."""
    from matplotlib import rc_context

    out = io.StringIO()
    with rc_context({"svg.hashsalt": name}):
        figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    return re.sub(r"url\(#", f"url(#{name}-", text)
