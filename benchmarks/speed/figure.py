"""The figure of a bench: how fast each API is, what a decision is made of, and other suites."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_marl.benchmarks.report.figures import style
from edge_marl.benchmarks.speed.drives import NATIVE
from edge_marl.benchmarks.speed.findings import Findings, TierRow
from edge_marl.benchmarks.speed.tables import number
from edge_marl.errors import RecordError
from edge_marl.files import new_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw"]

PARTS: tuple[tuple[str, str, str], ...] = (
    ("transition", "transition_ns", "#0b3c5d"),
    ("observation", "observation_ns", "#4a90b8"),
    ("API", "api_ns", "#b8cfdf"),
    ("resets", "reset_ns", "#c8641b"),
)
"""Of a decision: what the legend says, the field, the colour."""

LINE_IN = 0.27
"""Height of a line of text."""


def draw(findings: Findings, folder: Path) -> None:
    """Write the figure as `speed.png` and `speed.svg`.

    Raises:
        RecordError: they cannot be written.
    """
    import seaborn as sns
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    rates = len({row.api for row in findings.apis}) + 2.2
    panels = [(_draw_rates, rates), (_draw_parts, len(findings.tiers) + 2.6)]
    peers = [row for row in findings.peers if row.steps_per_s is not None]
    if peers:
        panels.append((_draw_peers, len(peers) + 2.2))
    sizes = [size * LINE_IN for _, size in panels]
    with sns.axes_style("white"), rc_context(style.RC | {"svg.hashsalt": "speed"}):
        figure = Figure(figsize=(style.WIDTH_IN, sum(sizes) + 0.3), layout="constrained")
        axes = figure.subplots(len(panels), 1, height_ratios=sizes, squeeze=False)[:, 0]
        for (panel, _), one in zip(panels, axes, strict=True):
            panel(one, findings)
        for suffix in ("png", "svg"):
            with new_file(folder / f"speed.{suffix}", RecordError) as part:
                metadata: Any = {"Date": None} if suffix == "svg" else None
                figure.savefig(part, format=suffix, metadata=metadata)


def _draw_rates(axes: Axes, findings: Findings) -> None:
    """One line per API, one mark per tier; a ring is the same on all threads."""
    apis = list(dict.fromkeys(row.api for row in findings.apis))
    tiers = list(dict.fromkeys(row.tier for row in findings.apis))
    several = False
    for row in findings.apis:
        look = style.line(tiers.index(row.tier), learns=row.threads == 1) | {"linestyle": ""}
        several |= row.threads > 1
        label = row.tier if row.threads == 1 and row.api == apis[-1] else None
        axes.plot(row.with_resets.median, apis.index(row.api), label=label, **look)
    for row in findings.apis:
        if row.turns > 1 and row.threads == 1:
            colour = style.COLOURS[tiers.index(row.tier) % len(style.COLOURS)]
            ends = [row.with_resets.median, row.with_resets.median * row.turns]
            axes.plot(ends, [apis.index(row.api)] * 2, color=colour, linewidth=1, alpha=0.5)
            axes.plot(ends[1], apis.index(row.api), "|", color=colour, markersize=7)
    _log_scale(axes)
    axes.set_yticks(range(len(apis)), apis)
    axes.set_ylim(len(apis) - 0.5, -0.5)
    threads = "; hollow: all threads" if several else ""
    axes.set_xlabel(f"decisions per second, resets in (bar: agent steps{threads})")
    axes.set_title("How fast each API is")
    _legend(axes, len(tiers))


def _draw_parts(axes: Axes, findings: Findings) -> None:
    """A bar per tier, in parts, with the floor as a mark."""
    names = [row.tier for row in findings.tiers]
    left = [0.0] * len(names)
    for label, field, colour in PARTS:
        widths = [float(getattr(row, field)) for row in findings.tiers]
        axes.barh(names, widths, left=left, color=colour, label=label, height=0.6)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    for at, row in enumerate(findings.tiers):
        named = "floor" if at == 0 else None
        axes.plot(row.floor_ns, at, "|", color="black", markersize=12, label=named)
        axes.text(row.total_ns, at, f" {_rate(row)}", va="center", fontsize=8.5)
    axes.set_xlim(0, 1.18 * max(row.total_ns for row in findings.tiers))
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel("ns per decision of gym.make_vec on one thread")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_title("Where the time goes")
    _legend(axes, len(PARTS) + 1)


def _log_scale(axes: Axes) -> None:
    """Have powers of ten along the axis, written out."""
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:,.0f}")


def _legend(axes: Axes, columns: int) -> None:
    """Put the legend beside the title."""
    axes.legend(
        loc="lower right",
        ncols=columns,
        bbox_to_anchor=(1.0, 1.0),
        borderaxespad=0.3,
        columnspacing=1.2,
        handlelength=1.0,
        handletextpad=0.5,
    )


def _rate(row: TierRow) -> str:
    return f"{number(1e9 / row.total_ns)}/s"


def _draw_peers(axes: Axes, findings: Findings) -> None:
    """A mark per suite."""
    peers = [row for row in findings.peers if row.steps_per_s is not None]
    for at, row in enumerate(peers):
        assert row.steps_per_s is not None
        rate = row.steps_per_s
        axes.plot([rate.low, rate.high], [at, at], color=style.HEURISTIC["color"], linewidth=1.2)
        axes.plot(rate.median, at, linestyle="", markersize=5, **style.HEURISTIC)
    own = next((row for row in findings.apis if row.api == NATIVE and row.threads == 1), None)
    if own is not None:
        rate_of_own = own.with_resets.median
        axes.axvline(rate_of_own, **style.ANCHOR)
        axes.text(
            rate_of_own, -0.5, f"{own.api}, {own.tier} ", va="bottom", ha="right", fontsize=8.5
        )
    _log_scale(axes)
    axes.set_yticks(range(len(peers)), [row.name for row in peers])
    axes.set_ylim(len(peers) - 0.5, -0.5)
    axes.set_xlabel("steps per second, as each suite counts its own (see the table)")
    axes.set_title("Other suites, in the same run")
