"""The evidence that a tier measures something: every heuristic on its test workloads, and the rule.

    python -m edge_marl.benchmarks.release.evidence            # every tier, and one table of all
    python -m edge_marl.benchmarks.release.evidence campus@1 --again
    python -m edge_marl.benchmarks.release.evidence campus@1 --parts

A maintainer's tool, run when a tier is released: a run of all heuristics on the harness, from whose
records it writes one JSON file, shipped with the tier, that `edge-marl scenarios show` and the docs
read and a test holds against the tier's digest. A tier is released if random < crash-avoid <
prophet by intervals that do not overlap, and prophet stays under 97 % of the bound: one that every
heuristic solves measures nothing. `parts.py` says which of its parts matter.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from itertools import count
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from gymnasium.vector import AutoresetMode

from edge_marl.agents import Agent, Trainer, make, names
from edge_marl.benchmarks.plan.cells import Plan
from edge_marl.benchmarks.plan.make_plan import make_plan
from edge_marl.benchmarks.records.provenance import usable_cores
from edge_marl.benchmarks.release.parts import play_parts, rounded, with_learners
from edge_marl.benchmarks.report.intervals import FloatArray
from edge_marl.benchmarks.report.results import Runs, read_anchors, read_runs
from edge_marl.benchmarks.report.stats import estimate, normalise
from edge_marl.benchmarks.run.evaluation import draw_test_workloads
from edge_marl.benchmarks.run.executors import Processes
from edge_marl.benchmarks.run.progress import Lines
from edge_marl.benchmarks.run.runner import run_plan
from edge_marl.benchmarks.suites import Suite
from edge_marl.bound.anchor_pairs import Anchors
from edge_marl.console import FAILED, print_rows, problems, results, run_command
from edge_marl.envs import EdgeAIGCRows, EdgeAIGCVectorEnv
from edge_marl.errors import AgentError, DataError, RecordError
from edge_marl.files import write_file
from edge_marl.kernel.world import STAGE
from edge_marl.scenario import Scenario, list_tiers, load_scenario
from edge_marl.scenario.ablation import parts_of
from edge_marl.scenario.evidence import (
    by_utility,
    parts_told,
    read_evidence,
    rows_without,
    with_interval,
)
from edge_marl.tiers import FOLDER
from edge_marl.workload import Workload
from edge_marl.workload.parts import PUBLIC_SEEDS

__all__ = [
    "heuristics",
    "main",
    "read_evidence",
    "release",
    "requests_of",
    "row_of",
    "rule",
    "trajectory_hash",
    "written",
]

SHOWN = ("lost_fraction", "server_crash_rate", "on_time_rate", "cold_start_rate", "cloud_share")
"""Metrics of the evidence besides utility and score, as means."""

LARGEST_SHARE = 0.97
"""Of the bound that prophet may reach."""

Row = dict[str, Any]


def release(
    tiers: Annotated[
        list[str] | None, typer.Argument(help="Tiers' names.", show_default="all releases")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also where there is evidence of the tier as it is.")
    ] = False,
    missing: Annotated[
        bool, typer.Option("--missing", help="Play the heuristics that the evidence lacks.")
    ] = False,
    workloads: Annotated[int, typer.Option(min=2, max=PUBLIC_SEEDS, help="Of the test split.")] = (
        PUBLIC_SEEDS
    ),
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to.", show_default="the package's")
    ] = None,
    parts: Annotated[
        bool, typer.Option("--parts", help="Play the leading ones without each part, too.")
    ] = False,
    keep: Annotated[Path, typer.Option(help="Folder that keeps what --parts has played.")] = Path(
        "build/parts"
    ),
    learner: Annotated[
        Path | None, typer.Option(help="Folder of a finished run of learners: add the best one.")
    ] = None,
) -> None:
    """Play every heuristic on the tiers' test workloads; write the evidence and say if it holds.

    With --parts, the evidence also says what is left when one part alone is switched off. Ends with
    one table of all tiers and heuristics. A replay tier whose recording is not in the data store is
    left out, and the table says so.
    """
    chosen = [load_scenario(name) for name in tiers or list_tiers()]
    broken = False
    for scenario in chosen:
        evidence = None if again else read_evidence(scenario)
        try:
            if evidence is None:
                evidence = _released(scenario, workloads, out)
            if missing:
                evidence = written(scenario, _with_missing(scenario, evidence), out)
            if parts and parts_of(scenario):
                draw_test_workloads(scenario, 1)
                played = play_parts(scenario, evidence, keep / scenario.label)
                evidence.pop("after_parts", None)
                evidence = written(scenario, evidence | {"parts": played}, out)
            if learner:
                evidence = written(scenario, with_learners(scenario, evidence, learner), out)
        except DataError as error:
            problems().print(f"{scenario.label}: left out: {error}", style="yellow", markup=False)
            continue
        broken |= not all(evidence["rule"].values()) and scenario.extended
        _print_table(scenario, evidence)
    if broken:
        raise typer.Exit(FAILED)


def _released(scenario: Scenario, workloads: int, out: Path | None) -> dict[str, Any]:
    """Make a tier's evidence, write it and return it.

    Raises:
        DataError: if its recording is not in the data store.
        RecordError: if a cell fails.
    """
    drawn = draw_test_workloads(scenario, workloads)
    rows, bound = _played(scenario, workloads, heuristics(scenario))
    requests = sum(map(requests_of, drawn))
    evidence = {
        "scenario": scenario.digest,
        "workloads": workloads,
        "trajectory": trajectory_hash(scenario, drawn[0]),
        "requests": requests,
        "bound_per_task": bound / requests,
        "agents": rows,
        "rule": rule(rows, bound),
    }
    return written(scenario, evidence, out)


def _with_missing(scenario: Scenario, evidence: dict[str, Any]) -> dict[str, Any]:
    """Return a tier's evidence with the heuristics that came after it."""
    agents = tuple(name for name in heuristics(scenario) if name not in evidence["agents"])
    if not agents:
        return evidence
    rows, _ = _played(scenario, evidence["workloads"], agents)
    rows = {name: rows[name] for name in agents}
    later = {}
    if "parts" in evidence:  # which these have not played without
        later = {"after_parts": [*evidence.get("after_parts", ()), *agents]}
    return evidence | later | {"agents": dict(sorted((evidence["agents"] | rows).items()))}


def written(scenario: Scenario, evidence: dict[str, Any], out: Path | None) -> dict[str, Any]:
    """Write a tier's evidence, and return it."""
    folder = out or Path(str(FOLDER)) / "evidence"
    text = json.dumps(evidence, indent=1) + "\n"
    write_file(folder / f"{scenario.release}.json", text, RecordError)
    return evidence


def _played(
    scenario: Scenario, workloads: int, agents: tuple[str, ...]
) -> tuple[dict[str, Row], float]:
    """Have the harness play agents; return what each got, and the sum of the bounds."""
    suite = Suite(scenarios=(scenario.release,), agents=agents, seeds=1, episodes=workloads)
    plan = make_plan(suite)
    with tempfile.TemporaryDirectory() as place, Lines(problems()) as display:
        folder = Path(place)
        if run_plan(plan, folder, Processes(usable_cores()), display):
            raise RecordError(f"{scenario.label}: a cell has failed, as said above: no evidence")
        ends = _anchors(folder, plan)
        rows = {
            agent.name: row_of(read_runs(folder, plan, plan.arenas[0], agent), ends)
            for agent in plan.agents
        }
    return rows, float(ends.bound.sum())


def _anchors(folder: Path, plan: Plan) -> Anchors:
    values = read_anchors(folder, plan.anchors(plan.arenas[0].scenario))
    ends = np.array([(value.random, value.bound) for value in values])
    return Anchors(random=ends[:, 0].copy(), bound=ends[:, 1].copy())


def _print_table(scenario: Scenario, evidence: dict[str, Any]) -> None:
    """Print what every heuristic got on a tier, the best first."""
    missed = [part for part, holds in evidence["rule"].items() if not holds]
    rule_told = f"not: {', '.join(missed)}" if missed else "the release rule holds"
    number, bound = evidence["workloads"], evidence["bound_per_task"]
    results().print(
        f"\n{scenario.label}: {number} test workloads, bound {bound:.3f}, {rule_told}", markup=False
    )
    rows: list[tuple[str, ...]] = [("", "utility per request", "score", "utilisation")]
    for name in by_utility(evidence["agents"]):
        row = evidence["agents"][name]
        figures = [with_interval(row["utility_per_task"]), with_interval(row["score"])]
        rows.append((name, *figures, f"{row['utilisation']:.3f}"))
    print_rows(rows)
    if without := rows_without(evidence):
        results().print(f"\n{parts_told(evidence)}", markup=False)
        print_rows(without)


def rule(rows: dict[str, Row], bound: float) -> dict[str, bool]:
    """Return which parts of the release rule hold.

    Args:
        rows: the evidence of agents, by name; random, crash-avoid and prophet among them.
        bound: sum of the bounds of all workloads.
    """
    random, avoid, prophet = (rows[name] for name in ("random", "crash-avoid", "prophet"))
    return {
        "random < crash-avoid": random["utility_per_task"][2] < avoid["utility_per_task"][1],
        "crash-avoid < prophet": avoid["utility_per_task"][2] < prophet["utility_per_task"][1],
        "prophet < 97 % of the bound": prophet["utility"] < LARGEST_SHARE * bound,
    }


def trajectory_hash(scenario: Scenario, workload: Workload) -> str:
    """Return the SHA-256 of all that is seen and paid if legal actions are taken in turn.

    One number that changes with any rule of the simulator that this tier or game has on.
    """
    if scenario.clock.slot_ms:
        return _hash_of_game(scenario, workload)
    env = EdgeAIGCVectorEnv(1, scenario=scenario, autoreset_mode=AutoresetMode.DISABLED)
    agent = make("round-robin", scenario)
    assert isinstance(agent, Agent)
    agent.reset(0)
    sha = hashlib.sha256()
    observation, info = env.reset(options={"workloads": [workload]})
    over = False
    while not over:
        observation, reward, terminated, truncated, info = env.step(agent.act(observation, info))
        over = bool(terminated[0] or truncated[0])
        sha.update(observation.astype("<f4").tobytes() + reward.astype("<f8").tobytes())
    return sha.hexdigest()


def _hash_of_game(scenario: Scenario, workload: Workload) -> str:
    """The same of a game: gateway g takes legal choice t + g of its own in step t."""
    rows = EdgeAIGCRows(1, scenario=scenario, autoreset_mode=AutoresetMode.DISABLED)
    sha = hashlib.sha256()
    gateways = np.arange(rows.num_gateways)
    observation, infos = rows.reset(options={"workloads": [workload]})
    for step in count():
        legal = infos["action_mask"][0].cumsum(axis=-1)
        rank = (step + gateways) % legal[:, -1]
        choices = (legal > rank[:, None]).argmax(axis=-1)
        observation, reward, terminated, truncated, infos = rows.step(choices[None])
        sha.update(observation.astype("<f4").tobytes() + reward.astype("<f8").tobytes())
        if terminated[0] or truncated[0]:
            break
    return sha.hexdigest()


def heuristics(scenario: Scenario) -> tuple[str, ...]:
    """Return all registered agents that need no training and can play the scenario."""
    found = []
    for name in names():
        agent = make(name, scenario)
        if isinstance(agent, Trainer):
            continue
        try:
            agent.reset(0)
        except AgentError:  # such as of one that needs a cloud
            continue
        found.append(name)
    return tuple(found)


def requests_of(workload: Workload) -> int:
    """Return how many requests a workload has, of one stage or more each."""
    details = workload.details
    return workload.num_tasks if details is None else int((details[:, STAGE] == 0).sum())


def row_of(runs: Runs, ends: Anchors | None) -> Row:
    """Return what an agent got, as evidence has it; without anchors it has no score."""
    metrics = runs.metrics  # of one seed
    row: Row = {
        "utility_per_task": rounded(estimate(metrics["utility_per_task"])),
        "score": None if ends is None else rounded(estimate(_score(metrics["utility"], ends))),
        "utility": float(metrics["utility"][0].sum()),
    }
    return row | {
        name: round(float(np.mean(metrics[name][0])), 4) for name in ("utilisation", *SHOWN)
    }


def _score(utility: FloatArray, ends: Anchors) -> FloatArray:
    return normalise(utility, ends.random, ends.bound)


def main() -> None:
    """Run the command on this process's arguments."""
    run_command(release)


if __name__ == "__main__":
    main()
