"""The independent learners' names and settings. No learning library is loaded before they train."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from edge_marl.agents.base import check_ranges
from edge_marl.agents.on_tianshou.trainer import TianshouTrainer
from edge_marl.agents.registry import register
from edge_marl.agents.soft_actor_critic.settings import AdsacConfig

__all__ = [
    "IadsacTrainer",
    "IdqnConfig",
    "IdqnTrainer",
    "IndependentConfig",
    "IppoConfig",
    "IppoTrainer",
]


@dataclass(frozen=True, kw_only=True)
class IndependentConfig:
    """Settings that `ippo` and `idqn` have; those of `iadsac` are `adsac`'s.

    Chosen on `train` and `validation` workloads of `paper`, world 0, never on test workloads.
    """

    num_envs: int = 64
    """Environments that training decides in at once, each with all its gateways."""
    decisions_per_update: int
    """Decisions collected per update, those of all gateways together."""
    batch_size: int
    """Transitions per gradient step; of `ippo` those with a decision, on average."""
    gamma: float = 0.97
    """Discount per step of the environment."""
    learning_rate: float
    """Of all networks (Adam); falls linearly to 0 over the budget."""
    hidden: tuple[int, ...] = (256, 256)
    """Widths of the hidden layers."""

    def __post_init__(self) -> None:
        """Raise AgentError for a number outside its range."""
        check_ranges(asdict(self))


@dataclass(frozen=True, kw_only=True)
class IppoConfig(IndependentConfig):
    """Settings of `ippo`."""

    decisions_per_update: int = 1024
    batch_size: int = 256
    learning_rate: float = 3e-3
    epochs: int = 6
    """Times that an update goes through what was collected for it."""
    gae_lambda: float = 0.2
    """Between one step's advantage (0) and the whole return's (1). What a choice pays is known at
    once; the crashes of later tasks are mostly noise to it: with 0.9 instead, `paper` gave 0.99 per
    task after 16,000 decisions, not 1.23."""
    clip: float = 0.2
    """Change of an action's probability ratio beyond which its gradient is cut off."""
    entropy: float = 0.03
    """Weight of the entropy in the loss."""


@dataclass(frozen=True, kw_only=True)
class IdqnConfig(IndependentConfig):
    """Settings of `idqn`."""

    decisions_per_update: int = 16
    batch_size: int = 128
    learning_rate: float = 2e-3
    buffer_size: int = 200_000
    """Transitions kept for replay."""
    updates_per_target: int = 100
    """Gradient steps after which the target network is copied anew."""
    exploration_share: float = 0.5
    """Share of the budget over which exploration falls from every action to `exploration_end`."""
    exploration_end: float = 0.02
    """Share of decisions that stay random."""


@register("ippo")
class IppoTrainer(TianshouTrainer):
    """Independent PPO (arXiv:2011.09533), one network for all gateways, masked; Tianshou's."""

    config_class = IppoConfig
    module = "edge_marl.agents.independent.ippo"
    plays = "game"


@register("idqn")
class IdqnTrainer(TianshouTrainer):
    """Independent double DQN (arXiv:1509.06461), one masked network for all; Tianshou's."""

    config_class = IdqnConfig
    module = "edge_marl.agents.independent.idqn"
    plays = "game"


@register("iadsac")
class IadsacTrainer(TianshouTrainer):
    """Independent ADSAC: `adsac` trained in the game of gateways, one masked policy for all.

    The settings are those of `adsac`. Their `batch_size` counts transitions with a decision, and
    `gamma` is per step of the environment.
    """

    config_class = AdsacConfig
    module = "edge_marl.agents.independent.iadsac"
    plays = "game"
