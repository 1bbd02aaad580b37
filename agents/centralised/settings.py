"""Names and settings of the agents that are trained centrally; TorchRL is loaded when they train.

Centralised training, decentralised execution: gateways share one network and act on what each sees,
while training also uses the state of the whole game (`EdgeAIGCRows.state`) and the team's reward.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edge_marl.agents.base import Agent, check_ranges
from edge_marl.agents.registry import register
from edge_marl.agents.training.trainer import LearningTrainer
from edge_marl.errors import AgentError
from edge_marl.scenario import Scenario

__all__ = [
    "CentralisedConfig",
    "MappoConfig",
    "MappoTrainer",
    "MixingConfig",
    "QmixConfig",
    "QmixTrainer",
    "VdnTrainer",
]


@dataclass(frozen=True, kw_only=True)
class CentralisedConfig:
    """Settings that the three algorithms share."""

    num_envs: int = 8
    """Environments that training plays at once."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the hidden layers of the network that the gateways share."""
    gamma: float = 0.97
    """Discount per step of the game."""
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        """Raise AgentError for a number outside its range."""
        check_ranges(asdict(self))


@dataclass(frozen=True, kw_only=True)
class MixingConfig(CentralisedConfig):
    """Settings of `vdn`, and of `qmix` without its mixer."""

    batch_size: int = 64
    """Steps of the game per gradient step."""
    buffer_size: int = 50_000
    """Steps of the game kept for replay."""
    tau: float = 0.01
    """Step of the target networks towards the networks after each gradient step."""
    epsilon_end: float = 0.02
    """Share of random choices after exploring; it falls linearly from 1."""
    exploring: float = 0.5
    """Share of the budget in which it falls."""


@dataclass(frozen=True, kw_only=True)
class QmixConfig(MixingConfig):
    """Settings of `qmix`."""

    mixer_width: int = 32
    """Width of the mixer's hidden layer."""


@dataclass(frozen=True, kw_only=True)
class MappoConfig(CentralisedConfig):
    """Settings of `mappo`."""

    learning_rate: float = 2e-3
    rollout: int = 32
    """Steps of the game that each environment plays between updates."""
    epochs: int = 4
    """Passes over a rollout."""
    minibatches: int = 4
    """Gradient steps per pass."""
    gae_lambda: float = 0.5
    """How far the advantage looks ahead at rewards before it trusts the critic. Luck in later slots
    hides what a choice did: on two gateways that must split over two servers, 16,000
    decisions were enough in 10 of 10 seeds with 0.5, in 9 of 10 with 0.8."""
    clip: float = 0.2
    entropy_bonus: float = 0.01
    max_grad_norm: float = 0.5


class _CentralisedTrainer(LearningTrainer):
    def __init__(self, scenario: Scenario, config: Any = None) -> None:
        _need_torchrl(self.name)
        super().__init__(scenario, config)

    @classmethod
    def load(cls, folder: str | Path, scenario: Scenario, *, transfer: bool = False) -> Agent:
        """Return a trained agent that was saved (see `Agent.load`)."""
        _need_torchrl(cls.name)
        return super().load(folder, scenario, transfer=transfer)


@register("vdn")
class VdnTrainer(_CentralisedTrainer):
    """Value decomposition: the gateways' values add up (Sunehag et al. 2018, arXiv:1706.05296).

    Raises:
        AgentError: if TorchRL is not installed.
    """

    config_class = MixingConfig
    module = "edge_marl.agents.centralised.vdn"


@register("qmix")
class QmixTrainer(_CentralisedTrainer):
    """Monotonic mixing of the gateways' values (Rashid et al. 2018, arXiv:1803.11485).

    Raises:
        AgentError: if TorchRL is not installed.
    """

    config_class = QmixConfig
    module = "edge_marl.agents.centralised.qmix"


@register("mappo")
class MappoTrainer(_CentralisedTrainer):
    """Multi-agent PPO with a central critic (Yu et al. 2022, arXiv:2103.01955).

    Raises:
        AgentError: if TorchRL is not installed.
    """

    config_class = MappoConfig
    module = "edge_marl.agents.centralised.mappo"


def _need_torchrl(name: str) -> None:
    if find_spec("torchrl") is None:
        raise AgentError(
            f"agent '{name}' needs TorchRL, which is not installed: "
            "pip install 'edge-marl[torchrl]'"
        )
