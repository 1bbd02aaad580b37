"""The figure of learning curves: one panel per learner, one line per training seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_marl.benchmarks.report.figures import style
from edge_marl.benchmarks.report.figures.scores import canvas, panels_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["curves_figure"]


def curves_figure(
    title: str, runs: dict[str, list[dict[str, Any]]], levels: dict[str, float]
) -> Figure:
    """Return the figure.

    Args:
        title: of the whole.
        runs: kept runs (`keep.py`), the seeds of each agent, in the order of the panels. Titles
            say how many distinct actions the trained agents take.
        levels: test utility per task of agents that do not learn, as lines to compare with.
    """
    with canvas():
        figure, panels = panels_of(len(runs))
        for axes, (agent, seeds) in zip(panels, runs.items(), strict=True):
            _draw_seeds(axes, agent, seeds, levels)
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
        figure.supxlabel("thousand decisions; a line per training seed", fontsize=9.5)
        figure.supylabel("utility per task, validation workloads", fontsize=9.5)
        told = ", ".join(f"{name} {level:.2f}" for name, level in levels.items())
        figure.text(0.99, 0.97, f"dashed, on test workloads: {told}", ha="right", fontsize=8.5)
    return figure


def _draw_seeds(
    axes: Axes, agent: str, seeds: list[dict[str, Any]], levels: dict[str, float]
) -> None:
    for level in levels.values():
        axes.axhline(level, zorder=0, **style.ANCHOR)
    for place, run in enumerate(seeds):
        x = [point["decisions"] / 1000 for point in run["curve"]]
        y = [point["utility_per_task"] for point in run["curve"]]
        axes.plot(x, y, **style.line(place, learns=True) | {"markersize": 2.5, "linewidth": 1.1})
    axes.grid(axis="y")
    axes.set_xlim(left=0)
    used = sorted(run["distinct_actions"] for run in seeds)
    span = f"{used[0]}" if used[0] == used[-1] else f"{used[0]} to {used[-1]}"
    axes.set_title(f"{agent} (actions: {span})", fontsize=8.5)
