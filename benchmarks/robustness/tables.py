"""The sheets as tables: for the terminal, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from edge_marl.benchmarks.report.intervals import Estimate
from edge_marl.benchmarks.robustness.findings import Findings, Point
from edge_marl.benchmarks.speed.tables import Table

__all__ = ["markdown", "notes_of", "tables_of"]


def tables_of(findings: Findings) -> Iterator[Table]:
    """Return the sheets that there are points of."""
    if points := _played(findings, "cross-play"):
        yield Table(
            f"Cross-play: k of {findings.gateways} gateways play {findings.against}; utility per "
            "request",
            [
                ("agent", "k", "the others", "change", "the replaced", "change", "all"),
                *(_cross_play(point) for point in points),
            ],
        )
    if points := _played(findings, "dropout"):
        yield Table(
            f"Dropout: gateways sleep, for {findings.asleep_s:g} s in the mean",
            [
                ("agent", "asleep", "utility per request", "change", "on time", "lost"),
                *(_dropout(point) for point in points),
            ],
        )
    if points := _played(findings, "scaling"):
        heads = ("utility per request", "on time", "lost", "crashes", "herding", "fairness")
        yield Table(
            "Scaling: other numbers of gateways, with the same load per server",
            [
                ("agent", "gateways", "servers", *heads),
                *(_scaling(point) for point in points),
            ],
        )


def notes_of(findings: Findings) -> list[str]:
    """Return how it was counted, and what was left out and why, in lines."""
    lines = [
        f"{findings.game}, test workloads 0 to {findings.workloads - 1}, seed {findings.seed}; "
        "means over workloads with 95 % intervals over them. Changes are paired by workload, and "
        "in cross-play by gateway: what the same ones get where all play the agent."
    ]
    if _played(findings, "cross-play"):
        lines.append(
            f"Which gateways play {findings.against} is drawn anew for each workload, those of a "
            "smaller k among those of a larger one."
        )
    if _played(findings, "scaling"):
        lines.append("Games of other sizes have no anchors: there are no scores.")
    told: dict[str, list[str]] = {}
    for point in findings.points:
        if point.left_out:
            where = f"{point.at:g} gateways" if point.sheet == "scaling" else ""
            told.setdefault(f"{point.sheet} of {point.agent}\n{point.left_out}", []).append(where)
    for what, places in told.items():
        name, _, why = what.partition("\n")
        at = f" ({', '.join(places)})" if any(places) else ""
        lines.append(f"Left out: {name}{at}: {why}")
    return lines


def markdown(findings: Findings) -> str:
    """Return all of it as Markdown."""
    head, *rest = notes_of(findings)
    notes = "\n".join(f"* {line}" for line in rest)
    tables = [table.markdown() for table in tables_of(findings)]
    return "\n\n".join(part for part in (head, *tables, notes) if part)


def _played(findings: Findings, sheet: str) -> list[Point]:
    return [point for point in findings.points if point.sheet == sheet and not point.left_out]


def _cross_play(point: Point) -> tuple[str, ...]:
    return (
        point.agent,
        f"{point.at:g}",
        _interval(point.estimate("others")),
        _change(point.estimate("others", "others_before"), point.at > 0),
        _interval(point.estimate("replaced")),
        _change(point.estimate("replaced", "replaced_before"), point.at > 0),
        _number(point.estimate("all")),
    )


def _dropout(point: Point) -> tuple[str, ...]:
    return (
        point.agent,
        f"{point.at:.0%}",
        _interval(point.estimate("utility_per_task")),
        _change(point.estimate("utility_per_task", "before"), point.at > 0),
        _number(point.estimate("on_time_rate")),
        _number(point.estimate("lost_fraction")),
    )


def _scaling(point: Point) -> tuple[str, ...]:
    names = ("on_time_rate", "lost_fraction", "server_crash_rate", "herding", "gateway_fairness")
    return (
        point.agent,
        f"{point.at:g}",
        f"{point.servers}",
        _interval(point.estimate("utility_per_task")),
        *(_number(point.estimate(name)) for name in names),
    )


def _number(found: Estimate | None) -> str:
    return "" if found is None else f"{found.value:.3f}"


def _interval(found: Estimate | None) -> str:
    return "" if found is None else f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def _change(found: Estimate | None, has_changed: bool) -> str:
    if found is None or not has_changed:
        return ""
    return f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
