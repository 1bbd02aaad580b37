"""`dqn`, `drqn`, `qrdqn`, `rainbow`: names and settings."""

from __future__ import annotations

from dataclasses import dataclass

from edge_marl.agents.on_tianshou.trainer import TianshouTrainer
from edge_marl.agents.registry import register
from edge_marl.agents.training.settings import BaselineConfig

__all__ = [
    "DqnConfig",
    "DqnTrainer",
    "DrqnConfig",
    "DrqnTrainer",
    "QrdqnConfig",
    "QrdqnTrainer",
    "RainbowConfig",
    "RainbowTrainer",
    "ValueConfig",
]


@dataclass(frozen=True, kw_only=True)
class ValueConfig(BaselineConfig):
    """Settings of the agents that learn action values."""

    decisions_per_update: int = 16
    batch_size: int = 128
    learning_rate: float = 2e-3
    buffer_size: int = 200_000
    """Transitions kept for replay."""
    n_step: int = 1
    """Decisions whose rewards are summed before bootstrapping."""
    updates_per_target: int = 100
    """Gradient steps after which the target network is copied anew."""
    exploration_start: float = 1.0
    exploration_share: float = 0.5
    """Share of the budget over which exploration falls from `exploration_start` to
    `exploration_end`."""
    exploration_end: float = 0.02
    """Share of decisions that stay random."""


@dataclass(frozen=True, kw_only=True)
class DqnConfig(ValueConfig):
    """Settings of `dqn`."""


@dataclass(frozen=True, kw_only=True)
class DrqnConfig(ValueConfig):
    """Settings of `drqn`."""

    buffer_size: int = 50_000
    """Transitions kept for replay, each with the frames before it."""
    frames: int = 4
    """Observations that a decision is made from: the last ones of the episode (published)."""
    hidden: tuple[int, ...] = (128,)
    """Width of the LSTM's layers."""


@dataclass(frozen=True, kw_only=True)
class QrdqnConfig(ValueConfig):
    """Settings of `qrdqn`."""

    quantiles: int = 32
    """Quantiles of the return that are learnt per action."""


@dataclass(frozen=True, kw_only=True)
class RainbowConfig(ValueConfig):
    """Settings of `rainbow`."""

    buffer_size: int = 100_000
    exploration_start: float = 0.2
    """Noisy layers explore too."""
    exploration_share: float = 0.25
    atoms: int = 51
    """Returns whose probabilities are learnt (published)."""
    noise: float = 0.1
    """Standard deviation of the noisy layers' weights at the start (published)."""
    priority: float = 0.5
    """Exponent of the priorities: 0 replays uniformly."""
    correction: float = 0.4
    """Exponent of the importance weights that correct for them."""


@register("dqn")
class DqnTrainer(TianshouTrainer):
    """Double deep Q-network (arXiv:1509.06461), masked; Tianshou's."""

    config_class = DqnConfig
    module = "edge_marl.agents.value_based.dqn"


@register("drqn")
class DrqnTrainer(TianshouTrainer):
    """Deep recurrent Q-network: an LSTM over the last observations (arXiv:1507.06527)."""

    config_class = DrqnConfig
    module = "edge_marl.agents.value_based.drqn"


@register("qrdqn")
class QrdqnTrainer(TianshouTrainer):
    """Quantile-regression DQN (Dabney et al. 2018, arXiv:1710.10044), masked; Tianshou's."""

    config_class = QrdqnConfig
    module = "edge_marl.agents.value_based.qrdqn"


@register("rainbow")
class RainbowTrainer(TianshouTrainer):
    """Rainbow (Hessel et al. 2018, arXiv:1710.02298), masked; Tianshou's."""

    config_class = RainbowConfig
    module = "edge_marl.agents.value_based.rainbow"
