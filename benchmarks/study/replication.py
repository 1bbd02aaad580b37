"""The replication study, from the runs that `keep.py` kept.

    python -m edge_marl.benchmarks.study.replication

Writes `benchmarks/study/replication.md`, whose prose is in `templates/replication.md.j2`. All
figures are of the 100 test workloads; agents were selected on validation workloads. An interval is
over training seeds and workloads (`stats.py`).
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_marl.benchmarks.report.figures.scores import canvas
from edge_marl.benchmarks.report.intervals import Estimate, iqm
from edge_marl.benchmarks.report.stats import MIN_RUNS, estimate, probability_of_improvement, ratio
from edge_marl.benchmarks.study.curves import curves_figure
from edge_marl.benchmarks.study.keep import BUDGETS, RUNS, Line, read_lines
from edge_marl.console import results, run_command
from edge_marl.errors import RecordError
from edge_marl.files import write_file
from edge_marl.kernel.world import Floats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["CLAIMED_CRASHES", "CLAIMED_UTILITY", "claims", "main", "report"]

REPORT = Path(__file__).parent / "replication.md"
CURVES = "learning_curves_{tier}.png"
"""Name of a tier's figure of learning curves, beside the kept runs."""

CLAIMED_UTILITY, CLAIMED_CRASHES = 30.4, -17.2
"""Per cent against the best existing method (ADSAC paper, IEEE TCCN 2025)."""
CLAIMS = {"utility": "utility_per_task", "crashes": "server_crash_rate"}
"""The metric that each claim is about."""
PUBLISHED = ("ppo", "dqn", "d2sac", "adsac-published")
"""Agents that were run with published settings."""
TIERS = ("campus@1", "metro@1", "nation@1")
"""Where topologies are drawn anew."""
CURVES_OF = ("paper", "metro@1")
"""Tiers whose curves are drawn, of their own world."""

Key = tuple[str, str, str, int, int | None, str | None]
"""Scenario, agent, variant, world, budget, and where it was trained if that is elsewhere."""


def replicate() -> None:
    """Write the report from the kept runs."""
    runs = read_lines()
    write_file(REPORT, report(runs), RecordError)
    for tier, figure in _figures(_grouped(runs)).items():
        with canvas():
            figure.savefig(RUNS.parent / CURVES.format(tier=tier))
    results().print(str(REPORT), markup=False)


def report(runs: list[Line]) -> str:
    """Return the report, in Markdown: the prose is the template's, the figures are of the runs."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("edge_marl.benchmarks.study"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"percent": _percent, "holds": _holds, "mean": np.mean}
    return environment.get_template("replication.md.j2").render(_facts(runs))


def _facts(runs: list[Line]) -> dict[str, Any]:
    """Return what the template shows."""
    groups = _grouped(runs)
    learners = [run for run in runs if run["budget"] is not None]
    return {
        "claimed": {"utility": CLAIMED_UTILITY, "crashes": CLAIMED_CRASHES},
        "columns": COLUMNS,
        "world_0": [_line(*pair) for pair in _rows_of(groups, "paper", 0).items()],
        **claims(runs),
        "improvement": _improvement(groups),
        "world_columns": WORLD_COLUMNS,
        "ablation": _settings(groups, "adsac", published=False),
        "published": {name: _settings(groups, name, published=True) for name in PUBLISHED},
        "published_verdict": _verdict_published(groups),
        "tiers": [_tier(groups, tier) for tier in TIERS if _rows_of(groups, tier, 0)],
        "figures": {tier: CURVES.format(tier=tier) for tier in CURVES_OF},
        "trained": len(learners),
        "collapsed": sorted(
            f"`{run['agent']}` on {run['scenario']}, seed {run['seed']}"
            for run in learners
            if run["distinct_actions"] == 1
        ),
        "curves": _curves(groups),
    }


def claims(runs: list[Line]) -> dict[str, Any]:
    """Return what becomes of the paper's claims.

    `verdict` is that on world 0, None without `adsac` there; `worlds` sets it against heuristics in
    every world, `learners` against the best other learner of worlds 1 to 9. The last two have lists
    of margins, `utility` and `crashes`, in per cent of what the other gets.
    """
    groups = _grouped(runs)
    return {
        "verdict": _verdict(groups),
        "worlds": _worlds(groups),
        "learners": _against_learners(groups),
    }


def _grouped(runs: list[Line]) -> dict[Key, list[Line]]:
    """Return the seeds of each kind of run."""
    groups: dict[Key, list[Line]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: run["seed"]):
        facts = (run[name] for name in ("scenario", "agent", "variant"))
        world = run["world"] or 0  # the tier's own
        groups[*facts, world, run["budget"], run.get("trained_on")].append(run)
    return groups


def _values(rows: list[Line], metric: str) -> Floats:
    """Return a metric of every seed's test episodes, (seeds, 100)."""
    return np.array([row["test"][metric] for row in rows], dtype=np.float64)


def _line(name: str, rows: list[Line]) -> list[str]:
    utility, crashes = _values(rows, "utility_per_task"), _values(rows, "server_crash_rate")
    learns = _learns(rows)
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


def _rows_of(
    groups: dict[Key, list[Line]], scenario: str, world: int, elsewhere: bool = False
) -> dict[str, list[Line]]:
    """Return the runs with an agent's own settings in one world, by agent, the best first."""
    found = {
        agent if home is None else f"{agent}, trained on {home}": rows
        for (tier, agent, variant, number, budget, home), rows in groups.items()
        if (tier, variant, number) == (scenario, "default", world)
        and (elsewhere or home is None)
        and budget in (None, BUDGETS[tier])
    }
    return dict(sorted(found.items(), key=lambda pair: -_mean(pair[1])))


def _learns(rows: list[Line]) -> bool:
    return rows[0]["budget"] is not None


def _learners(found: dict[str, list[Line]]) -> dict[str, list[Line]]:
    return {name: rows for name, rows in found.items() if _learns(rows)}


def _mean(rows: list[Line]) -> float:
    return float(iqm(_values(rows, "utility_per_task").ravel()))


def _verdict(groups: dict[Key, list[Line]]) -> dict[str, Any] | None:
    """Return what becomes of the two claims on world 0."""
    found = _rows_of(groups, "paper", 0)
    if "adsac" not in found:
        return None
    # The paper compares with learners and with heuristics that do not know the qualities.
    others = [name for name in found if name not in ("adsac", "prophet", "bid-price")]
    best = next(name for name in others if not name.startswith("crash-avoid-best"))
    return {"best": best} | {name: _more(found, best, metric) for name, metric in CLAIMS.items()}


def _more(found: dict[str, list[Line]], other: str, metric: str) -> Estimate:
    """How much more of a metric `adsac` has than another agent, in per cent of the other's."""
    return _ratio(found, other, metric, offset=1)


def _ratio(found: dict[str, list[Line]], other: str, metric: str, offset: int = 0) -> Estimate:
    both = [_values(found[name], metric) for name in ("adsac", other)]
    share = ratio(*both)
    return Estimate(*(100 * (x - offset) for x in (share.value, share.low, share.high)))


def _percent(found: Estimate) -> str:
    return f"{found.value:+.1f} % [{found.low:+.1f}, {found.high:+.1f}]"


def _holds(does: bool) -> str:
    return "holds" if does else "does not hold"


WORLD_COLUMNS = ["world", "crash-avoid", "prophet", "bid-price", "adsac", "seeds"]
WORLD_COLUMNS += ["of the prophet's", "crashes: adsac", "crash-avoid", "prophet"]
WORLD_COLUMNS += ["utility against crash-avoid", "crashes against it"]


def _worlds(groups: dict[Key, list[Line]]) -> dict[str, Any]:
    """Compare `adsac` with heuristics in every world."""
    needed = {"adsac", "prophet", "crash-avoid", "bid-price"}
    worlds = {world: _rows_of(groups, "paper", world) for world in range(10)}
    worlds = {world: found for world, found in worlds.items() if needed <= found.keys()}
    return {
        "lines": [_world_line(*pair) for pair in worlds.items()],
        "shares": [_ratio(found, "prophet", "utility").value for found in worlds.values()],
        **_margins(list(worlds.values()), ["crash-avoid"] * len(worlds)),
    }


def _margins(worlds: list[dict[str, list[Line]]], others: list[str]) -> dict[str, list[float]]:
    """Return what each claim comes to in each world, against the other agent of each."""
    pairs = list(zip(worlds, others, strict=True))
    return {
        name: [_more(found, other, metric).value for found, other in pairs]
        for name, metric in CLAIMS.items()
    }


def _against_learners(groups: dict[Key, list[Line]]) -> dict[str, Any]:
    """Compare `adsac` with the best other learner in every world but the first."""
    lines, worlds, others = [], [], []
    for world in range(1, 10):
        found = _learners(_rows_of(groups, "paper", world))
        other = next((name for name in found if name != "adsac"), None)
        if other is None or "adsac" not in found:
            continue
        worlds.append(found)
        others.append(other)
        margins = (_percent(_more(found, other, metric)) for metric in CLAIMS.values())
        told = (f"{name} {_mean(rows):.3f} [{len(rows)}]" for name, rows in found.items())
        lines.append([str(world), ", ".join(told), other, *margins])
    return {"lines": lines, **_margins(worlds, others)}


def _world_line(world: int, found: dict[str, list[Line]]) -> list[str]:
    share = _ratio(found, "prophet", "utility")
    names = ("adsac", "crash-avoid", "prophet")
    crashes = [float(_values(found[name], "server_crash_rate").mean()) for name in names]
    return [
        str(world),
        *(f"{_mean(found[name]):.3f}" for name in ("crash-avoid", "prophet", "bid-price", "adsac")),
        str(len(found["adsac"])),
        f"{share.value:.1f} % [{share.low:.1f}, {share.high:.1f}]",
        *(f"{100 * rate:.2f} %" for rate in crashes),
        *(_percent(_more(found, "crash-avoid", metric)) for metric in CLAIMS.values()),
    ]


def _settings(groups: dict[Key, list[Line]], agent: str, published: bool) -> list[list[str]]:
    """Return an agent with its own settings and others on the published world."""
    found = {
        (variant, budget): rows
        for (tier, name, variant, world, budget, _), rows in groups.items()
        if (tier, name, world) == ("paper", agent, 0) and ("published" in variant) == published
    }
    return [
        _line(agent if variant == "default" else f"{agent}, {variant}", rows)
        for (variant, _), rows in sorted(found.items(), key=lambda it: -_mean(it[1]))
    ]


def _verdict_published(groups: dict[Key, list[Line]]) -> dict[str, Any] | None:
    """Return which margins are there with the published settings, at equal numbers of steps."""

    def rows(agent: str, variant: str, budget: int) -> list[Line]:
        return groups.get(("paper", agent, variant, 0, budget, None), [])

    own = rows("adsac-published", "published", 2_000)
    others = {
        "`ppo`, one step per 1,000 decisions, the whole million": ("published", 1_000_000, "ppo"),
        "`ppo` at equal steps": ("published, equal steps", 2_000, "ppo"),
        "`dqn` at equal steps": ("published", 2_000, "dqn"),
        "`d2sac` at equal steps": ("published", 2_000, "d2sac"),
    }
    if not own:
        return None
    told = []
    for name, (variant, budget, agent) in others.items():
        theirs = rows(agent, variant, budget)
        if theirs:
            word = "above" if _mean(own) > _mean(theirs) else "below"
            told.append(f"{word} {name} ({_mean(theirs):.3f})")
    return {"own": f"{_mean(own):.3f}", "told": told}


def _improvement(groups: dict[Key, list[Line]]) -> list[list[str]]:
    places: dict[str, tuple[str, list[int]]] = {
        "paper": ("paper", [0]),
        "paper, worlds 1 to 9": ("paper", list(range(1, 10))),
        "metro@1": ("metro@1", [0]),
    }
    lines = []
    for place, (tier, worlds) in places.items():
        found = [_learners(_rows_of(groups, tier, world)) for world in worlds]
        for name in found[0]:
            if name == "adsac" or not all({name, "adsac"} <= rows.keys() for rows in found):
                continue
            own, other = (_side_by_side([rows[who] for rows in found]) for who in ("adsac", name))
            p = probability_of_improvement(own, other)
            few = "" if min(len(own), len(other)) >= MIN_RUNS else " †"
            told = f"{p.value:.3f} [{p.low:.3f}, {p.high:.3f}]{few}"
            lines.append([place, name, f"{len(own)}, {len(other)}", told])
    return lines


def _side_by_side(worlds: list[list[Line]]) -> Floats:
    """Return an agent's utility per task, (seeds, 100 of each world): of the seeds all have."""
    seeds = min(map(len, worlds))
    return np.hstack([_values(rows[:seeds], "utility_per_task") for rows in worlds])


def _tier(groups: dict[Key, list[Line]], tier: str) -> dict[str, Any]:
    found = _rows_of(groups, tier, 0, elsewhere=True)
    own = _mean(found["adsac"]) if "adsac" in found else np.inf
    above = [f"`{name}`" for name in found if _mean(found[name]) > own]
    return {"name": tier, "lines": [_line(*pair) for pair in found.items()], "above": above}


def _figures(groups: dict[Key, list[Line]]) -> dict[str, Figure]:
    """Return a figure of the learning curves of all learners, by tier."""
    figures = {}
    for tier in CURVES_OF:
        found = _rows_of(groups, tier, 0)
        levels = {name: _mean(found[name]) for name in ("prophet", "crash-avoid")}
        figures[tier] = curves_figure(f"Learning curves on {tier}", _learners(found), levels)
    return figures


def _curves(groups: dict[Key, list[Line]]) -> list[list[str]]:
    """Utility per task on validation workloads at each tenth of the budget, every seed."""
    lines = []
    for (tier, agent, variant, world, budget, home), rows in sorted(groups.items(), key=str):
        if budget is None or home or world != 0:
            continue
        lines += [
            [
                f"{agent} ({tier}, {variant}, {budget:,})",
                str(row["seed"]),
                " ".join(f"{point['utility_per_task']:.2f}" for point in row["curve"]),
                " ".join(str(point["distinct_actions"]) for point in row["curve"]),
            ]
            for row in rows
        ]
    return lines


def main() -> None:
    """Run the command on this process's arguments."""
    run_command(replicate)


if __name__ == "__main__":
    main()
