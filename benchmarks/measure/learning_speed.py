"""How long gradient steps and decisions of the diffusion agents take, each against the others.

    python -m edge_marl.benchmarks.measure.learning_speed

One thread, sizes of `paper`, batches of 512, all agents in turn in every round: compare figures of
one run, not of two. A gradient step is an update of critics, actor and targets, with the drawing of
its batch; a decision is `Agent.act` on one row.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
import typer

from edge_marl.console import print_rows, run_command

__all__ = ["main", "measure"]

AGENTS = ("adsac", "sac", "d2sac", "adsac-published")
BATCH = 512


def measure(
    rounds: Annotated[int, typer.Option(min=1, help="Rounds, of which medians are shown.")] = 7,
) -> None:
    """Time the agents and print medians, and ratios to `adsac`."""
    import torch

    torch.set_num_threads(1)
    works = {name: _work(name) for name in AGENTS}
    times: dict[str, list[list[float]]] = {name: [[], []] for name in AGENTS}
    for _ in range(rounds):
        for name, (step, decide) in works.items():
            times[name][0].append(_timed(step, 3))
            times[name][1].append(_timed(decide, 50))
    medians = {name: [float(np.median(part)) for part in both] for name, both in times.items()}
    own = medians["adsac"]
    rows = [("", "ms per gradient step", "of adsac's", "us per decision", "of adsac's")]
    for name, (step_s, decide_s) in medians.items():
        rows.append(
            (
                name,
                f"{1e3 * step_s:.1f}",
                f"{step_s / own[0]:.1f}",
                f"{1e6 * decide_s:.0f}",
                f"{decide_s / own[1]:.1f}",
            )
        )
    print_rows(rows)


def _work(name: str) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return what takes one gradient step, and what takes one decision."""
    from tianshou.utils.torch_utils import policy_within_training_step

    from edge_marl.agents import make
    from edge_marl.scenario import load_scenario

    paper = load_scenario("paper")
    trainer: Any = make(name, paper)
    # As many decisions as make a batch, and no gradient step among them.
    never = {"decisions_per_update": 1_000_000, "num_envs": 64, "batch_size": BATCH}
    trainer.config = replace(trainer.config, **never)
    training: Any = trainer.start(paper, 10_000, 0)
    for _ in range(BATCH // 64 + 1):
        training.advance()
    learner = training.learner
    agent = training.agent()
    agent.reset(0)
    observation = learner.replay.obs.obs[:1]

    def step() -> None:
        with policy_within_training_step(learner.algorithm.policy):
            learner.algorithm.update(buffer=learner.replay, sample_size=BATCH)

    return step, lambda: agent.act(observation, {})


def _timed(work: Callable[[], Any], times: int) -> float:
    """Return seconds per call, after one that is not counted."""
    work()
    start = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - start) / times


def main() -> None:
    """Run the command on this process's arguments."""
    run_command(measure)


if __name__ == "__main__":
    main()
