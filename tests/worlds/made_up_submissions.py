"""Submissions for tests of the pages: real decisions, in the format of a board.

What is played is a heuristic that now and then draws lots instead; how often makes good and bad.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from edge_marl.agents import Agent, make
from edge_marl.benchmarks.report.columns import COLUMNS
from edge_marl.benchmarks.run.evaluation import draw_test_workloads
from edge_marl.bound.anchor_pairs import shipped_pairs
from edge_marl.envs import EdgeAIGCVectorEnv
from edge_marl.leaderboards.submission.files import ACTIONS, LEDGER, SUBMISSION, Actions, sha256_of
from edge_marl.leaderboards.submission.ledger import HeldOut, Ledger, Outcome, Verification
from edge_marl.leaderboards.submission.schema import (
    RUNS,
    WORKLOADS,
    Kind,
    Level,
    Submission,
    seal_of,
)
from edge_marl.metrics import metrics_of
from edge_marl.scenario import load_scenario
from edge_marl.workload import Workload

MACHINE: dict[str, Any] = {
    "versions": {"edge-marl": "0.1.0", "python": "3.11.9"},
    "hardware": {
        "system": "Linux 6.1",
        "machine": "x86_64",
        "processor": "Example CPU",
        "cores": 2,
        "memory_gib": 16.0,
    },
}

Played = tuple[list[np.ndarray[Any, Any]], list[dict[str, float]]]


@lru_cache(maxsize=4)
def workloads_of(tier: str) -> list[Workload]:
    return draw_test_workloads(load_scenario(tier), WORKLOADS)


@lru_cache(maxsize=64)
def played(tier: str, agent: str, lots: float, seed: int) -> Played:
    """Actions and metrics of each test workload."""
    scenario, workloads = load_scenario(tier), workloads_of(tier)
    decider = make(agent, scenario)
    assert isinstance(decider, Agent)
    decider.reset(seed)
    rng = np.random.Generator(np.random.PCG64(seed))
    envs = EdgeAIGCVectorEnv(WORKLOADS, scenario, autoreset_mode=AutoresetMode.DISABLED)
    observation, info = envs.reset(options={"workloads": list(workloads)})
    taken: list[list[int]] = [[] for _ in workloads]
    going = np.ones(WORKLOADS, dtype=bool)
    while going.any():
        action = decider.act(observation, info)
        drawn = rng.integers(scenario.num_actions, size=WORKLOADS)
        action = np.where(rng.random(WORKLOADS) < lots, drawn, action)
        observation, _, terminated, truncated, info = envs.step(action)
        for row in np.flatnonzero(going):
            taken[row].append(int(action[row]))
        going &= ~(terminated | truncated)
    metrics = [envs.metrics(row) for row in range(WORKLOADS)]
    return [np.array(row, dtype=np.uint16) for row in taken], metrics


def write_submission(
    root: Path,
    tier: str,
    name: str,
    *,
    kind: Kind = "deterministic",
    agent: str = "prophet",
    lots: float = 0.0,
    on: date = date(2026, 11, 1),
    about: dict[str, Any] | None = None,
    seeds: int | None = None,
    budget: int = 200_000,
    chosen: dict[str, Any] | None = None,
) -> Submission:
    """Write a submission below a folder, without its chain, which no page shows."""
    runs = [played(tier, agent, lots, seed) for seed in range(seeds or RUNS[kind])]
    actions = Actions(
        np.concatenate([episode for episodes, _ in runs for episode in episodes]),
        np.array([[len(e) for e in episodes] for episodes, _ in runs], dtype=np.int32),
    ).packed()
    facts: dict[str, Any] = {
        "schema_version": 1,
        "date": on.isoformat(),
        "agent": {
            "name": name,
            "kind": kind,
            "registered": False,
            "settings": {"lots": lots, **(chosen or {})},
            **({} if chosen is None else {"chosen": chosen}),
        },
        "about": about or _about(tier, lots, budget if kind == "learner" else 0),
        **_world(tier),
        **MACHINE,
        "runs": [
            {
                "seed": seed,
                "metrics": {
                    metric: _values(episodes, metric) for metric in metrics_of(load_scenario(tier))
                },
            }
            for seed, (_, episodes) in enumerate(runs)
        ],
        "means": {},
        "files": {ACTIONS: sha256_of(actions)},
    }
    submission = Submission.model_validate_json(json.dumps(facts | {"seal": seal_of(facts)}))
    folder = root / submission.entry
    folder.mkdir(parents=True)
    (folder / SUBMISSION).write_text(submission.model_dump_json())
    (folder / ACTIONS).write_bytes(actions)
    return submission


def _about(tier: str, lots: float, budget: int) -> dict[str, Any]:
    return {
        "authors": ["A. Researcher", "B. Engineer"],
        "links": ["https://example.org/paper"],
        "description": f"Draws lots in {lots:.0%} of decisions.",
        "training": {"data": f"train workloads of {tier}", "budget": budget},
    }


def _world(tier: str) -> dict[str, Any]:
    scenario = load_scenario(tier)
    return {
        "scenario": {"name": scenario.label, "digest": scenario.digest},
        "workloads": [workload.digest for workload in workloads_of(tier)],
    }


def _values(episodes: Sequence[dict[str, float]], metric: str) -> list[float | None]:
    return [None if value[metric] != value[metric] else value[metric] for value in episodes]


def write_ledger(root: Path, levels: Sequence[tuple[Submission, Level]]) -> None:
    """Write a ledger that has submissions at levels."""
    write_verifications(root, [(sub, verified(sub, level)) for sub, level in levels])


def write_verifications(root: Path, found: Sequence[tuple[Submission, Verification]]) -> None:
    """Write a ledger that says what submissions were found to be."""
    ledger = Ledger(entries={sub.entry: verification for sub, verification in found})
    root.mkdir(parents=True, exist_ok=True)
    (root / LEDGER).write_text(ledger.model_dump_json())


def verified(sub: Submission, level: Level, **facts: Any) -> Verification:
    """Return a verification; a held-out policy got there what it got on the test workloads."""
    if level == "held-out":
        facts = {"held_out": held_out(sub, logged(sub))} | facts
    found = {"seal": sub.seal, "level": level, "decisions": 6000, "verifier": "0.1.0"}
    return Verification.model_validate(found | facts)


def logged(sub: Submission, less: float = 0.0) -> Outcome:
    """Return what a submission's log says, or a policy that gets so much less of utility."""
    metrics = {
        name: tuple(run.metrics[name] for run in sub.runs)
        for name in ("utility", *(column.name for column in COLUMNS[1:]))
    }
    for name in ("utility", "utility_per_task"):
        metrics[name] = tuple(tuple((v or 0.0) - less for v in run) for run in metrics[name])
    return Outcome(metrics=metrics)


def held_out(sub: Submission, outcome: Outcome) -> HeldOut:
    """Return a held-out result, on workloads with the anchors of the test workloads."""
    pairs = [shipped_pairs(load_scenario(sub.scenario.name))[digest] for digest in sub.workloads]
    return HeldOut(
        source="season spring",
        workloads=WORKLOADS,
        utility_per_task=0.5,
        test_utility_per_task=0.5,
        outcome=outcome,
        random=tuple(low for low, _ in pairs),
        bound=tuple(high for _, high in pairs),
    )


NAMES: tuple[tuple[str, Kind, str, float, Level], ...] = (
    ("prophet", "deterministic", "prophet", 0.0, "re-executed"),
    ("adsac-plus", "learner", "prophet", 0.03, "held-out"),
    ("adsac", "learner", "prophet", 0.06, "re-executed"),
    ("dqn-masked", "learner", "prophet", 0.07, "replayed"),
    ("ppo", "learner", "prophet", 0.2, "claimed"),
    ("crash-avoid", "deterministic", "crash-avoid", 0.0, "re-executed"),
    ("round-robin", "deterministic", "round-robin", 0.0, "re-executed"),
    ("random", "randomised", "random", 0.0, "replayed"),
)


def write_board(root: Path, tier: str = "smoke") -> list[Submission]:
    """Write a board of eight, of all levels and kinds, with its ledger."""
    levels = [
        (
            write_submission(
                root, tier, name, kind=kind, agent=agent, lots=lots, seeds=min(3, RUNS[kind])
            ),
            level,
        )
        for name, kind, agent, lots, level in NAMES
    ]
    write_ledger(root, levels)
    return [sub for sub, _ in levels]
