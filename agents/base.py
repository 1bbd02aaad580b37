"""What an agent is: it acts on rows of observations; a trainer makes one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from edge_marl.agents.checkpoint import read_checkpoint, write_checkpoint
from edge_marl.errors import AgentError, show
from edge_marl.scenario import Scenario
from edge_marl.simulator.gateways import GatewaySimulator
from edge_marl.workload import Workload

__all__ = [
    "Agent",
    "CentralAgent",
    "ChooseAll",
    "Progress",
    "Sharing",
    "TrainProgress",
    "Trainer",
    "Training",
    "check_budget",
    "legal_actions",
]

Sharing = Literal["all", "by-role", "none"]
"""Whose network decides: one for all gateways, one for each role, or one for each of them."""


class Agent(ABC):
    """Decides for many episodes at once, each in a row of its own.

    Row i of consecutive calls of `act` is the same episode, until the next `reset`. All rows are
    passed each time; what is returned for a row whose episode is over counts for nothing. A row's
    action depends on its own observations and infos and its row number, never on the other rows or
    on how many there are, so an agent gives the same actions in a batch as alone.

    Args:
        scenario: the world to decide in.
    """

    name: ClassVar[str]
    """Id in checkpoints; the registered name."""
    deterministic: bool = False
    """Whether the actions are the same for every seed of `reset`: of the class, or as it is set."""
    stateless: bool = False
    """Whether an action depends on nothing but what its row sees now and on the seed of the latest
    `reset`: then rows in which there is nothing to decide need not be asked. Of the class, or as it
    is set."""
    central: ClassVar[bool] = False
    """Whether it decides for all gateways of a game together, on what all of them see: the rows of
    an episode are then its gateways, in order. A board ranks it apart."""
    preferences: npt.NDArray[np.floating[Any]] | None = None
    """(B, A), what the last `act` chose the largest of in each row; None: it does not say.

    For who checks a log on another machine: where two actions are equally good to within rounding,
    either is this agent's.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario

    @property
    def settings(self) -> dict[str, Any]:
        """Resolved settings, as JSON can hold them, for the record of a run."""
        return {}

    @abstractmethod
    def reset(self, seed: int) -> None:
        """Start new episodes in all rows, with the agent's own randomness drawn from `seed`."""

    @abstractmethod
    def act(
        self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        """Return one action per row.

        Args:
            observation: (B, D) observations, one episode per row.
            info: what the environment gave with them; `info["action_mask"]` is int8 (B, A), 1 where
                an action is legal. Where it is missing, every action is. `info["agent_index"]` is
                int64 (B,), the gateway that decides (0 where no task is left): not to be written
                to.
        """

    def save(self, folder: str | Path) -> None:
        """Write the agent as `config.json`, and `weights.safetensors` where it has weights."""
        write_checkpoint(Path(folder), self.name, self.scenario, self.settings, {})

    @classmethod
    def load(cls, folder: str | Path, scenario: Scenario, *, transfer: bool = False) -> Self:
        """Return the agent that `save` wrote.

        Args:
            folder: where it is.
            scenario: the world to decide in.
            transfer: whether that may be another one than the agent was made for.

        Raises:
            AgentError: no readable checkpoint, or one of another agent or scenario.
        """
        read_checkpoint(Path(folder), cls.name, scenario, transfer)
        return cls(scenario)


ChooseAll = Callable[[], npt.NDArray[np.int64]]
"""Returns what all gateways choose now, (E, G): actions, or the number of actions for nothing."""


class CentralAgent(Agent):
    """Decides for all gateways of an episode together: a reference, not a policy of gateways.

    In the game it is handed the simulator itself, and so the true state of everything. Nothing else
    is: whatever derives from `Agent` alone is shown observations of single gateways. On a board it
    is of the class *central*, which is never ranked with agents that decide alone.
    """

    central = True

    @abstractmethod
    def take_seats(self, game: GatewaySimulator, workloads: Sequence[Workload]) -> ChooseAll:
        """Return what decides for the gateways of a game that is about to begin.

        It is called once for each step of the game, in which all rows are as they are then; what it
        chooses in a row whose episode is over counts for nothing.

        Args:
            game: the rows that are played; only to be looked at.
            workloads: what its rows play, one episode each.
        """


@dataclass(frozen=True)
class TrainProgress:
    """How far a training is."""

    decisions: int
    budget: int
    updates: int
    """Gradient steps so far."""
    utility_per_task: float
    """Mean reward of the last decisions taken in training (with exploration)."""
    mean_return: float | None
    """Mean return of the last training episodes that ended; None before the first has ended."""


Progress = Callable[[TrainProgress], None]
"""Called now and then with the state of a training."""


class Training(ABC):
    """A training that is under way: it goes on step by step, and can be kept and gone on with.

    A training that is restored from a state gives the same agent as one that was never stopped, bit
    for bit, on one machine with the same number of torch threads.
    """

    budget: int
    """Decisions to train on."""
    decisions: int = 0
    """Decisions taken so far."""

    @property
    @abstractmethod
    def done(self) -> bool:
        """Whether the budget is spent, as far as whole steps of it go."""

    @abstractmethod
    def advance(self) -> TrainProgress:
        """Take the next step, and learn from it."""

    @abstractmethod
    def agent(self) -> Agent:
        """Return the agent as it is now; it does not change as the training goes on."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return all that the rest of the training depends on, as `write_state` takes it."""

    @abstractmethod
    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state of a training that was started with the same arguments."""


class Trainer(ABC):
    """Trains an agent; one object may train several.

    Args:
        scenario: the world that it is for.
    """

    name: ClassVar[str]
    """The registered name."""
    information: ClassVar[Literal["own", "state"]] = "own"
    """What a training in the game of gateways uses: what each gateway itself sees and gets, or the
    state of the game, or what others see."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario

    @classmethod
    def check_installed(cls) -> None:
        """Raise AgentError, saying what to install, where a library that it needs is missing."""
        return  # most need no more than what the package brings

    @property
    def settings(self) -> dict[str, Any]:
        """Resolved settings, as JSON can hold them, for the record of a run."""
        return {}

    @abstractmethod
    def train(
        self,
        scenario: Scenario,
        budget: int,
        seed: int,
        progress: Progress = lambda now: None,
    ) -> Agent:
        """Return an agent trained on `budget` decisions of the scenario's `train` workloads.

        The same arguments give the same agent, bit for bit, on one machine with the same number of
        torch threads.

        Args:
            scenario: the world to train in.
            budget: decisions to train on.
            seed: of everything random: weights, exploration, workloads, replay.
            progress: called now and then.

        Raises:
            AgentError: if the budget is below 1.
        """

    @classmethod
    def load(cls, folder: str | Path, scenario: Scenario, *, transfer: bool = False) -> Agent:
        """Return an agent of this trainer's that was saved (see `Agent.load`)."""
        raise AgentError(f"{cls.name} does not say how its agents are loaded: give it a `load`")


def legal_actions(info: Mapping[str, Any], rows: int, scenario: Scenario) -> npt.NDArray[np.bool_]:
    """Return a new array of which actions are legal, (rows, A): all where `info` has no mask."""
    mask = info.get("action_mask")
    if mask is None:
        return np.ones((rows, scenario.num_actions), dtype=np.bool_)
    return np.array(mask, dtype=np.bool_)


def check_budget(budget: int) -> None:
    """Raise AgentError unless a training budget is at least one decision."""
    if not isinstance(budget, Integral):
        raise AgentError(f"budget = {show(budget)}: must be a whole number of decisions")
    if budget < 1:
        raise AgentError(f"budget = {budget} decisions: a training needs at least 1")
