"""The game as tensors, and the training of `vdn`, `qmix`, `mappo` and `happo`."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from tensordict import TensorDict
from torch import Tensor, nn
from torchrl.objectives import LossModule

from edge_marl.agents.base import Agent, Training, TrainProgress
from edge_marl.agents.centralised.agents import ByRow, make_network
from edge_marl.agents.centralised.settings import CentralisedConfig
from edge_marl.agents.training.meter import Meter
from edge_marl.agents.training.randomness import Randomness, number
from edge_marl.envs import EdgeAIGCRows
from edge_marl.scenario import Scenario

__all__ = [
    "CentralisedLearner",
    "CentralisedTraining",
    "Game",
    "MakeLearner",
]


class Game:
    """The multi-agent game for training: tensors by name, the budget, and what was earned.

    Args:
        scenario: the world; training plays its `train` workloads.
        num_envs: environments E.
        budget: decisions that may be taken; a step has one per gateway with a task.
        seed: of the workloads.
    """

    def __init__(self, scenario: Scenario, num_envs: int, budget: int, seed: int) -> None:
        # DISABLED: the state at the end of an episode is needed, and gone after a reset.
        self._rows = EdgeAIGCRows(num_envs, scenario, autoreset_mode=AutoresetMode.DISABLED)
        self.budget = budget
        self._meter = Meter(num_envs)
        self.decisions = 0
        self.now = self._tensors(*self._rows.reset(seed=seed))
        """What there is now, (E,): `agents` (`observation`, `mask`) and `state`."""
        self.state_size = int(self.now["state"].shape[-1])

    @property
    def spent(self) -> float:
        """Share of the budget that is spent."""
        return self.decisions / self.budget

    @property
    def goes_on(self) -> bool:
        """Whether the budget has room for the next step."""
        return self.decisions + self._deciding <= self.budget

    def step(self, chosen: TensorDict) -> TensorDict:
        """Play `chosen["agents", "action"]` (E, G); return it with what came `next`.

        `next` has the team's `reward`, `terminated` and `done` (E, 1) as well, and the last
        observation of an episode that ended; `now` is then the first of the next one.
        """
        deciding = self._deciding
        seen, rewards, terminated, truncated, infos = self._rows.step(
            chosen["agents", "action"].numpy()
        )
        over = terminated | truncated
        following = self._tensors(seen, infos)
        following["reward"] = torch.from_numpy(rewards[:, :1]).float()
        following["terminated"] = torch.from_numpy(terminated[:, None])
        following["done"] = torch.from_numpy(over[:, None])
        self.decisions += deciding
        self._meter.count(rewards.sum(-1), deciding, over)
        self.now = self._restart(over) if over.any() else following.select("agents", "state")
        result: TensorDict = chosen.clone(recurse=False)
        return result.set("next", following)

    def progress(self, updates: int) -> TrainProgress:
        """Return how far the training is."""
        return self._meter.progress(self.decisions, self.budget, updates)

    def save_state(self) -> dict[str, Any]:
        """Return where the game is."""
        return {
            "decisions": self.decisions,
            **self._meter.state(),
            "rows": self._rows.save_state(),
        }

    def restore_state(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.decisions = state["decisions"]
        self._meter.restore(state)
        self.now = self._tensors(*self._rows.restore_state(state["rows"]))

    @property
    def _deciding(self) -> int:
        return int(self.now["agents", "mask"][..., :-1].any(-1).sum())

    def _restart(self, over: Any) -> TensorDict:
        return self._tensors(*self._rows.reset(options={"reset_mask": over}))

    def _tensors(self, seen: Any, infos: dict[str, Any]) -> TensorDict:
        envs = self._rows.num_envs
        agents = {
            "observation": torch.from_numpy(seen),
            "mask": torch.from_numpy(infos["action_mask"].astype(np.bool_)),
        }
        state = torch.from_numpy(self._rows.state())
        batch = [envs, self._rows.num_gateways]
        return TensorDict({"agents": TensorDict(agents, batch), "state": state}, [envs])


class CentralisedLearner(ABC):
    """What the training has to know of an algorithm of TorchRL's."""

    loss: LossModule
    optimiser: torch.optim.Optimizer

    @abstractmethod
    def advance(self, game: Game) -> int:
        """Play on, and learn from it; return the gradient steps."""

    def state(self) -> dict[str, Any]:
        """Return all that the next update depends on."""
        return {"loss": _tensors_of(self.loss), "optimiser": self.optimiser.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a state."""
        # What is no tensor (TorchRL notes batch sizes) follows from the settings.
        self.loss.load_state_dict(self.loss.state_dict() | state["loss"])
        self.optimiser.load_state_dict(state["optimiser"])


def _tensors_of(module: nn.Module) -> dict[str, Tensor]:
    return {k: v for k, v in module.state_dict().items() if isinstance(v, Tensor)}


MakeLearner = Callable[[Scenario, Any, Any, int], CentralisedLearner]
"""Makes an untrained learner from scenario, settings, the gateways' network and the length of the
state; further weights are drawn from torch's global generator."""


class CentralisedTraining(Training):
    """A training on the game that is under way.

    Args:
        scenario: the world; training plays its `train` workloads.
        config: settings.
        make_learner: makes the learner.
        trained: makes the agent from scenario, settings and its network on rows, which it copies.
        budget: decisions to train on.
        seed: of everything random.
    """

    learner: CentralisedLearner
    """Losses, optimiser and what else learns, as they are now."""

    def __init__(
        self,
        scenario: Scenario,
        config: CentralisedConfig,
        make_learner: MakeLearner,
        trained: Callable[[Scenario, Any, nn.Module], Agent],
        budget: int,
        seed: int,
    ) -> None:
        # TorchRL reports every storage that it makes.
        logging.getLogger("torchrl").setLevel(logging.WARNING)
        for_torch, for_numpy, for_envs = np.random.SeedSequence(seed).spawn(3)
        self.budget = budget
        self._updates = 0
        self._game = Game(scenario, min(config.num_envs, budget), budget, number(for_envs))
        # Networks, exploration and replay draw from torch's global generator.
        self._random = Randomness(number(for_torch), number(for_numpy))
        with self._random.borrowed():
            network = make_network(scenario, config)
            self.learner = make_learner(scenario, config, network, self._game.state_size)
        self._trained = partial(trained, scenario, config, ByRow(network))

    @property
    def done(self) -> bool:
        """Whether the next step could exceed the budget."""
        return not self._game.goes_on

    def advance(self) -> TrainProgress:
        """Play on, and learn from it."""
        with self._random.borrowed():
            self._updates += self.learner.advance(self._game)
        self.decisions = self._game.decisions
        return self._game.progress(self._updates)

    def agent(self) -> Agent:
        """Return the agent as it is now."""
        return self._trained()

    def state(self) -> dict[str, Any]:
        """Return all that the rest of the training depends on."""
        return {
            "updates": self._updates,
            "random": self._random.state,
            "game": self._game.save_state(),
            "learner": self.learner.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state of a training with the same arguments."""
        self._updates = state["updates"]
        self._random.state = state["random"]
        self._game.restore_state(state["game"])
        self.learner.restore(state["learner"])
        self.decisions = self._game.decisions
