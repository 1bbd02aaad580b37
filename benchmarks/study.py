"""Trainings whose results are kept: what the replication study and the agents' docs are made from.

    python -m edge_marl.benchmarks.study worlds --processes 2

Each run trains one agent with one seed and plays the 100 test workloads; its outcome is one line of
`benchmarks/study/runs.jsonl`. Runs that are there already are not run again, and one that was
stopped goes on where it was, so the same command ends the job. `replication.py` makes the report.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_marl.benchmarks.console import problems, run_app
from edge_marl.errors import AgentError

__all__ = ["GROUPS", "RUNS", "Run", "main", "read_runs"]

RUNS = Path(__file__).parent / "study" / "runs.jsonl"
EPISODES = 100
SEEDS = 5
KEPT = ("utility", "utility_per_task", "server_crash_rate", "lost_fraction")
"""Metrics of every test episode that are kept."""

BASELINES = ("sac", "dqn", "ppo", "a2c", "reinforce", "qrdqn", "rainbow", "drqn")
HEURISTICS = ("random", "round-robin", "crash-avoid", "crash-avoid-best", "prophet", "bid-price")


@dataclass(frozen=True)
class Run:
    """One training, or a heuristic where there is no budget."""

    agent: str
    scenario: str
    world: int | None = None
    budget: int | None = None
    seed: int = 0
    variant: str = "default"
    """Name of the settings, where they are not the defaults."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Settings that replace the defaults."""

    @property
    def key(self) -> str:
        """Tells runs apart."""
        facts = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(facts.encode()).hexdigest()[:16]


def _heuristics(scenario: str, worlds: range | tuple[None]) -> Iterator[Run]:
    for world in worlds:
        for name in HEURISTICS:
            yield Run(name, scenario, world)


def _worlds() -> Iterator[Run]:
    """`adsac` on the published world and nine more; seed by seed, so that a part is balanced."""
    yield from _heuristics("paper", range(10))
    for seed in range(SEEDS):
        for world in range(10):
            yield Run("adsac", "paper", world, 96_000, seed)


def _baselines() -> Iterator[Run]:
    """Every learner of the single environment on the published world."""
    for seed in range(SEEDS):
        for name in BASELINES:
            yield Run(name, "paper", 0, 96_000, seed)


def _tiers() -> Iterator[Run]:
    """Learners where topologies are drawn anew; `adsac` of `campus` then also plays elsewhere."""
    for tier in ("campus", "metro"):
        yield from _heuristics(tier, (None,))
    for seed in range(SEEDS):
        for tier in ("campus", "metro"):
            for name in ("adsac", "sac", "dqn", "ppo"):
                yield Run(name, tier, None, 48_000, seed)


def _ablation() -> Iterator[Run]:
    """What `adsac` is without each of its parts."""
    parts: dict[str, dict[str, Any]] = {
        "no attention": {"attention": False},
        "one denoising step": {"denoising_steps": 1},
        "one noise draw": {"noise_draws": 1},
    }
    for seed in range(SEEDS):
        for variant, settings in parts.items():
            yield Run("adsac", "paper", 0, 96_000, seed, variant, settings)


def _published() -> Iterator[Run]:
    """The published settings, as far as a budget of 20,000 updates goes (a million is published).

    PPO takes one gradient step per 1,000 decisions, as its published settings have it.
    """
    off_policy = {
        "decisions_per_update": 1,
        "batch_size": 512,
        "gamma": 0.95,
        "learning_rate": 1e-3,
        "n_step": 3,
    }
    dqn = off_policy | {
        "num_envs": 1,
        "falling": False,
        "weight_decay": 1e-4,
        "updates_per_target": 320,
        "exploration_start": 0.1,
        "exploration_end": 0.1,
    }
    ppo = {
        "num_envs": 1,
        "decisions_per_update": 1000,
        "batch_size": 1000,
        "gamma": 0.95,
        "learning_rate": 1e-3,
        "falling": False,
        "weight_decay": 1e-4,
        "gae_lambda": 0.95,
        "entropy": 0.0,
        "epochs": 1,
    }
    for seed in range(SEEDS):
        yield Run("ppo", "paper", 0, 20_000, seed, "published", ppo)
        yield Run("dqn", "paper", 0, 20_000, seed, "published", dqn)
        yield Run("d2sac", "paper", 0, 4_000, seed, "published")


GROUPS = {
    "worlds": _worlds,
    "baselines": _baselines,
    "tiers": _tiers,
    "ablation": _ablation,
    "published": _published,
}


def read_runs(path: Path = RUNS) -> list[dict[str, Any]]:
    """Return what is kept of all runs.

    Raises:
        AgentError: if a line is not readable.
    """
    if not path.is_file():
        return []
    lines = path.read_text("utf-8").splitlines()
    try:
        return [json.loads(line) for line in lines]
    except ValueError as error:
        raise AgentError(f"{path}: a line is not readable as JSON ({error})") from None


def study(
    group: Annotated[str, typer.Argument(help=f"One of {', '.join(GROUPS)}.")],
    processes: Annotated[int, typer.Option(min=1, help="Runs at a time.")] = 1,
    seeds: Annotated[int, typer.Option(min=1, help="Training seeds 0 to N - 1.")] = SEEDS,
    work: Annotated[Path, typer.Option(help="Folder of the trainings.")] = Path("results/study"),
) -> None:
    """Run a group's runs that have no result yet, and keep their results."""
    if group not in GROUPS:
        raise AgentError(f"group '{group}': must be one of {', '.join(GROUPS)}")
    kept = {run["key"] for run in read_runs()}
    missing = [run for run in GROUPS[group]() if run.key not in kept and run.seed < seeds]
    # One thread per process: the runs share the cores out among them.
    os.environ.update(OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1")
    RUNS.parent.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(_do, run, work) for run in missing]
        for done, job in enumerate(as_completed(jobs), start=1):
            outcome = job.result()
            with RUNS.open("a", encoding="utf-8") as file:
                file.write(json.dumps(outcome) + "\n")
            mean = sum(outcome["test"]["utility_per_task"]) / EPISODES
            told = f"{outcome['agent']} {outcome['scenario']} {outcome['world']}"
            problems().print(f"{done} of {len(jobs)}: {told} {outcome['seed']}: {mean:.4f}")


def _do(run: Run, work: Path) -> dict[str, Any]:
    """Train, play the test workloads, and return what is kept."""
    import torch

    from edge_marl.agents import Agent, make
    from edge_marl.agents.playing import play
    from edge_marl.agents.run_folder import RunFolder
    from edge_marl.agents.trainer import LearningTrainer
    from edge_marl.benchmarks.evaluation import draw_test_workloads
    from edge_marl.scenario import load_scenario

    torch.set_num_threads(1)
    scenario = load_scenario(run.scenario, run.world)
    made = make(run.agent, scenario)
    facts: dict[str, Any] = {"key": run.key, **asdict(run), "digest": scenario.digest}
    start = time.process_time()
    if isinstance(made, LearningTrainer) and run.budget is not None:
        made.config = replace(made.config, **run.settings)
        training = RunFolder(work / run.key, made, scenario, run.budget, run.seed)
        for _ in training.run():
            pass
        made_agent: Any = training.agent()
        facts["curve"] = training.selection.curve_facts
    else:
        made_agent = made
    assert isinstance(made_agent, Agent)
    facts["train_cpu_s"] = round(time.process_time() - start, 1)
    played = play(made_agent, scenario, draw_test_workloads(scenario, EPISODES), run.seed)
    facts["test"] = {name: [round(e[name], 6) for e in played.metrics] for name in KEPT}
    return facts | {"distinct_actions": len(played.actions), "settings_used": made.settings}


def main() -> None:
    """Run the command on this process's arguments."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(study)
    run_app(app)


if __name__ == "__main__":
    main()
