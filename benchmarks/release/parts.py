"""The evidence part by part: what is left of a tier when one part alone is switched off.

    python -m edge_marl.benchmarks.release.evidence metro --parts
    python -m edge_marl.benchmarks.release.evidence metro --learner results/metro

Every part that a tier has on shall earn its place: without it, what the best agent gets changes by
more than the 95 % interval of what it gets, or the first three agents are others, or in another
order. The agents are those that lead on the tier as it is, and random dispatch; the workloads are
those of the same test seeds, so that differences are paired. Learners are run by `edge-marl run`,
and what the best of a run got is shown beside.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_marl.agents import Agent, make
from edge_marl.benchmarks.plan.cells import AgentEntry, Anchors, Arena, Cell, Plan
from edge_marl.benchmarks.plan.sources import agent_code, code_digest
from edge_marl.benchmarks.records.provenance import usable_cores
from edge_marl.benchmarks.records.records import read_plan, read_record
from edge_marl.benchmarks.report.intervals import Estimate, FloatArray
from edge_marl.benchmarks.report.results import read_runs
from edge_marl.benchmarks.report.stats import estimate
from edge_marl.benchmarks.run.executors import Processes
from edge_marl.benchmarks.run.progress import Lines
from edge_marl.benchmarks.run.runner import run_plan
from edge_marl.console import problems
from edge_marl.errors import AgentError, RecordError, ScenarioError
from edge_marl.scenario import Scenario
from edge_marl.scenario.ablation import parts_of, without
from edge_marl.scenario.evidence import by_utility

__all__ = ["LEADING", "earns", "plan_without_anchors", "play_parts", "rounded", "with_learners"]

LEADING = 8
"""Agents that play on without a part: the best of the tier as it is. Without refunds there is no
bound, and those whose prices come from it cannot play: enough have to be left to rank."""

LOWEST = "random"
"""Plays as well."""

Evidence = dict[str, Any]
Utilities = dict[str, FloatArray]
"""Utility per task by agent, (1, workloads)."""


class _Plan(Plan):
    """A plan without anchors: differences need no bound, which takes longer than all the rest."""

    def jobs(self) -> list[Cell | Anchors]:
        """Return the cells."""
        return [job for job in super().jobs() if isinstance(job, Cell)]


def play_parts(scenario: Scenario, evidence: Evidence, folder: Path) -> dict[str, Evidence]:
    """Play a tier without each of its parts; return what is left, by part.

    Args:
        scenario: the tier.
        evidence: of the tier as it is: which agents lead, and on how many workloads.
        folder: keeps every cell, so that a run that was stopped goes on.

    Returns:
        For each part the best agent without it, its utility per task and how much more that is than
        what the best gets with it, both as [mean, low, high], the first three agents, whether the
        part earns its place, and which agents `cannot_play` without it, if any; or, as `left_out`,
        why it was not played.

    Raises:
        RecordError: if a cell fails, other than of an agent that cannot play without the part; or
            if the evidence is of another state of the code.
    """
    worlds: dict[str, Scenario] = {}
    found: dict[str, Evidence] = {}
    for part in parts_of(scenario):
        try:
            worlds[part.name] = without(scenario, part.name)
        except ScenarioError as error:
            found[part.name] = {"left_out": str(error)}
    ranked = by_utility(evidence["agents"])
    agents = list(dict.fromkeys([*ranked[:LEADING], LOWEST]))
    places = [scenario, *worlds.values()]
    plan = plan_without_anchors(f"{scenario.label}-parts", places, agents, evidence["workloads"])
    with Lines(problems()) as display:
        run_plan(plan, folder, Processes(usable_cores()), display)
    whole, *changed = (_utilities(folder, plan, arena) for arena in plan.arenas)
    _check_same(scenario, evidence, whole)
    for part_name, utilities in zip(worlds, changed, strict=True):
        found[part_name] = _entry(evidence, whole, utilities)
    return {part.name: found[part.name] for part in parts_of(scenario)}


def earns(whole: list[float], change: float, before: list[str], after: list[str]) -> bool:
    """Return whether a part earns its place.

    Args:
        whole: what the tier's best agent gets with all parts, as [mean, low, high].
        change: how much more the best agent gets without the part.
        before: the first three agents with the part.
        after: those without it.
    """
    _, low, high = whole
    return abs(change) > (high - low) / 2 or before != after


def with_learners(scenario: Scenario, evidence: Evidence, folder: Path) -> Evidence:
    """Return a tier's evidence with what the best learner of a finished run got.

    Args:
        scenario: the tier.
        evidence: of the tier.
        folder: of the run: of the tier, or of scenarios that are it without a part, or of both.

    Raises:
        RecordError: if the folder holds no run of those, one that is not finished, or one that was
            judged on other workloads or trained elsewhere; or if a part has no entry to go with.
    """
    plan = read_plan(folder)
    if (plan.split, plan.first, plan.episodes) != ("test", 0, evidence["workloads"]):
        raise RecordError(
            f"{folder}: judged on {plan.workloads}, the evidence on {evidence['workloads']} test "
            "workloads: run it on those"
        )
    if any(arena.train_on for arena in plan.arenas):
        raise RecordError(f"{folder}: trained elsewhere: run it without --train-on")
    names = {scenario.digest: ""} | {
        without(scenario, name).digest: name
        for name, part in evidence.get("parts", {}).items()
        if "left_out" not in part
    }
    found = {
        names[arena.scenario.digest]: _best_learner(folder, plan, arena)
        for arena in plan.arenas
        if arena.api == "single" and arena.scenario.digest in names
    }
    if not found:
        raise RecordError(f"{folder}: no run of '{scenario.label}', nor without a part of it")
    changed = dict(evidence)
    if "" in found:
        changed["learner"] = found.pop("")
    if found:
        parts = evidence["parts"]
        changed["parts"] = parts | {n: parts[n] | {"learner": entry} for n, entry in found.items()}
    return changed


def rounded(found: Estimate) -> list[float]:
    """Return value, low and high end as evidence has them."""
    return [round(value, 4) for value in (found.value, found.low, found.high)]


def plan_without_anchors(
    name: str, worlds: Sequence[Scenario], agents: Sequence[str], count: int
) -> Plan:
    """Return a plan of heuristics on test workloads, of which no bound is computed.

    Args:
        name: of the plan.
        worlds: where they play, games as such; that they can is known of the first.
        agents: their names.
        count: number of test workloads.
    """
    return _Plan(
        name=name,
        arenas=tuple(Arena(scenario=world, api=world.api) for world in worlds),
        agents=tuple(_agent(name, worlds[0]) for name in agents),
        seeds=1,
        episodes=count,
        budget=1,  # of learners, which there are none of
        code=code_digest(),
    )


def _agent(name: str, scenario: Scenario) -> AgentEntry:
    made = make(name, scenario)
    assert isinstance(made, Agent)
    code = agent_code(name)
    return AgentEntry(agent=name, learns=False, deterministic=made.deterministic, code=code)


def _utilities(folder: Path, plan: Plan, arena: Arena) -> Utilities:
    """What the agents got in one place, but for those that cannot play there."""
    found: Utilities = {}
    for agent in plan.agents:
        (cell,) = plan.cells(arena, agent)
        record = read_record(folder, cell)
        if record is None or record.result is None:
            reason = record.failure.reason if record and record.failure else "no result"
            if reason.startswith(f"{AgentError.__name__}:"):  # such as one that needs a cloud
                continue
            raise RecordError(f"{cell.label}: {reason}")
        values = [episode.metrics["utility_per_task"] for episode in record.result.episodes]
        found[agent.name] = np.array([values], dtype=np.float64)
    return found


def _check_same(scenario: Scenario, evidence: Evidence, whole: Utilities) -> None:
    """Raise RecordError unless the tier's best gets in the mean what the evidence says."""
    best = by_utility(evidence["agents"])[0]
    now, then = rounded(estimate(whole[best]))[0], evidence["agents"][best]["utility_per_task"][0]
    if now != then:
        raise RecordError(
            f"{scenario.label}: {best} gets {now} where its evidence says {then}: make that anew, "
            "with --again"
        )


def _entry(evidence: Evidence, whole: Utilities, utilities: Utilities) -> Evidence:
    """The evidence of one part, from what the agents get with and without it.

    One that cannot play without it is left out of both: it would be missed, and not the part.
    """
    agents = {name: {"utility_per_task": rounded(estimate(u))} for name, u in utilities.items()}
    all_before, after = by_utility(evidence["agents"]), by_utility(agents)
    before = [name for name in all_before if name in utilities]
    difference = rounded(estimate(utilities[after[0]] - whole[before[0]]))
    interval = evidence["agents"][all_before[0]]["utility_per_task"]
    entry: Evidence = {
        "best": after[0],
        "utility_per_task": agents[after[0]]["utility_per_task"],
        "difference": difference,
        "first_three": after[:3],
        "earns": earns(interval, difference[0], before[:3], after[:3]),
    }
    absent = [name for name in whole if name not in utilities]
    return entry | ({"cannot_play": absent} if absent else {})


def _best_learner(folder: Path, plan: Plan, arena: Arena) -> Evidence:
    """The learner of a run that got most in one place."""
    found: list[Evidence] = []
    for agent in plan.agents:
        if not agent.learns:
            continue
        runs = read_runs(folder, plan, arena, agent)
        if runs.holes:
            raise RecordError(f"{folder}: {agent.name} on {arena.label}: {runs.holes[0]}")
        found.append(
            {
                "agent": agent.name,
                "budget": agent.budget or plan.budget,
                "seeds": len(runs.seeds),
                "utility_per_task": rounded(estimate(runs.metrics["utility_per_task"])),
            }
        )
    if not found:
        raise RecordError(f"{folder}: no agent of it learns")
    return max(found, key=lambda entry: entry["utility_per_task"][0])
