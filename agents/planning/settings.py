"""Settings of `adp` and `rollout`."""

from __future__ import annotations

from dataclasses import dataclass

from edge_marl.agents.training.settings import (
    Config,
    Count,
    LearningConfig,
    NotNegative,
    Positive,
    Share,
)

__all__ = ["AdpConfig", "RolloutConfig"]


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


@dataclass(frozen=True, kw_only=True)
class RolloutConfig(Config):
    """Settings of `rollout`."""

    candidates: Count = 3
    """Servers that are tried: the best by `bid-price`, each with its best service."""
    futures: Count = 64
    """Futures that all candidates are played out in."""
    decisions: Count = 6000
    """Decisions that may be simulated for one that is taken: they say how far a future goes."""
    sure: NotNegative = 1.0
    """Standard errors by which a candidate has to be better than what `bid-price` takes."""

    @property
    def horizon(self) -> int:
        """Tasks of a future."""
        return max(1, self.decisions // (self.candidates * self.futures))
