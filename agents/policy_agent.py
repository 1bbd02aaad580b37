"""The trained agent of all learning libraries: it acts by a network, or draws lots by it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from edge_marl.agents.base import Agent, legal_actions
from edge_marl.agents.checkpoint import read_checkpoint, write_checkpoint
from edge_marl.agents.networks.sharing import Networks, check_networks
from edge_marl.agents.streams import RowStreams
from edge_marl.errors import AgentError
from edge_marl.scenario import Scenario

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


__all__ = ["DrawingAgent", "PolicyAgent"]

C = TypeVar("C", bound="DataclassInstance")

BLOCK = 256
"""Rows that a network is asked of at once: of 2,048 what it computes leaves the processor's cache,
and each takes nearly twice the time."""


class PolicyAgent(Agent, Generic[C]):
    """Acts by the most probable action of a trained network.

    It computes in double precision. In single, the last bits of a row's probabilities change with
    the number of rows, the machine and its linear-algebra library, and with them, once in a while,
    the action; in double two actions would have to be equal to the fifteenth digit.

    Args:
        scenario: the world that the network was trained in.
        config: settings that it was trained with.
        actor: the network; it is copied.
    """

    config_class: ClassVar[type[DataclassInstance]]
    packages: ClassVar[tuple[str, ...]] = ()
    """Distributions that the network is made of, besides those of every agent."""
    actor: nn.Module
    stateless = True  # nothing is kept between decisions

    def __init__(self, scenario: Scenario, config: C, actor: nn.Module) -> None:
        super().__init__(scenario)
        self.config = config
        self.actor = deepcopy(actor).double().eval().requires_grad_(False)
        self._networks = Networks(scenario, config)
        self.reset(0)

    @classmethod
    @abstractmethod
    def build_actor(cls, scenario: Scenario, config: C) -> nn.Module:
        """Return an untrained actor: (observation, mask) -> log-probabilities (B, A)."""

    @property
    def settings(self) -> dict[str, Any]:
        """Settings that the agent was trained with."""
        return asdict(self.config)

    def reset(self, seed: int) -> None:
        """Nothing is drawn."""

    def act(
        self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        """Return the most probable legal action of each row."""
        seen = torch.tensor(observation, dtype=torch.float64)
        legal = torch.from_numpy(legal_actions(info, len(observation), self.scenario))
        told = (seen, legal, *self._which(seen, info))
        rows = BLOCK if self.stateless else max(1, len(seen))
        with torch.inference_mode():
            blocks = zip(*(torch.split(part, rows) for part in told), strict=True)
            found = [self.log_probabilities(*block) for block in blocks]
            return self.most_probable(found[0] if len(found) == 1 else torch.cat(found))

    def most_probable(self, log_probabilities: Tensor) -> npt.NDArray[np.int64]:
        """Return the action (B,) of each row's largest (B, A), and keep them as preferences."""
        self.preferences = log_probabilities.numpy()
        action: npt.NDArray[np.int64] = log_probabilities.argmax(dim=-1).numpy()
        return action

    def _which(self, seen: Tensor, info: Mapping[str, Any]) -> tuple[Tensor, ...]:
        """Return what rows are told besides (B,), where they are (`Networks.of`)."""
        if not self._networks.told:
            return ()
        if "agent_index" not in info:
            raise AgentError(
                "what is decided depends on whose turn it is: info['agent_index'] has to say it"
            )
        return (self._networks.of(seen, torch.tensor(info["agent_index"])),)

    def log_probabilities(self, observation: Tensor, mask: Tensor, *which: Tensor) -> Tensor:
        """Return log-probabilities (B, A) of the policy in evaluation."""
        values: Tensor = self.actor(observation, mask, *which)
        return values

    def save(self, folder: str | Path) -> None:
        """Write settings and weights (in the single precision that they were trained in)."""
        weights = {k: v.float().numpy() for k, v in self.actor.state_dict().items()}
        write_checkpoint(
            Path(folder), self.name, self.scenario, self.settings, weights, self.packages
        )

    @classmethod
    def load(cls, folder: str | Path, scenario: Scenario, *, transfer: bool = False) -> Self:
        """Return the agent that `save` wrote (see `Agent.load`)."""
        settings, weights = read_checkpoint(Path(folder), cls.name, scenario, transfer)
        try:
            config: Any = cls.config_class(**_without_lists(settings))
            check_networks(scenario, config, weights)
            with torch.random.fork_rng(devices=[]):  # its first weights are drawn, and replaced
                actor = cls.build_actor(scenario, config)
            actor.load_state_dict({k: _tensor(k, v) for k, v in weights.items()})
        except AgentError as error:
            raise AgentError(f"{folder}: {error}") from None
        except Exception as error:  # whatever wrong settings or weights lead to
            reason = " ".join(str(error).split())[:300]
            why = f"settings or weights are not those of this version's '{cls.name}'"
            if transfer:
                why += f" for '{scenario.label}': its sizes are those of what it was made for"
            raise AgentError(f"{folder}: {why} ({reason})") from None
        return cls(scenario, config, actor)


class DrawingAgent(PolicyAgent[C]):
    """Draws actions by exp(log p / T), T being the setting `temperature`; 0 takes the best one.

    Row i draws from the i-th stream of the seed: the largest of v / T plus Gumbel noise, and so of
    v plus T times that, is drawn with probabilities in proportion to exp(v / T) (Gumbel,
    "Statistical theory of extreme values", 1954).
    """

    depends_on_seed = False
    """Whether it does so without drawing lots, too."""

    def __init__(self, scenario: Scenario, config: Any, actor: nn.Module) -> None:
        self._temperature: float = config.temperature
        self.stateless = self._temperature == 0.0  # a row's lots are its own
        self.deterministic = self.stateless and not self.depends_on_seed
        super().__init__(scenario, config, actor)

    def reset(self, seed: int) -> None:
        """Start new streams."""
        self._streams = RowStreams(seed)

    def most_probable(self, log_probabilities: Tensor) -> npt.NDArray[np.int64]:
        """Return the action (B,) of each row's largest (B, A), with noise where the agent draws.

        What is illegal has the lowest number that there is, from which no noise takes it.
        """
        if self._temperature > 0.0:
            noise = torch.from_numpy(self._draw(*log_probabilities.shape))
            log_probabilities = log_probabilities - self._temperature * (-noise.log()).log()
        return super().most_probable(log_probabilities)

    def _draw(self, rows: int, actions: int) -> npt.NDArray[np.float64]:
        """Return (rows, actions) numbers between 0 and 1, without the ends."""
        drawn = [stream.random(actions) for stream in self._streams.of(rows)]
        return np.maximum(drawn, np.finfo(np.float64).tiny)


def _tensor(name: str, array: npt.NDArray[Any]) -> Tensor:
    """Return weights as torch takes them, refused where they would be changed or decide nothing."""
    if array.dtype != np.float32:
        raise TypeError(f"{name} is {array.dtype}: must be float32")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds NaN or an infinite number")
    return torch.from_numpy(array)


def _without_lists(settings: dict[str, Any]) -> dict[str, Any]:
    """JSON knows no tuples; the settings know no lists."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
