"""Figures of a calibration: requests and agents, measured against simulated."""

from __future__ import annotations

from typing import Any

from edge_marl.benchmarks.calibration.compare import Pair, latencies
from edge_marl.benchmarks.calibration.fit import Parts
from edge_marl.benchmarks.calibration.tables import kind_of
from edge_marl.benchmarks.report.figures import style
from edge_marl.benchmarks.report.figures.drawings import Drawing, to_svg
from edge_marl.benchmarks.report.figures.scores import canvas, short_name

__all__ = ["Pairs", "draw"]

Pairs = dict[tuple[int, Parts], list[Pair]]
MOST_DOTS = 1500
"""Of a panel: more show no more, and make a page slow."""


def draw(pairs: Pairs) -> list[Drawing]:
    """Return the figures of each kind of servers."""
    drawings = []
    for line in dict.fromkeys(line for line, _ in pairs):
        panels = {parts: found for (of, parts), found in pairs.items() if of == line}
        if not any(panels.values()):
            continue
        with canvas():
            drawings += [_latencies(line, panels), _utilities(line, panels)]
    return drawings


def _latencies(line: int, panels: dict[Parts, list[Pair]]) -> Drawing:
    """Requests that were served in both worlds, a panel for each choice of parts."""
    figure, axes = _grid(len(panels))
    most = 0.0
    for one, (parts, pairs) in zip(axes, panels.items(), strict=True):
        x, y = latencies(pairs)
        most = max([most, *x, *y])
        every = -(-len(x) // MOST_DOTS) or 1
        one.plot(x[::every], y[::every], ".", color=style.COLOURS[0], alpha=0.35, markersize=3)
        one.set_title(str(parts))
    for one in axes:
        one.plot([0, most], [0, most], **style.ANCHOR)
        one.set_xlabel("measured (s)")
        one.set_ylabel("simulated (s)")
    told = "A dot is a request that was served in both worlds; on the line they agree."
    title = f"Latency of requests: {kind_of(line)}"
    return Drawing(f"latency-{line}", title, told, to_svg(figure, f"latency-{line}"))


def _utilities(line: int, panels: dict[Parts, list[Pair]]) -> Drawing:
    """Agents, by what they got in runs, a panel for each choice of parts."""
    figure, axes = _grid(len(panels), legend=True)
    agents = list(dict.fromkeys(pair.agent for pairs in panels.values() for pair in pairs))
    values: list[float] = []
    for one, (parts, pairs) in zip(axes, panels.items(), strict=True):
        for place, agent in enumerate(agents):
            own = [pair for pair in pairs if pair.agent == agent]
            x, y = [p.measured.utility.mean() for p in own], [p.played for p in own]
            values += [*map(float, x), *y]
            look = style.line(place, False) | {"linestyle": "none"}
            one.plot(x, y, label=short_name(agent), **look)
        one.set_title(str(parts))
        one.set_xlabel("measured")
        one.set_ylabel("own play, simulated")
    for one in axes:
        one.plot([min(values), max(values)], [min(values), max(values)], **style.ANCHOR)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    told = "A mark is a run of an agent: what it got, and what it gets playing in the simulator."
    title = f"Utility per request: {kind_of(line)}"
    return Drawing(f"utility-{line}", title, told, to_svg(figure, f"utility-{line}"))


def _grid(count: int, legend: bool = False) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure

    rows = -(-count // 2)
    size = (style.WIDTH_IN, 2.9 * rows + 0.5 * legend)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, 2, squeeze=False, sharex=True, sharey=True).ravel().tolist()
    for one in axes:
        one.grid(axis="both")
    return figure, axes[:count]
