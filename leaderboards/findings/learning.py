"""What the parts of `adsac`, its network and its budget are worth, and how fast learners learn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from edge_marl.benchmarks.plan.budgets import BUDGETS
from edge_marl.benchmarks.report.intervals import FloatArray
from edge_marl.benchmarks.report.stats import difference
from edge_marl.benchmarks.study.keep import Line
from edge_marl.leaderboards.boards.board import BoardRow
from edge_marl.leaderboards.boards.standings import Standing
from edge_marl.leaderboards.findings.sources import (
    Sources,
    World,
    not_measured,
    shown,
    table,
    told,
)
from edge_marl.leaderboards.submission.schema import each_told
from edge_marl.scenario.evidence import NONE

__all__ = ["budgets", "credit", "efficiency", "networks", "parts_of_adsac"]

QUESTIONS = {
    "attention": ("attention", "--suite study-ablation"),
    "the number of diffusion steps": ("denoising_steps", "--suite study-ablation"),
    "the number of noise draws": ("noise_draws", "--suite study-ablation"),
    "the network over legal pairs": (
        "network",
        '--scenario TIER --agents "adsac,adsac network=pairs" --seeds 5 --episodes 100',
    ),
    "a prior to start from": (
        "prior",
        '--scenario TIER --agents "adsac network=pairs,adsac network=pairs prior=none" '
        "--seeds 5 --episodes 100",
    ),
}
"""What may be changed of `adsac`: a setting, and the run that measures it."""

SHARES = (0.1, 0.3, 0.5, 1.0)
"""Of a training's budget at which its curve is shown."""


def parts_of_adsac(sources: Sources) -> str:
    """What changes where one setting of `adsac` does, of the study's kept runs."""
    rows, asked = [], set[str]()
    for setting, lines, changed in _changed(sources.lines):
        of, without = _utility(lines), _utility(changed)
        found = difference(without, of)
        line = changed[0]
        asked.add(setting)
        apart = "no" if found.low <= 0 <= found.high else "yes"
        cells = [*each_told({setting: line["settings"][setting]}), _spec(lines[0])]
        cells += [line["scenario"], f"{line['budget']:,}", str(len(changed))]
        means = [f"{values.mean():.3f}" for values in (of, without)]
        rows.append([*cells, *means, shown(found, sign="+"), apart])
    missing = [
        not_measured(f"What {name} is worth to `adsac`", f"edge-marl run {command}")
        for name, (setting, command) in QUESTIONS.items()
        if setting not in asked
    ]
    if not rows:
        return "\n\n".join(missing)
    head = ["changed", "of", "tier", "decisions", "seeds", "as it is", "changed", "difference"]
    said = (
        "Means over seeds and test workloads; the difference is paired by workload, and apart "
        "where its interval does not hold zero. "
        "Kept by `python -m edge_marl.benchmarks.study.keep`."
    )
    return "\n\n".join([table([*head, "apart"], rows, left=3), said, *missing])


def _changed(lines: Iterable[Line]) -> list[tuple[str, list[Line], list[Line]]]:
    """Return what differs in one setting of `adsac` alone: which, runs without it, and with it."""
    places: dict[tuple[object, ...], dict[str, list[Line]]] = defaultdict(lambda: defaultdict(list))
    for line in lines:
        if line["agent"] == "adsac" and not line.get("trained_on") and line.get("split") != "train":
            place = (line["scenario"], line["world"] or 0, line["budget"])
            places[place][_spec(line)].append(line)
    pairs = []
    for _, runs in sorted(places.items(), key=str):
        for changed in runs.values():
            settings = changed[0].get("settings") or {}
            for setting in settings:
                others = {name: value for name, value in settings.items() if name != setting}
                as_it_is = runs.get(_spec({"agent": "adsac", "settings": others}))
                if as_it_is:
                    pairs.append((setting, as_it_is, changed))
    return pairs


def _spec(line: Line) -> str:
    """Return an agent with the settings that it was run with, in order."""
    return " ".join([line["agent"], *each_told(line.get("settings") or {})])


def _utility(lines: list[Line]) -> FloatArray:
    return np.array([line["test"]["utility_per_task"] for line in lines], dtype=np.float64)


def networks(sources: Sources) -> str:
    """What the network over legal pairs changes, of entries that differ in it alone."""
    head = ["board", "learner", "class", "flat", "pairs", "difference"]
    rows = []
    for world in sources.worlds:
        entries = {(one.name, one.budget): one for one in _entered(world)}
        for (name, budget), pairs in entries.items():
            flat = entries.get((name.replace(" network=pairs", ""), budget))
            if "network=pairs" in name and flat is not None and _network(flat) == "flat":
                rows.append([world.name, name.split()[0], str(budget), *_both(flat, pairs)])
    if rows:
        return table(head, rows, left=3)
    return not_measured("`network=pairs` beside the flat one of the same class", _RUN)


_RUN = 'edge-marl run --scenario TIER --agents "ppo,ppo network=pairs" --budget 1000000'


def budgets(sources: Sources) -> str:
    """What a larger class of budgets changes, of entries that differ in it alone."""
    head = ["board", "learner", "smaller class", "larger class", "from", "to", "difference"]
    rows, order = [], list(BUDGETS)
    for world in sources.worlds:
        names = sorted({one.name for one in _entered(world)})
        for name in names:
            ones = [one for one in _entered(world) if one.name == name]
            ones.sort(key=lambda one: order.index(one.budget or "open"))
            for small, large in pairwise(ones):
                cells = [world.name, name, f"{small.budget} ({_budget(small)})"]
                rows.append([*cells, f"{large.budget} ({_budget(large)})", *_both(small, large)])
    if rows:
        return table(head, rows, left=4)
    command = "edge-marl run --scenario TIER --agents AGENT --budget 48000, and 1000000"
    return not_measured("One learner in two classes of one board", command)


def credit(sources: Sources) -> str:
    """What `outcome`, which credits decisions by their own tasks alone, gets beside returns."""
    head = ["board", "`outcome`", "best learner of returns in its class", "difference"]
    rows = []
    for world in sources.worlds:
        learners = _entered(world)
        own = next((one for one in learners if one.agent == "outcome"), None)
        others = [one for one in learners if one is not own and own and one.budget == own.budget]
        if own is not None and others:
            rows.append([world.name, told(own), told(others[0]), _both(others[0], own)[2]])
    if rows:
        return table(head, rows, left=3)
    command = 'edge-marl run --scenario TIER --agents "outcome,ppo network=pairs" --budget 1000000'
    return not_measured("`outcome` beside a learner of returns of its class", command)


def _entered(world: World) -> list[Standing]:
    return [one for one in world.learners if one.row is not None]


def _network(one: Standing) -> object:
    return one.row.submission.agent.settings.get("network", "flat") if one.row else None


def _budget(one: Standing) -> str:
    return f"{one.row.submission.about.training.budget:,}" if one.row else NONE


def _both(one: Standing, other: Standing) -> list[str]:
    apart = one.utility.high < other.utility.low or other.utility.high < one.utility.low
    told = f"{other.utility.value - one.utility.value:+.3f}"
    return [shown(one.utility), shown(other.utility), told if apart else f"{told}, not apart"]


def efficiency(sources: Sources) -> str:
    """How much of its training a learner needs, of the curves of entries."""
    parts = [f"after {100 * share:g} %" for share in SHARES]
    head = ["board", "learner", "decisions", *parts, "passes the best heuristic after"]
    rows = [
        [world.name, one.name, _budget(one), *_at(one.row, world)]
        for world in sources.worlds
        for one in _entered(world)
        if one.row is not None and _curve(one.row) is not None
    ]
    if not rows:
        return not_measured("Learning curves of entries", "edge-marl submit RUN")
    said = (
        "Utility per request on validation workloads, mean over seeds, reported by entries and not "
        "checked; the best heuristic is that of the test workloads."
    )
    return f"{table(head, rows, left=2)}\n\n{said}"


def _curve(row: BoardRow) -> tuple[FloatArray, FloatArray] | None:
    """Return decisions and mean utility at each point that all runs have; None without a curve."""
    curves = [run.curve or () for run in row.submission.runs]
    points = min(map(len, curves))
    values = np.array([[value for _, value in curve[:points]] for curve in curves], dtype=float)
    if not points or not np.isfinite(values).all():
        return None
    at = np.array([[at for at, _ in curve[:points]] for curve in curves], dtype=float)
    return at.mean(axis=0), values.mean(axis=0)


def _at(row: BoardRow | None, world: World) -> list[str]:
    curve = _curve(row) if row else None
    assert curve is not None
    decisions, utility = curve
    end = decisions[-1]
    cells = [f"{utility[np.abs(decisions - share * end).argmin()]:.3f}" for share in SHARES]
    best = world.heuristic
    above = decisions[utility > best.utility.value] if best else decisions[:0]
    return [*cells, f"{above[0]:,.0f}" if above.size else "never"]
