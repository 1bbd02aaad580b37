"""What heuristics reach on the released tiers: written by `benchmarks.release`, and shipped."""

from __future__ import annotations

import json
from typing import Any

from edge_marl import tiers
from edge_marl.scenario.scenario import Scenario

__all__ = [
    "by_utility",
    "gap_told",
    "learner_told",
    "parts_told",
    "played_parts",
    "read_evidence",
    "reference_of",
    "references_of_game",
    "rows_of_game",
    "rows_without",
    "with_interval",
]

Evidence = dict[str, Any]

NONE = "-"
"""In a table, what there is not."""


def read_evidence(scenario: Scenario) -> Evidence | None:
    """Return the evidence that is shipped with a tier; None if there is none of this digest."""
    file = tiers.FOLDER.joinpath("evidence", f"{scenario.release}.json")
    if not file.is_file():
        return None
    evidence: Evidence = json.loads(file.read_text("utf-8"))
    return evidence if evidence["scenario"] == scenario.digest else None


def reference_of(scenario: Scenario) -> tuple[str, list[float]] | None:
    """Return the best known reference of a released game, and what it got per task.

    That is on each of the test workloads, in order. None where no evidence is shipped.
    """
    found = (read_evidence(scenario) or {}).get("reference")
    return None if found is None else (found["agent"], found["utility_per_task"])


def by_utility(agents: dict[str, Any]) -> list[str]:
    """Return agents' names, the best first; of equals, in order of the alphabet."""
    return sorted(agents, key=lambda name: (-agents[name]["utility_per_task"][0], name))


def rows_without(evidence: Evidence) -> list[tuple[str, ...]]:
    """Return the table of what is left without each part, its head first; empty if not measured.

    The first row is of the tier as it is, the others are of its parts, and follow the size of the
    difference that it makes for the best agent to switch one off.
    """
    if "parts" not in evidence:
        return []
    agents, parts = evidence["agents"], evidence["parts"]
    ranked = played_parts(evidence)
    whole = {"best": ranked[0], "first_three": ranked[:3], "learner": evidence.get("learner")}
    whole["utility_per_task"] = agents[ranked[0]]["utility_per_task"]
    rows: list[tuple[str, ...]] = [
        ("without", "best", "utility per request", "difference", "first three", "earns")
    ]
    rows.append((NONE, *_figures(whole), NONE))
    played = {name: part for name, part in parts.items() if "left_out" not in part}
    for name in sorted(played, key=lambda name: -abs(played[name]["difference"][0])):
        rows.append((name, *_figures(played[name]), "yes" if played[name]["earns"] else "no"))
    for name, part in parts.items():
        if name not in played:
            rows.append((name, *[NONE] * 3, part["left_out"], NONE))
    if not any("learner" in part for part in parts.values()):
        return rows
    learners = [_learner(whole), *(_learner(parts[row[0]]) for row in rows[2:])]
    return [(*row, told) for row, told in zip(rows, ["learner", *learners], strict=True)]


def played_parts(evidence: Evidence) -> list[str]:
    """Return the agents that were there when parts were switched off, the best first."""
    later = evidence.get("after_parts", ())
    return [name for name in by_utility(evidence["agents"]) if name not in later]


def parts_told(evidence: Evidence) -> str:
    """Return the heading of that table."""
    if not (later := evidence.get("after_parts")):
        return "Without each part:"
    return f"Without each part, before there was {' and '.join(later)}:"


def references_of_game(evidence: Evidence) -> dict[str, Any]:
    """Return what a game's references got, by name: the best in turn, and `central`."""
    if "in_turn" not in evidence:
        return {}
    best = by_utility(evidence["in_turn"])[0]
    return {f"in-turn:{best}": evidence["in_turn"][best], "central": evidence["central"]}


def rows_of_game(evidence: Evidence) -> list[tuple[str, ...]]:
    """Return the table of what a game's agents get on either clock and in turn, its head first.

    Empty for a tier, which has no slots. The first is the best with all gateways at once.
    """
    if "in_turn" not in evidence:
        return []
    rows: list[tuple[str, ...]] = [("agent", "at once", "on events", "difference", "in turn")]
    for name in by_utility(evidence["agents"]):
        events, figures = evidence["events"][name], [evidence["agents"][name]["utility_per_task"]]
        figures += [events["utility_per_task"], None, evidence["in_turn"][name]["utility_per_task"]]
        told = [with_interval(figure) for figure in figures]
        told[2] = with_interval(events["difference"], "+")
        rows.append((name, *told))
    return rows


def gap_told(evidence: Evidence) -> str:
    """Return what coordination within a slot is worth in a game, in a sentence."""
    alone, in_turn = evidence["agents"], evidence["in_turn"]
    best, together = by_utility(alone)[0], by_utility(in_turn)[0]
    gap = in_turn[together]["utility_per_task"][0] - alone[best]["utility_per_task"][0]
    return (
        f"The coordination gap is {gap:.3f} per request: {together} in turn gets "
        f"{with_interval(in_turn[together]['utility_per_task'])}, {best}, the best at once, "
        f"{with_interval(alone[best]['utility_per_task'])}."
    )


def learner_told(learner: Evidence) -> str:
    """Return what a learner got, in words."""
    seeds = f"{learner['seeds']} seeds" if learner["seeds"] > 1 else "1 seed"
    utility = with_interval(learner["utility_per_task"])
    return f"{learner['agent']}, {learner['budget']:,} decisions, {seeds}: {utility}"


def _learner(entry: Evidence) -> str:
    learner = entry.get("learner")
    return f"{learner['agent']} {with_interval(learner['utility_per_task'])}" if learner else NONE


def _figures(entry: Evidence) -> tuple[str, str, str, str]:
    utility, difference = entry["utility_per_task"], entry.get("difference")
    three = ", ".join(entry["first_three"])
    if "cannot_play" in entry:
        three += f" (without {', '.join(entry['cannot_play'])})"
    return entry["best"], with_interval(utility), with_interval(difference, "+"), three


def with_interval(figures: list[float] | None, sign: str = "") -> str:
    """Return value, low and high end as a table has them; `sign` is `+` for one in any case."""
    if figures is None:
        return NONE
    value, low, high = (f"{figure:{sign}.3f}" for figure in figures)
    return f"{value} [{low}, {high}]"
