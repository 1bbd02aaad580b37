"""Names and settings of the agents that are trained centrally; TorchRL is loaded when they train.

Centralised training, decentralised execution: gateways share one network and act on what each sees,
while training also uses the state of the whole game (`EdgeAIGCRows.state`) and the team's reward.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edge_marl.agents.base import Agent, Progress, Trainer, check_budget, check_ranges
from edge_marl.agents.registry import register
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


class _CentralisedTrainer(Trainer):
    """Trains one kind of agent with one set of settings."""

    config: CentralisedConfig

    def __init__(self, scenario: Scenario) -> None:
        _need_torchrl(self.name)
        super().__init__(scenario)

    @property
    def settings(self) -> dict[str, Any]:
        """Resolved settings, for the record of a run."""
        return asdict(self.config)


@register("vdn")
class VdnTrainer(_CentralisedTrainer):
    """Value decomposition: the gateways' values add up (Sunehag et al. 2018, arXiv:1706.05296).

    Args:
        scenario: the world that it is for.
        config: settings.

    Raises:
        AgentError: if TorchRL is not installed.
    """

    def __init__(self, scenario: Scenario, config: MixingConfig | None = None) -> None:
        super().__init__(scenario)
        self.config: MixingConfig = config or MixingConfig()

    def train(
        self, scenario: Scenario, budget: int, seed: int, progress: Progress = lambda now: None
    ) -> Agent:
        """Return an agent trained on `budget` decisions (see `Trainer.train`)."""
        check_budget(budget)
        from edge_marl.agents.vdn import train_vdn

        return train_vdn(scenario, self.config, budget, seed, progress)

    @classmethod
    def load(cls, folder: str | Path, scenario: Scenario) -> Agent:
        """Return a trained agent that was saved (see `Agent.load`)."""
        _need_torchrl(cls.name)
        from edge_marl.agents.vdn import VdnAgent

        return VdnAgent.load(folder, scenario)


@register("qmix")
class QmixTrainer(_CentralisedTrainer):
    """Monotonic mixing of the gateways' values (Rashid et al. 2018, arXiv:1803.11485).

    Args:
        scenario: the world that it is for.
        config: settings.

    Raises:
        AgentError: if TorchRL is not installed.
    """

    def __init__(self, scenario: Scenario, config: QmixConfig | None = None) -> None:
        super().__init__(scenario)
        self.config: QmixConfig = config or QmixConfig()

    def train(
        self, scenario: Scenario, budget: int, seed: int, progress: Progress = lambda now: None
    ) -> Agent:
        """Return an agent trained on `budget` decisions (see `Trainer.train`)."""
        check_budget(budget)
        from edge_marl.agents.qmix import train_qmix

        return train_qmix(scenario, self.config, budget, seed, progress)

    @classmethod
    def load(cls, folder: str | Path, scenario: Scenario) -> Agent:
        """Return a trained agent that was saved (see `Agent.load`)."""
        _need_torchrl(cls.name)
        from edge_marl.agents.qmix import QmixAgent

        return QmixAgent.load(folder, scenario)


@register("mappo")
class MappoTrainer(_CentralisedTrainer):
    """Multi-agent PPO with a central critic (Yu et al. 2022, arXiv:2103.01955).

    Args:
        scenario: the world that it is for.
        config: settings.

    Raises:
        AgentError: if TorchRL is not installed.
    """

    def __init__(self, scenario: Scenario, config: MappoConfig | None = None) -> None:
        super().__init__(scenario)
        self.config: MappoConfig = config or MappoConfig()

    def train(
        self, scenario: Scenario, budget: int, seed: int, progress: Progress = lambda now: None
    ) -> Agent:
        """Return an agent trained on `budget` decisions (see `Trainer.train`)."""
        check_budget(budget)
        from edge_marl.agents.mappo import train_mappo

        return train_mappo(scenario, self.config, budget, seed, progress)

    @classmethod
    def load(cls, folder: str | Path, scenario: Scenario) -> Agent:
        """Return a trained agent that was saved (see `Agent.load`)."""
        _need_torchrl(cls.name)
        from edge_marl.agents.mappo import MappoAgent

        return MappoAgent.load(folder, scenario)


def _need_torchrl(name: str) -> None:
    if find_spec("torchrl") is None:
        raise AgentError(
            f"agent '{name}' needs TorchRL, which is not installed: "
            "pip install 'edge-marl[torchrl]'"
        )
