"""The trainer of the package's own learning agents; learning libraries are loaded when it trains.

A family's `settings.py` has a frozen dataclass of settings per agent, its `trainers.py` a trainer,
and each agent's own file the class of the trained agent and what makes an untrained learner. A
trainer's `_recipe` returns these two. It imports them when it is called, and not before, so that
agents have names and settings where no learning library is loaded:

    @register("adsac")
    class AdsacTrainer(TianshouTrainer):
        config_class = AdsacConfig

        @classmethod
        def _recipe(cls) -> TianshouRecipe:
            from edge_marl.agents.soft_actor_critic.adsac import AdsacAgent, make_learner

            return Recipe(AdsacAgent, make_learner)
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, TypeVar

from edge_marl.agents.base import Agent, Progress, Trainer, Training, check_budget
from edge_marl.agents.training.presets import preset
from edge_marl.agents.training.settings import LearningConfig
from edge_marl.scenario import Scenario
from edge_marl.scenario.generalisation import check_trainable

if TYPE_CHECKING:
    from edge_marl.agents.training.selection import Selection


__all__ = ["LearningTrainer", "Recipe"]

MakeLearner = TypeVar("MakeLearner")


class Recipe(NamedTuple, Generic[MakeLearner]):
    """What an agent is trained with, from the agent's own file."""

    agent: type[Any]
    """Class of the trained agent, an `Agent`."""
    make_learner: MakeLearner
    """Makes an untrained learner, as the training of its library calls it."""


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
    def _recipe(cls) -> Recipe[Any]:
        """Import the agent's own file, and its learning library, and return what it has."""

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
        agent: Agent = cls._recipe().agent.load(folder, scenario, transfer=transfer)
        return agent
