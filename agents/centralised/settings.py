"""Settings of `vdn`, `qmix`, `mappo` and `happo`.

Centralised training, decentralised execution: gateways share one network and act on what each sees,
while training also uses the state of the whole game (`EdgeAIGCRows.state`) and the team's reward.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_marl.agents.base import Sharing
from edge_marl.agents.training.settings import (
    Count,
    DiscountConfig,
    Positive,
    Share,
    SharingConfig,
)

__all__ = [
    "CentralisedConfig",
    "HappoConfig",
    "MappoConfig",
    "MixingConfig",
    "QmixConfig",
]


@dataclass(frozen=True, kw_only=True)
class CentralisedConfig(DiscountConfig):
    """Settings that the algorithms share."""

    num_envs: Count = 8
    learning_rate: Positive = 1e-3
    """Of all networks (Adam)."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the hidden layers of the network that the gateways share."""


@dataclass(frozen=True, kw_only=True)
class MixingConfig(CentralisedConfig):
    """Settings of `vdn`, and of `qmix` without its mixer."""

    batch_size: Count = 64
    """Steps of the game per gradient step."""
    buffer_size: Count = 50_000
    """Steps of the game kept for replay."""
    tau: Share = 0.01
    """Step of the target networks towards the networks after each gradient step."""
    exploration_share: Share = 0.5
    """Share of the budget over which exploration falls from every choice to `exploration_end`."""
    exploration_end: Share = 0.02
    """Share of choices that stay random."""


@dataclass(frozen=True, kw_only=True)
class QmixConfig(MixingConfig):
    """Settings of `qmix`."""

    mixer_width: Count = 32
    """Width of the mixer's hidden layer."""


@dataclass(frozen=True, kw_only=True)
class MappoConfig(CentralisedConfig, SharingConfig):
    """Settings of `mappo`."""

    learning_rate: Positive = 2e-3
    rollout: Count = 32
    """Steps of the game that each environment plays between updates."""
    epochs: Count = 4
    """Passes over a rollout."""
    minibatches: Count = 4
    """Gradient steps per pass."""
    gae_lambda: Share = 0.5
    """How far the advantage looks ahead at rewards before it trusts the critic. Luck in later slots
    hides what a choice did: on two gateways that must split over two servers, 16,000
    decisions were enough in 10 of 10 seeds with 0.5, in 9 of 10 with 0.8."""
    clip: Share = 0.2
    """Change of a choice's probability ratio beyond which its gradient is cut off."""
    entropy: Share = 0.01
    """Weight of the entropy in the loss."""
    max_grad_norm: Positive = 0.5
    """Norm that gradients are cut to."""


@dataclass(frozen=True, kw_only=True)
class HappoConfig(MappoConfig):
    """Settings of `happo`: those of `mappo`, with a network for each gateway."""

    sharing: Sharing = "none"
