"""The figure of the sheets: a panel each, with utility per request over what is varied."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_marl.benchmarks.report.figures import style
from edge_marl.benchmarks.robustness.findings import SHEETS, Findings, Point, Sheet
from edge_marl.errors import RecordError
from edge_marl.files import new_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["NAME", "draw"]

NAME = "robustness"
"""Of the files."""

PANELS: dict[Sheet, tuple[str, str, str]] = {
    "cross-play": ("others", "gateways that play {against}", "Cross-play: what the others get"),
    "dropout": ("utility_per_task", "share of the time that gateways sleep", "Dropout"),
    "scaling": ("utility_per_task", "gateways, load per server as before", "Scaling"),
}
"""By sheet the measure that is drawn, the label of what is varied, and the title."""


def draw(findings: Findings, folder: Path) -> None:
    """Write the figure as `robustness.png` and `robustness.svg`; none where nothing was played.

    Raises:
        RecordError: they cannot be written.
    """
    import seaborn as sns
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    played = {sheet: [p for p in findings.of(sheet) if not p.left_out] for sheet in SHEETS}
    panels = {sheet: points for sheet, points in played.items() if points}
    if not panels:
        return
    agents = list(dict.fromkeys(point.agent for point in findings.points))
    with sns.axes_style("white"), rc_context(style.RC | {"svg.hashsalt": NAME}):
        figure = Figure(figsize=(style.WIDTH_IN, 2.6 * len(panels) + 0.3), layout="constrained")
        axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
        for one, (sheet, points) in zip(axes, panels.items(), strict=True):
            _draw_panel(one, sheet, points, agents, findings.against)
        lines: dict[str, Any] = {}  # an agent may be missing in a panel
        for one in axes:
            handles, labels = one.get_legend_handles_labels()
            lines |= dict(zip(labels, handles, strict=True))
        figure.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=2)
        for suffix in ("png", "svg"):
            with new_file(folder / f"{NAME}.{suffix}", RecordError) as part:
                metadata: Any = {"Date": None} if suffix == "svg" else None
                figure.savefig(part, format=suffix, metadata=metadata)


def _draw_panel(
    axes: Axes, sheet: Sheet, points: list[Point], agents: list[str], against: str
) -> None:
    measure, label, title = PANELS[sheet]
    for place, agent in enumerate(agents):
        found = [(p.at, p.estimate(measure), p.learns) for p in points if p.agent == agent]
        drawn = [(at, estimate, learns) for at, estimate, learns in found if estimate is not None]
        if not drawn:
            continue
        values = [estimate.value for _, estimate, _ in drawn]
        arms = [[e.value - e.low for _, e, _ in drawn], [e.high - e.value for _, e, _ in drawn]]
        look = style.line(place, drawn[0][2])
        axes.errorbar([at for at, _, _ in drawn], values, arms, capsize=3, label=agent, **look)
    ticks = sorted({point.at for point in points})
    if sheet == "scaling":
        axes.set_xscale("log")
        axes.minorticks_off()
    axes.set_xticks(ticks, [f"{at:.0%}" if sheet == "dropout" else f"{at:g}" for at in ticks])
    axes.grid(axis="both")
    axes.set_xlabel(label.format(against=against))
    axes.set_ylabel("utility per request")
    axes.set_title(title)
