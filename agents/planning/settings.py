"""Settings of `adp`."""

from __future__ import annotations

from dataclasses import dataclass

from edge_marl.agents.training.settings import Count, LearningConfig, Positive, Share

__all__ = ["AdpConfig"]


@dataclass(frozen=True, kw_only=True)
class AdpConfig(LearningConfig):
    """Settings of `adp`, chosen on `train` and `validation` workloads."""

    num_envs: Count = 32
    """Environments that training decides in at once: candidates x workloads of a generation. Fewer
    where the budget is small."""
    candidates: Count = 16
    """Value functions of a generation, which all play the same workloads."""
    spread: Positive = 0.3
    """Standard deviation of the first generation, in multiples of the price."""
    step: Share = 0.5
    """Part of the way that a generation takes to the mean of its better half."""
