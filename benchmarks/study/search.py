"""The search for the learners' settings: the same number of trials for every agent.

    python -m edge_marl.benchmarks.study.search paper --jobs 2
    python -m edge_marl.benchmarks.study.search paper --confirm
    python -m edge_marl.benchmarks.study.search paper --adopt

The trials of a tier are a suite: variants of the agents, which the harness trains once each, with
seed 0, on 24,000 decisions of `train` workloads. A training selects on validation workloads 0 to 9,
as all do, and is judged on validation workloads 10 to 49. Test workloads take no part.

Trial 0 has the defaults of the agent's dataclass, each further one settings drawn at random from
the agent's space below. Results are kept as lines of `search.jsonl` (`keep.py`); `--adopt` writes
what comes of them to `agents/training/presets.json`, which trainers take their settings from.

A trial replaces the defaults only where it is better by more than `CLEARLY` (seeds of one setting
alone differ by as much, and the best of several noisy figures looks better than it is) and is
better too when both are trained on the study's whole budget: what is ahead after 24,000 decisions
may just be what stops improving first. `--confirm` does these trainings, two for every agent that
has such a trial.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import numpy as np
import typer

from edge_marl.agents.registry import find
from edge_marl.agents.training.presets import PRESETS_FILE
from edge_marl.benchmarks.plan.make_plan import make_plan
from edge_marl.benchmarks.run.executors import Processes
from edge_marl.benchmarks.run.progress import Lines
from edge_marl.benchmarks.run.runner import run_plan
from edge_marl.benchmarks.study.keep import BUDGETS, Line, keep, read_lines
from edge_marl.benchmarks.suites import Suite, Variant
from edge_marl.console import FAILED, print_rows, problems, run_command
from edge_marl.errors import AgentError, RecordError, SuiteError
from edge_marl.files import write_file

__all__ = [
    "SEARCH",
    "SPACES",
    "TRIALS",
    "TRIAL_BUDGET",
    "adopted",
    "candidates",
    "confirmation",
    "drawn",
    "main",
    "trials",
]

SEARCH = Path(__file__).with_name("search.jsonl")
TRIAL_BUDGET = 24_000
TRIALS = 6
JUDGED: dict[str, Any] = {"split": "validation", "first": 10, "episodes": 40}
"""What trials are judged on: no workload that trainings select on, and none of the test split."""
CLEARLY = 0.01
"""Share of the defaults' utility per task that a trial has to add."""

Tier = Literal["paper", "campus@1"]

Space = dict[str, tuple[float, ...]]

_OFF_POLICY: Space = {
    "learning_rate": (5e-4, 1e-3, 2e-3, 4e-3),
    "batch_size": (64, 128, 256),
    "gamma": (0.5, 0.9, 0.97, 0.99),
    "n_step": (1, 3),
}
_VALUES = _OFF_POLICY | {
    "decisions_per_update": (8, 16, 32),
    "updates_per_target": (50, 100, 300),
    "exploration_end": (0.01, 0.02, 0.05),
}
_SAC = _OFF_POLICY | {
    "decisions_per_update": (16, 24, 40),
    "target_entropy": (0.1, 0.25, 0.4),
    "tau": (0.002, 0.005, 0.02),
}
_ON_POLICY: Space = {
    "learning_rate": (5e-4, 1e-3, 3e-3, 6e-3),
    "decisions_per_update": (256, 512, 1024),
    "gamma": (0.5, 0.9, 0.97),
}
_LAMBDA: Space = {"gae_lambda": (0.0, 0.2, 0.5, 0.9)}
# That of ppo is smaller, below: its advantages are standardised.
_ENTROPY: Space = {"entropy": (0.01, 0.03, 0.1, 0.3)}

SPACES: dict[str, Space] = {
    "adsac": _SAC,
    "sac": _SAC,
    "dqn": _VALUES,
    "drqn": _VALUES,
    "qrdqn": _VALUES,
    "rainbow": _VALUES,
    "ppo": _ON_POLICY | _LAMBDA | {"entropy": (0.003, 0.01, 0.03), "epochs": (4, 6, 10)},
    "a2c": _ON_POLICY | _ENTROPY | _LAMBDA,
    "reinforce": _ON_POLICY | _ENTROPY | {"gamma": (0.0, 0.3, 0.5, 0.9)},
}
"""What each agent's settings are drawn from, independently and with equal probability."""


def trials(tier: str, count: int = TRIALS) -> Suite:
    """Return a tier's trials: those of one number have the same settings in every tier."""
    return _suite(tier, TRIAL_BUDGET, [(agent, k) for k in range(count) for agent in SPACES])


def confirmation(kept: list[Line], tier: str) -> Suite:
    """Return the longer trainings of the defaults and of what is ahead of them.

    Raises:
        SuiteError: if nothing is.
    """
    ahead = candidates(kept, tier)
    if not ahead:
        raise SuiteError(f"no trial on {tier} is clearly ahead of the defaults: none to confirm")
    return _suite(tier, BUDGETS[tier], [(a, k) for a, best in ahead.items() for k in (0, best)])


def _suite(tier: str, budget: int, chosen: list[tuple[str, int]]) -> Suite:
    variants = {}
    for agent, number in chosen:
        kind: Any = find(agent)
        # All of them, so that no tier's presets come between.
        settings = asdict(kind.config_class()) | drawn(agent, number)
        variants[f"{agent}, trial {number}"] = Variant(agent=agent, settings=settings)
    return Suite(
        name=f"search-{tier}",
        scenarios=(tier,),
        agents=(),
        variants=variants,
        seeds=1,
        budget=budget,
        **JUDGED,
    )


def drawn(agent: str, number: int) -> dict[str, Any]:
    """Return the settings of a trial that are not the defaults."""
    if number == 0:
        return {}
    name = hashlib.sha256(f"{agent} {number}".encode()).digest()
    generator = np.random.Generator(np.random.PCG64(int.from_bytes(name[:8], "big")))
    space = SPACES[agent]
    return {name: values[int(generator.integers(len(values)))] for name, values in space.items()}


def search(
    tier: Annotated[Tier, typer.Argument(help="Where to search.")],
    jobs: Annotated[int, typer.Option(min=1, help="Trials at a time.")] = 1,
    count: Annotated[int, typer.Option("--trials", min=1, help="Per agent.")] = TRIALS,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run.", show_default="results/search-TIER")
    ] = None,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Train the defaults and what is ahead of them longer.")
    ] = False,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Only write the presets, from the trials kept.")
    ] = False,
) -> None:
    """Run the trials, keep what is finished, and print what each agent's settings come to."""
    failed = 0
    if adopt:
        presets = {place: adopted(read_lines(SEARCH), place) for place in get_args(Tier)}
        write_file(PRESETS_FILE, json.dumps(presets, indent=1) + "\n", RecordError)
    else:
        suite = confirmation(read_lines(SEARCH), tier) if confirm else trials(tier, count)
        folder = out or Path("results") / f"search-{tier}"
        with Lines(problems()) as display:
            failed = run_plan(make_plan(suite), folder, Processes(jobs), display)
        keep(folder, SEARCH)
    print_rows(_summary(read_lines(SEARCH), tier))
    if failed:
        raise typer.Exit(FAILED)


def candidates(kept: list[Line], tier: str) -> dict[str, int]:
    """Return each agent's best trial where it is clearly ahead of the defaults."""
    ahead = {}
    for agent in SPACES:
        means = _means(kept, agent, tier, TRIAL_BUDGET)
        best = max(means, key=means.__getitem__, default=0)
        if means and means[best] > means[0] + CLEARLY * abs(means[0]):
            ahead[agent] = best
    return ahead


def adopted(kept: list[Line], tier: str) -> dict[str, dict[str, Any]]:
    """Return the settings that replace the defaults in a tier, by agent.

    Raises:
        AgentError: if a trial that is ahead has not been trained on the whole budget.
    """
    presets = {}
    for agent, ahead in candidates(kept, tier).items():
        means = _means(kept, agent, tier, BUDGETS[tier])
        if not means.keys() >= {0, ahead}:
            raise AgentError(
                f"trial {ahead} of {agent} on {tier} is ahead of the defaults, and was not trained "
                f"on the whole budget: run search {tier} --confirm first"
            )
        if means[ahead] > means[0]:
            presets[agent] = drawn(agent, ahead)
    return presets


def _means(kept: list[Line], agent: str, tier: str, budget: int) -> dict[int, float]:
    """Utility per task of an agent's trials on a budget, by number."""
    return {
        int(run["variant"].removeprefix("trial ")): float(np.mean(run["test"]["utility_per_task"]))
        for run in kept
        if (run["agent"], run["scenario"], run["budget"]) == (agent, tier, budget)
    }


def _summary(kept: list[Line], tier: str) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("", "trials", "defaults", "best", "whole budget", "settings")]
    ahead = candidates(kept, tier)
    for agent in SPACES:
        means = _means(kept, agent, tier, TRIAL_BUDGET)
        if not means:
            continue
        figures = (f"{means[0]:.4f}", f"{max(means.values()):.4f}")
        longer = told = "-"
        if agent in ahead:
            whole = _means(kept, agent, tier, BUDGETS[tier])
            longer = " to ".join(f"{whole[k]:.4f}" for k in (0, ahead[agent]) if k in whole)
            told = ", ".join(
                f"{name} = {value}" for name, value in drawn(agent, ahead[agent]).items()
            )
        rows.append((agent, str(len(means)), *figures, longer, told))
    return rows


def main() -> None:
    """Run the command on this process's arguments."""
    run_command(search)


if __name__ == "__main__":
    main()
