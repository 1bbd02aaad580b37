"""The replication study, from the runs that `keep.py` kept.

    python -m edge_marl.benchmarks.study.replication

Writes `benchmarks/study/replication.md`. All figures are of the 100 test workloads; agents were
selected on validation workloads. An interval is over training seeds and workloads (`stats.py`).
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edge_marl.benchmarks.report.bootstrap import Estimate, iqm
from edge_marl.benchmarks.report.score_figure import canvas
from edge_marl.benchmarks.report.stats import MIN_RUNS, estimate, probability_of_improvement, ratio
from edge_marl.benchmarks.study.curves import curves_figure
from edge_marl.benchmarks.study.keep import BUDGETS, RUNS, Line, read_lines
from edge_marl.console import results, run_command
from edge_marl.errors import RecordError
from edge_marl.files import write_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["main", "report"]

REPORT = Path(__file__).parent / "replication.md"
CURVES = "learning_curves_{tier}.png"
"""Name of a tier's figure of learning curves, beside the kept runs."""

CLAIMED_UTILITY, CLAIMED_CRASHES = 30.4, -17.2
"""Per cent against the best existing method (ADSAC paper, IEEE TCCN 2025)."""

Floats = npt.NDArray[np.float64]
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
    """Return the report, in Markdown."""
    groups = _grouped(runs)
    parts = [
        HEAD,
        "## World 0: who is best\n",
        _world_0(groups),
        _verdict(groups),
        "## How often `adsac` is better\n",
        IMPROVEMENT,
        _improvement(groups),
        "## Worlds 0 to 9\n",
        _worlds(groups),
        "## Worlds 1 to 9: against tuned learners\n",
        LEARNERS,
        _against_learners(groups),
        "## What `adsac` is without its parts\n",
        _table(groups, "adsac", published=False),
        "## The published settings, as far as they were run\n",
        PUBLISHED,
        *(
            _table(groups, name, published=True)
            for name in ("ppo", "dqn", "d2sac", "adsac-published")
        ),
        _verdict_published(groups),
        "## Tiers with new topologies\n",
        TIERS,
        _tier(groups, "campus"),
        _tier(groups, "metro"),
        _tier(groups, "nation"),
        "## Learning curves\n",
        *(f"![{tier}]({CURVES.format(tier=tier)})\n" for tier in CURVES_OF),
        _collapsed(runs),
        _curves(groups),
    ]
    return "\n".join(parts)


def _grouped(runs: list[Line]) -> dict[Key, list[Line]]:
    """Return the seeds of each kind of run."""
    groups: dict[Key, list[Line]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: run["seed"]):
        facts = (run[name] for name in ("scenario", "agent", "variant"))
        world = run["world"] or 0  # the tier's own
        groups[*facts, world, run["budget"], run.get("trained_on")].append(run)
    return groups


HEAD = """# Replication of the ADSAC paper's two claims

Made by `python -m edge_marl.benchmarks.study.replication` from runs of the suites `paper` and
`study-*`, as `python -m edge_marl.benchmarks.study.keep` keeps them in `runs.jsonl`.

The paper claims at least +30.4 % user utility and -17.2 % server crash rate against the best
existing method. Two questions are kept apart: whether the table comes out with the settings that
were published, and whether ADSAC is better than baselines that were tuned with the same care.

Utility per task is the interquartile mean over training seeds and the 100 test workloads, with a
95 % interval where there are at least five seeds; with fewer, the range of the seeds' means.
Shares and percentages are of means over seeds and workloads, with a 95 % interval over both.
Crashes are server crashes per dispatched task. A learner's decisions are those it trained on;
which of its policies plays was selected on validation workloads.
"""

PUBLISHED = """A million updates are published. One update of `d2sac` takes 0.07 s here and one of
`adsac-published` 0.26 s (`python -m edge_marl.benchmarks.measure.learning_speed`): nineteen
hours, and three days, per seed.
What follows is a small part of that budget, stated per row, and says nothing about where the
published runs end. Only PPO goes to its end, as it takes one gradient step per 1,000 decisions,
where the others take 1,000; with *equal steps* it takes as many as they do.
"""

TIERS = """Settings are those that the search chose on `campus`
(`python -m edge_marl.benchmarks.study.search campus`). An agent *trained on campus* plays as it is
in a tier that it was never trained in.
"""

LEARNERS = """The learners that were best on world 0, with the settings they have there; in
brackets the number of seeds.
"""

IMPROVEMENT = """The probability that a run of `adsac` gets more than a run of the other agent on
the same workload, with a 95 % interval over runs and workloads; † fewer than five seeds. Over
several worlds it is their mean, each training seed drawn in all of them at once.
"""


def _values(rows: list[Line], metric: str) -> Floats:
    """Return a metric of every seed's test episodes, (seeds, 100)."""
    return np.array([row["test"][metric] for row in rows])


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


def _markdown(columns: list[str], lines: list[list[str]]) -> str:
    head = [columns, ["---"] * len(columns)]
    return "".join(f"| {' | '.join(line)} |\n" for line in [*head, *lines])


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


def _world_0(groups: dict[Key, list[Line]]) -> str:
    found = _rows_of(groups, "paper", 0)
    return _markdown(COLUMNS, [_line(agent, rows) for agent, rows in found.items()])


def _verdict(groups: dict[Key, list[Line]]) -> str:
    """Say what becomes of the two claims on world 0."""
    found = _rows_of(groups, "paper", 0)
    if "adsac" not in found:
        return ""
    # The paper compares with learners and with heuristics that do not know the qualities.
    others = [name for name in found if name not in ("adsac", "prophet", "bid-price")]
    best = next(name for name in others if not name.startswith("crash-avoid-best"))
    utility = _more(found, "adsac", best, "utility_per_task")
    crashes = _more(found, "adsac", best, "server_crash_rate")
    return f"""
**Verdict, tuned baselines, world 0.** The best existing method that does not know the qualities
is `{best}`. Against it `adsac` gets {_percent(utility)} utility per task (claimed: at least
{CLAIMED_UTILITY:+.1f} %) and {_percent(crashes)} server crashes (claimed:
{CLAIMED_CRASHES:+.1f} %). The claim on utility {_holds(utility.value >= CLAIMED_UTILITY)}, the
claim on crashes {_holds(crashes.value <= CLAIMED_CRASHES)}.
"""


def _more(found: dict[str, list[Line]], one: str, other: str, metric: str) -> Estimate:
    """How much more of a metric one agent has than another, in per cent of the other's."""
    share = ratio(_values(found[one], metric), _values(found[other], metric), agents=(one, other))
    return Estimate(*(100 * (x - 1) for x in (share.value, share.low, share.high)))


def _percent(found: Estimate) -> str:
    return f"{found.value:+.1f} % [{found.low:+.1f}, {found.high:+.1f}]"


def _holds(does: bool) -> str:
    return "holds" if does else "does not hold"


WORLD_COLUMNS = ["world", "crash-avoid", "prophet", "bid-price", "adsac", "seeds"]
WORLD_COLUMNS += ["of the prophet's", "crashes: adsac", "crash-avoid", "prophet"]
WORLD_COLUMNS += ["utility against crash-avoid", "crashes against it"]


def _worlds(groups: dict[Key, list[Line]]) -> str:
    """Compare `adsac` with heuristics in every world."""
    needed = {"adsac", "prophet", "crash-avoid", "bid-price"}
    worlds = {world: _rows_of(groups, "paper", world) for world in range(10)}
    worlds = {world: found for world, found in worlds.items() if needed <= found.keys()}
    table = _markdown(WORLD_COLUMNS, [_world_line(*pair) for pair in worlds.items()])
    shares = [_share(found).value for found in worlds.values()]
    if len(shares) < 2:
        return table
    return f"""{table}
`adsac` gets {shares[0]:.1f} % of the prophet's return on world 0 and {np.mean(shares[1:]):.1f} % on
average over worlds 1 to 9 (means over seeds and workloads).

**Verdict, heuristics alone.** Against crash-avoid, the best of the heuristics that do not know the
qualities, {_claims(list(worlds.values()), ["crash-avoid"] * len(worlds))}.
"""


def _claims(worlds: list[dict[str, list[Line]]], others: list[str]) -> str:
    """Say in how many worlds each claim holds against the other agent of each."""
    utility, crashes = (
        [
            _more(found, "adsac", other, metric).value
            for found, other in zip(worlds, others, strict=True)
        ]
        for metric in ("utility_per_task", "server_crash_rate")
    )
    return (
        f"the claim on utility holds in {sum(x >= CLAIMED_UTILITY for x in utility)} of\n"
        f"{len(worlds)} worlds ({min(utility):+.1f} to {max(utility):+.1f} %), that on crashes in "
        f"{sum(x <= CLAIMED_CRASHES for x in crashes)} ({min(crashes):+.1f} to "
        f"{max(crashes):+.1f} %)"
    )


def _against_learners(groups: dict[Key, list[Line]]) -> str:
    """Compare `adsac` with the best other learner in every world but the first."""
    lines, worlds, others = [], [], []
    for world in range(1, 10):
        found = _learners(_rows_of(groups, "paper", world))
        other = next((name for name in found if name != "adsac"), None)
        if other is None or "adsac" not in found:
            continue
        worlds.append(found)
        others.append(other)
        utility, crashes = (
            _percent(_more(found, "adsac", other, metric))
            for metric in ("utility_per_task", "server_crash_rate")
        )
        told = (f"{name} {_mean(rows):.3f} [{len(rows)}]" for name, rows in found.items())
        lines.append([str(world), ", ".join(told), other, utility, crashes])
    if not worlds:
        return "Not run yet.\n"
    columns = ["world", "learners", "best but `adsac`", "utility against it", "crashes against it"]
    return f"""{_markdown(columns, lines)}
**Verdict, tuned learners, worlds 1 to 9.** Against the best other learner of each world
{_claims(worlds, others)}.
"""


def _world_line(world: int, found: dict[str, list[Line]]) -> list[str]:
    share = _share(found)
    names = ("adsac", "crash-avoid", "prophet")
    crashes = [float(_values(found[name], "server_crash_rate").mean()) for name in names]
    return [
        str(world),
        *(f"{_mean(found[name]):.3f}" for name in ("crash-avoid", "prophet", "bid-price", "adsac")),
        str(len(found["adsac"])),
        f"{share.value:.1f} % [{share.low:.1f}, {share.high:.1f}]",
        *(f"{100 * rate:.2f} %" for rate in crashes),
        _percent(_more(found, "adsac", "crash-avoid", "utility_per_task")),
        _percent(_more(found, "adsac", "crash-avoid", "server_crash_rate")),
    ]


def _share(found: dict[str, list[Line]]) -> Estimate:
    """`adsac`'s return in per cent of the prophet's."""
    returns = [_values(found[name], "utility") for name in ("adsac", "prophet")]
    share = ratio(*returns, agents=("adsac", "prophet"))
    return Estimate(*(100 * x for x in (share.value, share.low, share.high)))


def _table(groups: dict[Key, list[Line]], agent: str, published: bool) -> str:
    """An agent with its own settings and others on the published world."""
    found = {
        (variant, budget): rows
        for (tier, name, variant, world, budget, _), rows in groups.items()
        if (tier, name, world) == ("paper", agent, 0) and ("published" in variant) == published
    }
    lines = [
        _line(agent if variant == "default" else f"{agent}, {variant}", rows)
        for (variant, _), rows in sorted(found.items(), key=lambda it: -_mean(it[1]))
    ]
    return _markdown(COLUMNS, lines) if lines else f"`{agent}`: not run yet.\n"


def _verdict_published(groups: dict[Key, list[Line]]) -> str:
    """Say which margins are there with the published settings, at equal numbers of steps."""

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
        return "`adsac-published` was not run: no verdict.\n"
    told = []
    for name, (variant, budget, agent) in others.items():
        theirs = rows(agent, variant, budget)
        if theirs:
            word = "above" if _mean(own) > _mean(theirs) else "below"
            told.append(f"{word} {name} ({_mean(theirs):.3f})")
    return f"""
**Verdict, published settings.** After 2,000 gradient steps `adsac-published` stands at
{_mean(own):.3f} utility per task: {"; ".join(told)}. Whether the paper's table comes out after the
whole million of gradient steps was not tested: it would take days per seed.
"""


def _improvement(groups: dict[Key, list[Line]]) -> str:
    places: dict[str, tuple[str, list[int]]] = {
        "paper": ("paper", [0]),
        "paper, worlds 1 to 9": ("paper", list(range(1, 10))),
        "metro": ("metro", [0]),
    }
    lines = []
    for place, (tier, worlds) in places.items():
        found = [_learners(_rows_of(groups, tier, world)) for world in worlds]
        for name in found[0]:
            if name == "adsac" or not all({name, "adsac"} <= rows.keys() for rows in found):
                continue
            own, other = (_side_by_side([rows[who] for rows in found]) for who in ("adsac", name))
            p = probability_of_improvement(own, other, agents=("adsac", name), scenario=tier)
            few = "" if min(len(own), len(other)) >= MIN_RUNS else " †"
            told = f"{p.value:.3f} [{p.low:.3f}, {p.high:.3f}]{few}"
            lines.append([place, name, f"{len(own)}, {len(other)}", told])
    return _markdown(["tier", "than", "seeds", "probability"], lines)


def _side_by_side(worlds: list[list[Line]]) -> Floats:
    """Return an agent's utility per task, (seeds, 100 of each world): of the seeds all have."""
    seeds = min(map(len, worlds))
    return np.hstack([_values(rows[:seeds], "utility_per_task") for rows in worlds])


def _tier(groups: dict[Key, list[Line]], tier: str) -> str:
    found = _rows_of(groups, tier, 0, elsewhere=True)
    lines = [_line(agent, rows) for agent, rows in found.items()]
    if "adsac" not in found:
        return ""
    above = [name for name in found if _mean(found[name]) > _mean(found["adsac"])]
    told = ", ".join(f"`{name}`" for name in above) or "none"
    return f"### {tier}\n\n{_markdown(COLUMNS, lines)}\nAbove `adsac` trained here: {told}.\n"


CURVES_OF = ("paper", "metro")
"""Tiers whose curves are drawn, of their own world."""


def _figures(groups: dict[Key, list[Line]]) -> dict[str, Figure]:
    """Return a figure of the learning curves of all learners, by tier."""
    figures = {}
    for tier in CURVES_OF:
        found = _rows_of(groups, tier, 0)
        levels = {name: _mean(found[name]) for name in ("prophet", "crash-avoid")}
        figures[tier] = curves_figure(f"Learning curves on {tier}", _learners(found), levels)
    return figures


def _collapsed(runs: list[Line]) -> str:
    """Say which trained agents take a single action whatever they see."""
    learners = [run for run in runs if run["budget"] is not None]
    lost = sorted(
        f"`{run['agent']}` on {run['scenario']}, seed {run['seed']}"
        for run in learners
        if run["distinct_actions"] == 1
    )
    told = f": {', '.join(lost)}" if lost else ""
    return f"""{len(lost)} of the {len(learners)} trained agents end in a single action{told}.
Distinct actions are those taken on the workloads in question.
"""


def _curves(groups: dict[Key, list[Line]]) -> str:
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
    columns = ["agent", "seed", "utility per task, validation", "distinct actions"]
    return _markdown(columns, lines)


def main() -> None:
    """Run the command on this process's arguments."""
    run_command(replicate)


if __name__ == "__main__":
    main()
