"""The figure of what each part of a tier does, from its evidence.

    python -m edge_marl.benchmarks.release.parts_figure            # every tier that has it
    python -m edge_marl.benchmarks.release.parts_figure metro

One bar a part: how much more the best agent gets without it. The band is the interval of what the
best agent gets with all of them: a bar that ends outside of it earns its place, and so does one
without which the first three agents are others, or in another order.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_marl.benchmarks.report.figures import style
from edge_marl.benchmarks.report.figures.scores import canvas
from edge_marl.console import results, run_command
from edge_marl.errors import RecordError
from edge_marl.files import new_file
from edge_marl.scenario import list_tiers, load_scenario
from edge_marl.scenario.evidence import played_parts, read_evidence

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw", "draw_parts", "main"]

Evidence = dict[str, Any]

BAR_IN = 0.3
FRAME_IN = 1.35
EARNS: dict[str, Any] = {"facecolor": "#0b3c5d", "edgecolor": "#0b3c5d"}
"""Of a bar that is larger than the interval."""
BY_RANKING: dict[str, Any] = {"facecolor": "#b8cfdf", "edgecolor": "#0b3c5d"}
"""Of one that is not, where the ranking changes."""
IDLE: dict[str, Any] = {"facecolor": "white", "edgecolor": "0.45", "linestyle": (0, (2, 1.5))}
"""Of a part that does not earn its place."""
BAND: dict[str, Any] = {"color": "0.91", "zorder": 0, "linewidth": 0}
WHISKER: dict[str, Any] = {"color": "#c8641b", "linewidth": 1.4, "capsize": 3, "linestyle": ""}


def draw_parts(
    tiers: Annotated[
        list[str] | None, typer.Argument(help="Tiers' names.", show_default="all")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("docs/figures"),
) -> None:
    """Draw what each part does, of every tier whose evidence says it."""
    for name in tiers or list_tiers():
        scenario = load_scenario(name)
        evidence = read_evidence(scenario)
        if evidence is None or "parts" not in evidence:
            if tiers:
                raise RecordError(
                    f"{name}: its evidence is of the tier as a whole: "
                    f"python -m edge_marl.benchmarks.release.evidence {name} --parts"
                )
            continue
        path = out / f"parts-{scenario.label}.png"
        draw(scenario.label, evidence, path)
        results().print(path, markup=False, soft_wrap=True)


def draw(label: str, evidence: Evidence, path: Path) -> None:
    """Write the figure of a tier's parts as PNG.

    Args:
        label: the tier's.
        evidence: of the tier, its parts included; one that was not played is not drawn.
        path: where to.

    Raises:
        RecordError: if it cannot be written, or no part was played.
    """
    from matplotlib.figure import Figure

    parts = {name: part for name, part in evidence["parts"].items() if "left_out" not in part}
    if not parts:
        raise RecordError(f"{label}: no part of it was played")
    with canvas():
        size = (style.WIDTH_IN, BAR_IN * len(parts) + FRAME_IN)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        _draw_bars(axes, evidence, parts)
        best = played_parts(evidence)[0]
        value = evidence["agents"][best]["utility_per_task"][0]
        axes.set_title(f"{label}: without each part")
        told = f"{value:.3f}, {best}, with all"
        axes.set_xlabel(f"change of the best agent's utility per request ({told})")
        _add_legend(axes)
        with new_file(path, RecordError) as part:
            figure.savefig(part, format="png")


def _draw_bars(axes: Axes, evidence: Evidence, parts: dict[str, Evidence]) -> None:
    """Draw the bars, the largest at the top, over the interval of the tier as it is."""
    import seaborn as sns

    names = sorted(parts, key=lambda name: -abs(parts[name]["difference"][0]))
    best = played_parts(evidence)[0]
    _, low, high = evidence["agents"][best]["utility_per_task"]
    half = (high - low) / 2
    axes.axvspan(-half, half, **BAND)
    values, lows, highs = zip(*(parts[name]["difference"] for name in names), strict=True)
    sns.barplot(x=list(values), y=names, orient="y", width=0.62, ax=axes, zorder=2)
    for bar, name in zip(axes.patches[-len(names) :], names, strict=True):
        bar.set(**_look(parts[name], half), linewidth=1.0)
    arms = [
        [value - low for value, low in zip(values, lows, strict=True)],
        [high - value for value, high in zip(values, highs, strict=True)],
    ]
    axes.errorbar(values, range(len(names)), xerr=arms, zorder=3, **WHISKER)
    for place, name in enumerate(names):
        value = parts[name]["difference"][0]
        text = f"{value:+z.3f}  {parts[name]['best']}"
        axes.text(1.02, place, text, transform=axes.get_yaxis_transform(), va="center", size=8.5)
    axes.axvline(0.0, color="0.3", linewidth=0.8, zorder=4)
    axes.set_yticks(range(len(names)), [name.replace("-", " ") for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_ylabel("")


def _look(part: Evidence, half: float) -> dict[str, Any]:
    if abs(part["difference"][0]) > half:
        return EARNS
    return BY_RANKING if part["earns"] else IDLE


def _add_legend(axes: Axes) -> None:
    """Say below the axes what bars, whiskers and band are."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    figure = axes.get_figure()
    assert figure is not None
    whisker = {name: WHISKER[name] for name in ("color", "linewidth")}
    handles = [
        Patch(**EARNS, label="outside the interval of the whole"),
        Patch(**BY_RANKING, label="inside, other first three"),
        Patch(**IDLE, label="inside, the same first three"),
        Line2D([], [], **whisker, label="95 % interval of the change"),
        Patch(color=BAND["color"], label="interval of the whole"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, columnspacing=1.2)


def main() -> None:
    """Run the command on this process's arguments."""
    run_command(draw_parts)


if __name__ == "__main__":
    main()
