"""The replication study, from the runs that `study.py` kept.

    python -m edge_marl.benchmarks.replication

Writes `benchmarks/replication.md`. All figures are of the 100 test workloads; agents were selected
on validation workloads. An interval is over training seeds and workloads (`stats.py`).
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import typer

from edge_marl.benchmarks.console import results, run_app
from edge_marl.benchmarks.records import write_file
from edge_marl.benchmarks.stats import MIN_RUNS, estimate, iqm
from edge_marl.benchmarks.study import read_runs

__all__ = ["main", "report"]

REPORT = Path(__file__).parent / "replication.md"

CLAIMED_UTILITY, CLAIMED_CRASHES = 30.4, -17.2
"""Per cent against the best existing method (ADSAC paper, IEEE TCCN 2025)."""

Floats = npt.NDArray[np.float64]
Row = dict[str, Any]
Key = tuple[str, str, str, int | None]
"""Scenario, agent, variant, world."""


def replicate() -> None:
    """Write the report from the kept runs."""
    text = report(read_runs())
    write_file(REPORT, text.encode())
    results().print(str(REPORT), markup=False)


def report(runs: list[Row]) -> str:
    """Return the report, in Markdown."""
    groups: dict[Key, list[Row]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: run["seed"]):
        groups[run["scenario"], run["agent"], run["variant"], run["world"]].append(run)
    parts = [
        HEAD,
        "## World 0: who is best\n",
        _world_0(groups),
        _verdict(groups),
        "## Worlds 0 to 9\n",
        _worlds(groups),
        "## What `adsac` is without its parts\n",
        _table(groups, "paper", 0, ["adsac"]),
        "## The published settings, as far as they were run\n",
        PUBLISHED,
        _table(groups, "paper", 0, ["dqn", "ppo", "d2sac"], published=True),
        "## Tiers with new topologies\n",
        TIERS,
        _tier(groups, "campus"),
        _tier(groups, "metro"),
        "## Learning curves\n",
        _curves(groups),
    ]
    return "\n".join(parts)


HEAD = """# Replication of the ADSAC paper's two claims

Made by `python -m edge_marl.benchmarks.replication` from the runs that
`python -m edge_marl.benchmarks.study GROUP` kept in `benchmarks/study/runs.jsonl`.

The paper claims at least +30.4 % user utility and -17.2 % server crash rate against the best
existing method. Two questions are kept apart: whether the table comes out with the settings that
were published, and whether ADSAC is better than baselines that were tuned with the same care.

Utility per task is the interquartile mean over training seeds and the 100 test workloads, with a
95 % interval where there are at least five seeds; with fewer, the range of the seeds' means.
Crashes are server crashes per dispatched task. Every learner trained on 96,000 decisions unless
another number is given, and was selected on validation workloads.
"""

PUBLISHED = """A million updates are published. One update of `d2sac` takes 0.1 s here and one of
`adsac-published` 0.4 s (`python -m edge_marl.benchmarks.learning_speed`): a day, and five days, per
seed. What follows is a small part of that budget, stated per row, and says nothing about where the
published runs end.
"""

TIERS = """48,000 decisions. Settings are those chosen on `paper`: nothing was tuned here.
"""


def _values(rows: list[Row], metric: str) -> Floats:
    """Return a metric of every seed's test episodes, (seeds, 100)."""
    return np.array([row["test"][metric] for row in rows])


def _line(name: str, rows: list[Row]) -> list[str]:
    utility, crashes = _values(rows, "utility_per_task"), _values(rows, "server_crash_rate")
    learns = rows[0]["budget"] is not None
    if len(rows) >= MIN_RUNS or not learns:
        found = estimate(utility, iqm)
        spread = f"{found.low:.3f} to {found.high:.3f}"
    else:
        means = utility.mean(axis=1)
        spread = f"seeds {means.min():.3f} to {means.max():.3f}"
    return [
        name,
        f"{rows[0]['budget']:,}" if learns else "",
        str(len(rows)) if learns else "",
        f"{iqm(utility.ravel()):.3f}",
        spread,
        f"{100 * crashes.mean():.2f} %",
        ", ".join(str(row["distinct_actions"]) for row in rows),
    ]


COLUMNS = ["agent", "decisions", "seeds", "utility per task", "", "crashes", "distinct actions"]


def _markdown(columns: list[str], lines: list[list[str]]) -> str:
    head = [columns, ["---"] * len(columns)]
    return "".join(f"| {' | '.join(line)} |\n" for line in [*head, *lines])


def _rows_of(
    groups: dict[Key, list[Row]], scenario: str, world: int | None
) -> dict[str, list[Row]]:
    """Return the runs with default settings of one world, by agent, the best first."""
    found = {
        agent: rows
        for (tier, agent, variant, number), rows in groups.items()
        if (tier, variant, number) == (scenario, "default", world) and _is_full(rows)
    }
    return dict(sorted(found.items(), key=lambda pair: -float(_mean(pair[1]))))


def _is_full(rows: list[Row]) -> bool:
    return rows[0]["budget"] is None or rows[0]["budget"] >= 48_000


def _mean(rows: list[Row]) -> float:
    return float(iqm(_values(rows, "utility_per_task").ravel()))


def _world_0(groups: dict[Key, list[Row]]) -> str:
    found = _rows_of(groups, "paper", 0)
    return _markdown(COLUMNS, [_line(agent, rows) for agent, rows in found.items()])


def _verdict(groups: dict[Key, list[Row]]) -> str:
    """Say what becomes of the two claims on world 0."""
    found = _rows_of(groups, "paper", 0)
    if "adsac" not in found:
        return ""
    # The paper compares with learners and with heuristics that do not know the qualities.
    others = [name for name in found if name not in ("adsac", "prophet", "bid-price")]
    best = next(name for name in others if not name.startswith("crash-avoid-best"))
    own, theirs = found["adsac"], found[best]
    more = 100 * (_mean(own) / _mean(theirs) - 1)
    crashes = [float(_values(rows, "server_crash_rate").mean()) for rows in (own, theirs)]
    fewer = 100 * (crashes[0] / crashes[1] - 1)
    holds = "holds" if more >= CLAIMED_UTILITY else "does not hold"
    fewer_holds = "holds" if fewer <= CLAIMED_CRASHES else "does not hold"
    return f"""
**Verdict, tuned baselines, world 0.** The best existing method that does not know the qualities
is `{best}`. Against it `adsac` gets {more:+.1f} % utility per task (claimed: at least
{CLAIMED_UTILITY:+.1f} %) and {fewer:+.1f} % server crashes (claimed:
{CLAIMED_CRASHES:+.1f} %). The claim on utility {holds}, the claim on crashes {fewer_holds}.
"""


def _worlds(groups: dict[Key, list[Row]]) -> str:
    lines, shares = [], []
    for world in range(10):
        found = _rows_of(groups, "paper", world)
        if not {"adsac", "prophet", "crash-avoid"} <= found.keys():
            continue
        own = found["adsac"]
        sums = _values(own, "utility").sum(axis=1) / _values(found["prophet"], "utility").sum()
        shares.append(float(iqm(sums)))
        rates = [
            float(_values(found[name], "server_crash_rate").mean())
            for name in ("adsac", "crash-avoid", "prophet")
        ]
        lines.append(
            [
                str(world),
                *(f"{_mean(found[name]):.3f}" for name in ("crash-avoid", "prophet", "bid-price")),
                f"{_mean(own):.3f}",
                str(len(own)),
                f"{100 * shares[-1]:.1f} %",
                f"{100 * sums.min():.1f} to {100 * sums.max():.1f} %",
                *(f"{100 * rate:.2f} %" for rate in rates),
            ]
        )
    columns = ["world", "crash-avoid", "prophet", "bid-price", "adsac", "seeds", "of the prophet's"]
    columns += ["seeds from, to", "crashes: adsac", "crash-avoid", "prophet"]
    others = np.mean(shares[1:]) if len(shares) > 1 else float("nan")
    told = (
        f"\n`adsac` gets {100 * shares[0]:.1f} % of the prophet's return on world 0 and "
        f"{100 * others:.1f} % on average over worlds 1 to 9 (interquartile means over seeds).\n"
        if shares
        else ""
    )
    return _markdown(columns, lines) + told


def _table(
    groups: dict[Key, list[Row]],
    scenario: str,
    world: int | None,
    agents: list[str],
    published: bool = False,
) -> str:
    lines = [
        _line(agent if variant == "default" else f"{agent}, {variant}", rows)
        for (tier, agent, variant, number), rows in groups.items()
        if (tier, number) == (scenario, world)
        and agent in agents
        and (variant == "published") == published
    ]
    return _markdown(COLUMNS, lines) if lines else "Not run yet.\n"


def _tier(groups: dict[Key, list[Row]], tier: str) -> str:
    found = _rows_of(groups, tier, None)
    lines = [_line(agent, rows) for agent, rows in found.items()]
    return f"### {tier}\n\n" + _markdown(COLUMNS, lines) if lines else ""


def _curves(groups: dict[Key, list[Row]]) -> str:
    """Utility per task on validation workloads at each tenth of the budget, every seed."""
    lines = []
    for (tier, agent, variant, world), rows in sorted(groups.items(), key=str):
        if rows[0]["budget"] is None or (tier == "paper" and world != 0):
            continue
        lines += [
            [
                f"{agent} ({tier}, {variant})",
                str(row["seed"]),
                " ".join(f"{point['utility_per_task']:.2f}" for point in row["curve"]),
                " ".join(str(point["distinct_actions"]) for point in row["curve"]),
            ]
            for row in rows
        ]
    columns = ["agent", "seed", "utility per task, validation", "distinct actions"]
    return _markdown(columns, lines)


def main() -> None:
    """Run the command on this process's arguments."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(replicate)
    run_app(app)


if __name__ == "__main__":
    main()
