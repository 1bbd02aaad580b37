"""How many decisions per second an agent trains on, its updates included."""

from __future__ import annotations

import time

from edge_marl.agents import Trainer, make, names
from edge_marl.agents.registry import find
from edge_marl.agents.training.settings_text import configure, parse_spec
from edge_marl.agents.training.trainer import LearningTrainer
from edge_marl.errors import AgentError
from edge_marl.scenario import Scenario

__all__ = ["learners", "training_speed"]

BUDGET = 200_000
"""Decisions of the training that is begun: rates and exploration stay as they are at its start."""

MOST_S = 15.0
"""Time that an agent may take to begin with its updates, and for those that are timed."""

COLLECT = "collect=16"
"""Setting of the agents that collect a thousand decisions, and then take as many gradient steps in
one go: the same work, in portions that can be timed."""


def learners() -> list[str]:
    """Return the agents that learn, as they are written: with legal pairs, too, where they can."""
    found = []
    for name in names():
        kind = find(name)
        if not issubclass(kind, Trainer):
            continue
        config = kind.config_class if issubclass(kind, LearningTrainer) else None
        found.append(f"{name} {COLLECT}" if hasattr(config, "collect") else name)
        if hasattr(config, "network"):
            found.append(f"{name} network=pairs")
    return found


def training_speed(agent: str, scenario: Scenario, seconds: float) -> float:
    """Return decisions per second of training, from one update to another, on one thread.

    Args:
        agent: one that learns, as it is written: its name, and settings.
        scenario: what it learns on.
        seconds: at least so long, and up to the next update.

    Raises:
        AgentError: no such agent or setting, or none that learns, or its library is missing.
    """
    import torch

    name, settings = parse_spec(agent)
    trainer = make(name, scenario)
    configure(trainer, settings)
    if not isinstance(trainer, LearningTrainer):
        raise AgentError(f"agent '{agent}' does not learn: there is no training to measure")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        training = trainer.start(scenario, BUDGET, 0)
        limit, now = time.perf_counter() + MOST_S, training.advance()
        while now.updates == 0 and time.perf_counter() < limit:  # buffers fill, code is compiled
            now = training.advance()
        first, start = now, time.perf_counter()
        while True:
            before, now = now, training.advance()
            spent = time.perf_counter() - start
            if (spent > seconds and now.updates > before.updates) or spent > MOST_S:
                return (now.decisions - first.decisions) / spent
    finally:
        torch.set_num_threads(threads)
