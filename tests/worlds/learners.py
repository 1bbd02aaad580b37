"""Trained agents for tests, small and quick."""

from __future__ import annotations

from functools import cache
from typing import Any

from edge_marl.agents.base import Agent, Progress, Trainer
from edge_marl.agents.soft_actor_critic.settings import AdsacConfig, SacConfig
from edge_marl.agents.soft_actor_critic.trainers import AdsacTrainer, SacTrainer
from edge_marl.agents.training.trainer import LearningTrainer
from edge_marl.scenario import Scenario, load_scenario

SMALL: dict[str, Any] = {"num_envs": 8, "batch_size": 32, "decisions_per_update": 16}
HEURISTICS = [
    "bid-price",
    "c-mu",
    "capacity-random",
    "crash-avoid",
    "crash-avoid-best",
    "hashed",
    "join-shortest-work",
    "least-cost",
    "max-weight",
    "nearest",
    "power-of-two",
    "prophet",
    "random",
    "round-robin",
    "shortest-queue",
    "soft-prophet",
    "staggered",
    "threshold",
    "warm-first",
]
"""Those that decide in every scenario (`cloud-only` needs a cloud)."""
RANDOMISED = ["capacity-random", "power-of-two", "random", "soft-prophet"]
LEARNERS = ["adsac", "sac"]


def small_trainer(name: str, scenario: Scenario, **settings: Any) -> Trainer:
    """A trainer with a small network; `settings` replace the small ones."""
    if name == "sac":
        return SacTrainer(scenario, SacConfig(**{"hidden": (32, 32), **SMALL, **settings}))
    sizes = {"width": 16, "denoiser_width": 8}
    return AdsacTrainer(scenario, AdsacConfig(**{**sizes, **SMALL, **settings}))


def learnt(
    trainer: Trainer,
    scenario: Scenario,
    budget: int,
    seed: int = 0,
    progress: Progress = lambda now: None,
) -> Agent:
    """The agent at the end of a training.

    `Trainer.train` returns the best on validation workloads: of a short training, evaluations are
    nearly all that there is to wait for.
    """
    assert isinstance(trainer, LearningTrainer)
    training = trainer.start(scenario, budget, seed)
    while not training.done:
        progress(training.advance())
    return training.agent()


@cache
def trained(name: str) -> Agent:
    """An agent trained for 20 updates on `smoke`. Shared by tests: reset it before use."""
    smoke = load_scenario("smoke")
    return learnt(small_trainer(name, smoke), smoke, 320)
