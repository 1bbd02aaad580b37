"""What becomes of the ADSAC paper's two claims, and how far policies are moved from home."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from edge_marl.benchmarks.report.intervals import Estimate, FloatArray
from edge_marl.benchmarks.report.stats import difference, estimate, ratio
from edge_marl.benchmarks.study.keep import Line
from edge_marl.benchmarks.study.replication import CLAIMED_CRASHES, CLAIMED_UTILITY, claims
from edge_marl.leaderboards.boards.standings import Standing
from edge_marl.leaderboards.findings.sources import (
    Sources,
    World,
    not_measured,
    shown,
    table,
    told,
)
from edge_marl.scenario.evidence import NONE

__all__ = ["generalisation", "of_the_study", "on_the_boards"]

CLAIMED = (
    f"The paper claims at least {CLAIMED_UTILITY:+.1f} % utility and {CLAIMED_CRASHES:+.1f} % "
    "server crashes against the best existing method."
)


def of_the_study(sources: Sources) -> str:
    """What the kept runs say of the claims, on the published world and on others."""
    found = claims(list(sources.lines))
    said = [CLAIMED, *_published_world(found), *_other_worlds(found)]
    if len(said) == 1:
        said.append(not_measured("Both", "edge-marl run --suite paper"))
    return " ".join(said)


def _published_world(found: dict[str, Any]) -> list[str]:
    verdict = found["verdict"]
    if verdict is None:
        return []
    utility, crashes = verdict["utility"], verdict["crashes"]
    return [
        f"On world 0 the best that does not know the qualities is `{verdict['best']}`: against it "
        f"`adsac` gets {shown(utility, 1, '+')} % utility and {shown(crashes, 1, '+')} % crashes; "
        f"the claim on utility {_holds(utility.value >= CLAIMED_UTILITY)}, that on crashes "
        f"{_holds(crashes.value <= CLAIMED_CRASHES)}."
    ]


def _other_worlds(found: dict[str, Any]) -> list[str]:
    said = []
    for name, against in (("learners", "the best other learner"), ("worlds", "crash-avoid")):
        utility, crashes = found[name]["utility"], found[name]["crashes"]
        if utility:
            said.append(
                f"Against {against} of each of {len(utility)} worlds the claim on utility holds in "
                f"{sum(one >= CLAIMED_UTILITY for one in utility)} ({min(utility):+.1f} to "
                f"{max(utility):+.1f} %), that on crashes in "
                f"{sum(one <= CLAIMED_CRASHES for one in crashes)} ({min(crashes):+.1f} to "
                f"{max(crashes):+.1f} %)."
            )
    return said


def _holds(does: bool) -> str:
    return "holds" if does else "does not hold"


def on_the_boards(sources: Sources) -> str:
    """The same of entries: `adsac` against the best other learner of its class."""
    head = ["board", "`adsac`", "best other learner", "utility against it (%)"]
    head += ["crashes against it (%)", "claims that hold"]
    rows, missing = [], []
    for world in sources.tiers:
        pair = _own_and_other(world)
        if pair is None:
            missing.append(world.name)
            continue
        own, other = pair
        utility = _more(own, other, "utility_per_task")
        crashes = _more(own, other, "server_crash_rate")
        holds = ["utility"] if utility and utility.value >= CLAIMED_UTILITY else []
        holds += ["crashes"] if crashes and crashes.value <= CLAIMED_CRASHES else []
        rows.append(
            [world.name, told(own), told(other)]
            + [NONE if one is None else shown(one, 1, "+") for one in (utility, crashes)]
            + [" and ".join(holds) or "none"]
        )
    said = []
    if missing:
        command = "edge-marl run --scenario TIER --agents adsac,ppo --budget 1000000"
        names = ", ".join(f"`{name}`" for name in missing)
        said.append(
            f"No entries of `adsac` and another learner of its class: {names} (`{command}`)."
        )
    return "\n\n".join([*([table(head, rows, left=3)] if rows else []), *said])


def _own_and_other(world: World) -> tuple[Standing, Standing] | None:
    own = world.own
    if own is None or own.row is None:
        return None
    others = (one for one in world.learners if one.row and one.agent != "adsac")
    other = next((one for one in others if one.budget == own.budget), None)
    return None if other is None else (own, other)


def _more(own: Standing, other: Standing, metric: str) -> Estimate | None:
    """How much more of a metric one entry's log has than the other's, in per cent of that."""
    values = [_logged(one, metric) for one in (own, other)]
    if values[0] is None or values[1] is None or not values[1].mean():
        return None
    share = ratio(values[0], values[1])
    return Estimate(*(100 * (part - 1) for part in (share.value, share.low, share.high)))


def _logged(one: Standing, metric: str) -> FloatArray | None:
    assert one.row is not None
    runs = [run.metrics.get(metric) for run in one.row.submission.runs]
    values = np.array([run or (np.nan,) for run in runs], dtype=np.float64)
    return values if np.isfinite(values).all() else None


def generalisation(sources: Sources) -> str:
    """What a policy gets in a world that it was not trained in, of the study's kept runs."""
    groups: dict[tuple[str, str, str | None], list[Line]] = defaultdict(list)
    for line in sources.lines:
        if line["variant"] == "default" and line["budget"] is not None:
            groups[line["agent"], line["scenario"], line.get("trained_on")].append(line)
    rows = []
    for (agent, scenario, home), lines in sorted(groups.items(), key=str):
        there = groups.get((agent, scenario, None))
        if home is None:
            continue
        moved = _utility(lines)
        cells = [agent, home, scenario, str(len(lines)), shown(estimate(moved))]
        if there and there[0]["budget"] == lines[0]["budget"]:
            trained = _utility(there)
            cells += [shown(estimate(trained)), shown(difference(moved, trained), sign="+")]
        else:
            cells += [NONE, NONE]
        rows.append(cells)
    command = "edge-marl run --suite generalise"
    said = [not_measured("The test sets of version 2 (half, double, new city)", command)]
    kept = {line["scenario"].split("@")[0] for line in sources.lines}
    if any(name.endswith(("-half", "-double", "-city")) for name in kept):
        said = []
    if rows:
        head = ["learner", "trained on", "played on", "seeds", "utility", "trained there"]
        said.insert(0, table([*head, "difference"], rows, left=3))
    return "\n\n".join(said)


def _utility(lines: list[Line]) -> FloatArray:
    return np.array([line["test"]["utility_per_task"] for line in lines], dtype=np.float64)
