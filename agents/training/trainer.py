"""The trainer of the package's own learning agents; learning libraries are loaded when it trains.

Each agent has a frozen dataclass of settings and a module that holds the class of the trained
agent, named `TRAINED`. The module of one that learns by an algorithm of Tianshou's also has

    make_learner(scenario, config, rows, budget, for_replay) -> Learner

for `rows` rows of environments and a seed of its replay buffer; any other has

    start(scenario, config, budget, seed) -> Training
"""

from __future__ import annotations

from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from edge_marl.agents.base import Agent, Progress, Trainer, Training, check_budget
from edge_marl.agents.training.presets import preset
from edge_marl.scenario import Scenario

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from edge_marl.agents.training.selection import Selection


__all__ = ["LearningTrainer"]


class LearningTrainer(Trainer):
    """Trains one kind of agent with one set of settings.

    Args:
        scenario: the world that it is for.
        config: settings; None takes the scenario's (`presets.py`).
    """

    config_class: ClassVar[type[DataclassInstance]]
    module: ClassVar[str]
    """Where the agent is; imported when it is needed."""

    def __init__(self, scenario: Scenario, config: Any = None) -> None:
        super().__init__(scenario)
        self.config = config or self.config_class(**preset(self.name, scenario))

    @property
    def settings(self) -> dict[str, Any]:
        """Resolved settings, for the record of a run."""
        return asdict(self.config)

    def start(self, scenario: Scenario, budget: int, seed: int) -> Training:
        """Return a training of `budget` decisions, at its start.

        Raises:
            AgentError: if the budget is below 1.
        """
        check_budget(budget)
        training: Training = import_module(self.module).start(scenario, self.config, budget, seed)
        return training

    def train(
        self, scenario: Scenario, budget: int, seed: int, progress: Progress = lambda now: None
    ) -> Agent:
        """Return the agent of a training that is best on validation workloads."""
        return self.select(scenario, budget, seed, progress).best

    def select(
        self, scenario: Scenario, budget: int, seed: int, progress: Progress = lambda now: None
    ) -> Selection:
        """Return a training at its end: its evaluations on validation workloads and best agent."""
        from edge_marl.agents.training.selection import Selection

        selection = Selection(self.start(scenario, budget, seed), scenario)
        while not selection.done:
            progress(selection.advance())
        return selection

    @classmethod
    def load(cls, folder: str | Path, scenario: Scenario, *, transfer: bool = False) -> Agent:
        """Return a trained agent that was saved (see `Agent.load`)."""
        agent: Agent = import_module(cls.module).TRAINED.load(folder, scenario, transfer=transfer)
        return agent
