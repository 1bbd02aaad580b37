"""A bench as tables: for the terminal, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edge_marl.benchmarks.speed.findings import Findings, Spread

__all__ = ["COUNTING", "Table", "machine_line", "markdown", "tables_of"]

COUNTING = (
    "A decision is one task that one gateway sends somewhere, or drops. With resets: automatic "
    "resets of a batch, or one reset per episode, and the drawing of workloads are part of it. In "
    "the games one gateway decides at a time (event clock), while all of them see and choose: "
    "agent steps count the choices of idle gateways too. Frame skip is 1. Actions are random and "
    "legal; choosing them is not timed. Medians of rounds, in turn; the range is that of rounds."
)
"""The rule that every number is counted by."""


@dataclass(frozen=True)
class Table:
    """Rows of text under a title; the first row is the head, and the first columns are words."""

    title: str
    rows: Sequence[tuple[str, ...]]
    words: int = 1
    """Columns of words; the others are numbers."""

    def markdown(self) -> str:
        """Return it as Markdown."""
        head, *rows = self.rows
        rules = [":--" if at < self.words else "--:" for at in range(len(head))]
        lines = [f"| {' | '.join(row)} |" for row in (head, rules, *rows)]
        return f"**{self.title}**\n\n" + "\n".join(lines)


def tables_of(findings: Findings) -> Iterator[Table]:
    """Return the tables that the findings have rows for."""
    yield Table("Decisions per second", list(_api_rows(findings)), words=3)
    if findings.tiers:
        yield Table(
            "A decision of `gym.make_vec` on one thread, in ns, and bytes", list(_parts(findings))
        )
    if findings.starts:
        yield Table("A new process, in seconds", list(_starts(findings)))
    if findings.learners:
        yield Table("Training, updates included, on one thread", list(_learners(findings)), words=2)
    if findings.peers:
        yield Table("Other suites, in the same run", list(_peers(findings)), words=3)


def _api_rows(findings: Findings) -> Iterator[tuple[str, ...]]:
    heads = ("resets in", "range", "resets out", "agent steps, resets in")
    yield ("tier", "API", "threads", "environments", *heads)
    for row in findings.apis:
        steps = "" if row.turns == 1 else number(row.with_resets.median * row.turns)
        yield (
            row.tier,
            row.api,
            str(row.threads),
            f"{row.rows:,}",
            number(row.with_resets.median),
            spread(row.with_resets),
            number(row.without_resets.median),
            steps,
        )


def _parts(findings: Findings) -> Iterator[tuple[str, ...]]:
    parts = ("transition", "observation", "API", "resets", "all", "floor")
    yield ("tier", "environments", *parts, "observation, B", "state, kB")
    for row in findings.tiers:
        times = (row.transition_ns, row.observation_ns, row.api_ns, row.reset_ns, row.total_ns)
        yield (
            row.tier,
            f"{row.rows:,}",
            *(f"{time:,.0f}" for time in times),
            f"{row.floor_ns:,.0f}",
            f"{row.observation_bytes:,}",
            f"{row.state_bytes / 1000:,.0f}",
        )


def _starts(findings: Findings) -> Iterator[tuple[str, ...]]:
    yield ("tier", "import", "first step, compiled before", "first step, nothing compiled")
    for row in findings.starts:
        cold = "" if row.cold_s is None else f"{row.cold_s:.1f}"
        yield (row.tier, f"{row.import_s:.2f}", f"{row.warm_s:.2f}", cold)


def _learners(findings: Findings) -> Iterator[tuple[str, ...]]:
    yield ("tier", "agent", "decisions/s")
    for row in findings.learners:
        rate = row.decisions_per_s
        yield (row.tier, row.agent, row.failed if rate is None else number(rate))


def _peers(findings: Findings) -> Iterator[tuple[str, ...]]:
    yield ("suite", "version", "a step is", "steps/s", "range")
    for row in findings.peers:
        rate = row.steps_per_s
        told = ("failed", row.failed) if rate is None else (number(rate.median), spread(rate))
        yield (row.name, row.version, row.what, *told)


def number(value: float) -> str:
    """Return a rate with three significant digits, as a whole number."""
    return f"{float(f'{value:.3g}'):,.0f}"


def spread(value: Spread) -> str:
    """Return the range of a quantity."""
    return f"{number(value.low)} to {number(value.high)}"


def machine_line(findings: Findings) -> str:
    """Return what it was measured on."""
    made, versions = findings.machine, findings.machine.versions
    names = ("python", "numpy", "numba", "gymnasium", "torch")
    with_versions = ", ".join(f"{name} {versions[name]}" for name in names if name in versions)
    rounds = f"{findings.repeat} round{'s' * (findings.repeat > 1)}{', quick' * findings.quick}"
    commit = f", commit {made.commit[:12]}" if made.commit else ""
    hardware = made.hardware
    return (
        f"{hardware.cpu}, {hardware.cores} core{'s' * (hardware.cores > 1)}, {hardware.system}; "
        f"{with_versions}; {made.started[:10]}, {rounds}{commit}."
    )


def markdown(findings: Findings) -> str:
    """Return all of it as Markdown."""
    tables = [table.markdown() for table in tables_of(findings)]
    return "\n\n".join([f"{COUNTING}\n\n{machine_line(findings)}", *tables])
