"""Settings of the published diffusion policies, `adsac-published` and `d2sac`."""

from __future__ import annotations

from dataclasses import dataclass

from edge_marl.agents.training.settings import Count, DiffusionConfig, Positive, Share

__all__ = ["PublishedConfig"]


@dataclass(frozen=True, kw_only=True)
class PublishedConfig(DiffusionConfig):
    """Settings of the published agents, the defaults as published."""

    num_envs: Count = 1
    decisions_per_update: Count = 1
    """Decisions collected per gradient step, on average."""
    collect: Count = 1000
    """Decisions collected before the gradient steps that are due are taken, all in a row."""
    batch_size: Count = 512
    buffer_size: Count = 1_000_000
    """Transitions kept for replay."""
    gamma: Share = 0.95
    n_step: Count = 3
    """Decisions whose rewards are summed before bootstrapping."""
    tau: Share = 0.005
    """Step of the target networks, the actor's too, after each gradient step."""
    actor_learning_rate: Positive = 1e-4
    critic_learning_rate: Positive = 1e-3
    weight_decay: Share = 1e-4
    alpha: Share = 0.05
    """Weight of the entropy in the actor's loss."""
