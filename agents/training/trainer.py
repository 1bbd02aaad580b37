"""The trainer of the package's own learning agents; learning libraries are loaded when it trains.

A family's `settings.py` has a frozen dataclass of settings per agent, its `trainers.py` a trainer,
its `agents.py` the class of the trained agent, and each agent's own file what makes an untrained
learner. A trainer imports these two when it is asked for them, and not before, each by itself:
agents have names and settings where no learning library is loaded, and who loads and plays a
trained agent does not load, and wait for, the library that it was trained with:

    @register("adsac")
    class AdsacTrainer(TianshouTrainer):
        config_class = AdsacConfig

        @classmethod
        def _agent(cls) -> type[Any]:
            from edge_marl.agents.soft_actor_critic.agents import AdsacAgent

            return AdsacAgent

        @classmethod
        def _make_learner(cls) -> MakeLearner:
            from edge_marl.agents.soft_actor_critic.adsac import make_learner

            return make_learner
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from edge_marl.agents.base import Agent, Progress, Trainer, Training, check_budget
from edge_marl.agents.training.presets import preset
from edge_marl.agents.training.settings import LearningConfig
from edge_marl.scenario import Scenario
from edge_marl.scenario.generalisation import check_trainable

if TYPE_CHECKING:
    from edge_marl.agents.training.selection import Selection


__all__ = ["LearningTrainer"]


class LearningTrainer(Trainer):
    """Trains one kind of agent with one set of settings.

    Args:
        scenario: the world that it is for.
        config: settings; None takes the scenario's (`presets.py`).
    """

    config_class: ClassVar[type[LearningConfig]]
    config: LearningConfig

    def __init__(self, scenario: Scenario, config: LearningConfig | None = None) -> None:
        super().__init__(scenario)
        self.config = config or self.config_class(**preset(self.name, scenario))

    @property
    def settings(self) -> dict[str, Any]:
        """Resolved settings, for the record of a run."""
        return asdict(self.config)

    @classmethod
    @abstractmethod
    def _agent(cls) -> type[Any]:
        """Import and return the class of the trained agent, an `Agent`; no losses, no learner."""

    def start(self, scenario: Scenario, budget: int, seed: int) -> Training:
        """Return a training of `budget` decisions, at its start.

        Raises:
            AgentError: if the budget is below 1.
            ScenarioError: if the scenario is a test set of a tier.
        """
        check_budget(budget)
        check_trainable(scenario)
        return self._begin(scenario, budget, seed)

    @abstractmethod
    def _begin(self, scenario: Scenario, budget: int, seed: int) -> Training:
        """Return a training at its start, of a budget and in a scenario that may be trained in."""

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
        agent: Agent = cls._agent().load(folder, scenario, transfer=transfer)
        return agent
