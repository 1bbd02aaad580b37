"""Trainings whose results are kept: what the replication study and the agents' docs are made from.

    python -m edge_marl.benchmarks.study.runs worlds --processes 2

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
from statistics import fmean
from typing import Annotated, Any

import typer

from edge_marl.agents import Agent, Trainer, load, make
from edge_marl.agents.registry import find
from edge_marl.agents.training.trainer import LearningTrainer
from edge_marl.console import problems, run_command
from edge_marl.draw import draw_workload
from edge_marl.errors import AgentError, RecordError
from edge_marl.files import write_file
from edge_marl.scenario import load_scenario
from edge_marl.workload.parts import Split

__all__ = ["BUDGETS", "GROUPS", "RUNS", "Run", "defaults_of", "do_runs", "main", "read_runs"]

RUNS = Path(__file__).with_name("runs.jsonl")
BUDGETS = {"paper": 96_000, "campus": 48_000, "metro": 48_000, "nation": 48_000}
"""Decisions that a learner trains on; the runs with published settings have their own."""
EPISODES = 100
SEEDS = 5
KEPT = ("utility", "utility_per_task", "server_crash_rate", "lost_fraction")
"""Metrics of every test episode that are kept."""

BASELINES = ("sac", "dqn", "ppo", "a2c", "reinforce", "qrdqn", "rainbow", "drqn")
HEURISTICS = ("random", "round-robin", "crash-avoid", "crash-avoid-best", "prophet", "bid-price")
ROUTERS = ("nearest", "warm-first", "power-of-two", "shortest-queue")
"""Heuristics by place, residency and load, for the tiers whose services' qualities are observed."""


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
    """Settings that replace the agent's own."""
    trained_on: str | None = None
    """Where it is trained, if that is not where it is played."""

    @property
    def key(self) -> str:
        """Tells runs apart."""
        facts = asdict(self)
        if self.trained_on is None:
            del facts["trained_on"]
        return _digest(facts)

    @property
    def training(self) -> Run:
        """The training that it plays the agent of."""
        return (
            self
            if self.trained_on is None
            else replace(self, scenario=self.trained_on, trained_on=None)
        )

    def make(self) -> Agent | Trainer:
        """Return the agent, or its trainer with the run's settings."""
        training = self.training
        made = make(self.agent, load_scenario(training.scenario, training.world))
        if isinstance(made, LearningTrainer):
            made.config = replace(made.config, **self.settings)
        return made


def _digest(facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _worlds() -> Iterator[Run]:
    """`adsac` on the published world and nine more, and there the learners that were best on it.

    Seed by seed, so that a part is balanced.
    """
    for world in range(10):
        for name in HEURISTICS:
            yield Run(name, "paper", world)
    for seed in range(SEEDS):
        for world in range(10):
            yield Run("adsac", "paper", world, BUDGETS["paper"], seed)
    for seed in range(SEEDS):
        for name in ("rainbow", "sac"):
            for world in range(1, 10):
                yield Run(name, "paper", world, BUDGETS["paper"], seed)


def _baselines() -> Iterator[Run]:
    """Every learner of the single environment on the published world."""
    for seed in range(SEEDS):
        for name in BASELINES:
            yield Run(name, "paper", 0, BUDGETS["paper"], seed)


def _tiers() -> Iterator[Run]:
    """Where topologies are drawn anew: all learners on `metro`, some on `campus` and `nation`."""
    few = ("adsac", "sac", "dqn", "ppo")
    learners = {"campus": few, "metro": ("adsac", *BASELINES), "nation": ("adsac",)}
    for tier in learners:
        for name in (*HEURISTICS, *ROUTERS):
            yield Run(name, tier)
    for seed in range(SEEDS):
        for tier, agents in learners.items():
            for name in agents:
                yield Run(name, tier, None, BUDGETS[tier], seed)


def _transfer() -> Iterator[Run]:
    """`adsac` of `campus`, played elsewhere as it is."""
    for seed in range(SEEDS):
        for tier in ("metro", "nation"):
            yield Run("adsac", tier, None, BUDGETS["campus"], seed, trained_on="campus")


def _ablation() -> Iterator[Run]:
    """What `adsac` is without each of its parts."""
    parts: dict[str, dict[str, Any]] = {
        "no attention": {"attention": False},
        "one denoising step": {"denoising_steps": 1},
        "one noise draw": {"noise_draws": 1},
    }
    for seed in range(SEEDS):
        for variant, settings in parts.items():
            yield Run("adsac", "paper", 0, BUDGETS["paper"], seed, variant, settings)


def _published() -> Iterator[Run]:
    """The published settings, as far as time goes (a million gradient steps are published).

    PPO takes one gradient step per 1,000 decisions, as published, and goes to the published million
    decisions; and, in `equal steps`, one per decision like the others.
    """
    settings: dict[str, dict[str, Any]] = {
        name: defaults_of(name) for name in ("ppo", "dqn", "d2sac", "adsac-published")
    }
    shared = {"gamma": 0.95, "learning_rate": 1e-3, "falling": False, "weight_decay": 1e-4}
    dqn = settings["dqn"] | shared
    dqn |= {"num_envs": 1, "decisions_per_update": 1, "batch_size": 512, "n_step": 3}
    dqn |= {"updates_per_target": 320, "exploration_start": 0.1, "exploration_end": 0.1}
    ppo = settings["ppo"] | shared
    # Ten environments, a hundred decisions each: the published one takes ten times as long.
    ppo |= {"num_envs": 10, "decisions_per_update": 1000, "batch_size": 1000}
    ppo |= {"gae_lambda": 0.95, "entropy": 0.0, "epochs": 1}
    equal = ppo | {"num_envs": 1, "batch_size": 500, "epochs": 500}
    for seed in range(SEEDS):
        yield Run("ppo", "paper", 0, 1_000_000, seed, "published", ppo)
        for budget in (2_000, 20_000):
            yield Run("ppo", "paper", 0, budget, seed, "published, equal steps", equal)
            yield Run("dqn", "paper", 0, budget, seed, "published", dqn)
        for name in ("d2sac", "adsac-published"):
            yield Run(name, "paper", 0, 2_000, seed, "published", settings[name])


def defaults_of(agent: str) -> dict[str, Any]:
    """Return a learner's settings as its dataclass has them, whatever a tier replaces."""
    kind: Any = find(agent)
    return asdict(kind.config_class())


GROUPS = {
    "worlds": _worlds,
    "baselines": _baselines,
    "tiers": _tiers,
    "transfer": _transfer,
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
    do_runs([run for run in GROUPS[group]() if run.seed < seeds], RUNS, processes, work)


def do_runs(
    runs: list[Run],
    path: Path,
    processes: int,
    work: Path,
    judged: tuple[Split, range] = ("test", range(EPISODES)),
) -> None:
    """Do the runs that have no result yet, and append each result as it comes.

    Args:
        runs: what to do, in turn.
        path: JSON lines, one per result.
        processes: runs at a time.
        work: folder of the trainings, where those that were stopped go on.
        judged: split and workloads that the trained agents play.
    """
    missing = _missing(runs, path)
    # One thread per process: the runs share the cores out among them.
    os.environ.update(OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1")
    path.parent.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(_do, run, work, judged) for run in missing]
        for done, job in enumerate(as_completed(jobs), start=1):
            outcome = job.result()
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(outcome) + "\n")
            mean = fmean(outcome["test"]["utility_per_task"])
            facts = ("agent", "scenario", "world", "variant", "seed")
            told = " ".join(str(outcome[name]) for name in facts)
            problems().print(f"{done} of {len(jobs)}: {told}: {mean:.4f}")


def _missing(runs: list[Run], path: Path) -> list[Run]:
    """Return the runs that have no result; results with other settings than today's are dropped."""
    wanted = {run.key: json.loads(json.dumps(run.make().settings)) for run in runs}
    kept = read_runs(path)
    good = [
        row for row in kept if wanted.get(row["key"], row["settings_used"]) == row["settings_used"]
    ]
    if len(good) < len(kept):
        write_file(path, "".join(json.dumps(row) + "\n" for row in good), RecordError)
    done = {row["key"] for row in good}
    return [run for run in runs if run.key not in done]


def _do(run: Run, work: Path, judged: tuple[Split, range]) -> dict[str, Any]:
    """Train, play the workloads, and return what is kept."""
    import torch

    from edge_marl.agents.play import play

    torch.set_num_threads(1)
    scenario = load_scenario(run.scenario, run.world)
    facts: dict[str, Any] = {"key": run.key, **asdict(run), "digest": scenario.digest}
    start = time.process_time()
    made = run.make()
    facts["settings_used"] = made.settings
    if isinstance(made, LearningTrainer):
        made, facts["curve"] = _train(run, made, work)
    facts["train_cpu_s"] = round(time.process_time() - start, 1)
    assert isinstance(made, Agent)
    split, numbers = judged
    workloads = [draw_workload(scenario, k, split=split) for k in numbers]
    played = play(made, scenario, workloads, run.seed)
    facts["test"] = {name: [round(e[name], 6) for e in played.metrics] for name in KEPT}
    return facts | {"distinct_actions": len(played.actions)}


def _train(run: Run, trainer: LearningTrainer, work: Path) -> tuple[Agent, list[dict[str, Any]]]:
    """Return a run's trained agent and its evaluations; they are kept, also for other runs."""
    from edge_marl.agents.training.run_folder import RunFolder

    assert run.budget is not None
    # By its settings too: a tier's may have changed since a training was begun.
    folder = work / _digest([run.training.key, trainer.settings])
    training = RunFolder(folder, trainer, trainer.scenario, run.budget, run.seed)
    for _ in training.run():
        pass
    agent = load(folder / "agent", load_scenario(run.scenario, run.world), transfer=True)
    return agent, training.selection.curve_facts


def main() -> None:
    """Run the command on this process's arguments."""
    run_command(study)


if __name__ == "__main__":
    main()
