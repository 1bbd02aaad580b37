"""Settings of the agents that learn action values: `dqn`, `drqn`, `qrdqn`, `rainbow`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge_marl.agents.training.settings import BaselineConfig, Count, Positive, Share

__all__ = ["DqnConfig", "DrqnConfig", "QrdqnConfig", "RainbowConfig", "ValueConfig"]


@dataclass(frozen=True, kw_only=True)
class ValueConfig(BaselineConfig):
    """Settings of the agents that learn action values."""

    decisions_per_update: Count = 16
    batch_size: Count = 128
    learning_rate: Positive = 2e-3
    buffer_size: Count = 200_000
    """Transitions kept for replay."""
    n_step: Count = 1
    """Decisions whose rewards are summed before bootstrapping."""
    updates_per_target: Count = 100
    """Gradient steps after which the target network is copied anew."""
    exploration_start: Share = 1.0
    exploration_share: Share = 0.5
    """Share of the budget over which exploration falls from `exploration_start` to
    `exploration_end`."""
    exploration_end: Share = 0.02
    """Share of decisions that stay random."""


@dataclass(frozen=True, kw_only=True)
class DqnConfig(ValueConfig):
    """Settings of `dqn`."""

    network: Literal["flat", "pairs"] = "flat"
    """As of `ppo`; illegal pairs are scored too, as Tianshou's DQN shows networks no masks."""


@dataclass(frozen=True, kw_only=True)
class DrqnConfig(ValueConfig):
    """Settings of `drqn`."""

    buffer_size: Count = 50_000
    """Transitions kept for replay, each with the frames before it."""
    frames: Count = 4
    """Observations that a decision is made from: the last ones of the episode (published)."""
    hidden: tuple[int, ...] = (128,)
    """Width of the LSTM's layers."""


@dataclass(frozen=True, kw_only=True)
class QrdqnConfig(ValueConfig):
    """Settings of `qrdqn`."""

    quantiles: Count = 32
    """Quantiles of the return that are learnt per action."""


@dataclass(frozen=True, kw_only=True)
class RainbowConfig(ValueConfig):
    """Settings of `rainbow`."""

    buffer_size: Count = 100_000
    exploration_start: Share = 0.2
    """Noisy layers explore too."""
    exploration_share: Share = 0.25
    atoms: Count = 51
    """Returns whose probabilities are learnt (published)."""
    noise: Share = 0.1
    """Standard deviation of the noisy layers' weights at the start (published)."""
    priority: Share = 0.5
    """Exponent of the priorities: 0 replays uniformly."""
    correction: Share = 0.4
    """Exponent of the importance weights that correct for them."""
