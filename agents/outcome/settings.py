"""Settings of `outcome`."""

from __future__ import annotations

from dataclasses import dataclass

from edge_marl.agents.training.settings import (
    Count,
    Positive,
    PriorName,
    Share,
    SharingConfig,
    TianshouConfig,
)
from edge_marl.errors import AgentError

__all__ = ["OutcomeConfig"]


@dataclass(frozen=True, kw_only=True)
class OutcomeConfig(TianshouConfig, SharingConfig):
    """Settings of `outcome`, chosen on `train` and `validation` workloads."""

    num_envs: Count = 64
    decisions_per_update: Count = 256
    """Decisions collected per gradient step."""
    batch_size: Count = 2048
    """Decisions per gradient step, of those whose outcome is known."""
    buffer_size: Count = 200_000
    """Decisions kept: older ones were taken among other choices of the rest than are made now."""
    learning_rate: Positive = 5e-3
    """Of Adam; falls linearly to 0 over the budget."""
    hidden: tuple[int, ...] = (48, 48)
    """Widths of the hidden layers of the network that scores a pair."""
    prior: PriorName = "none"
    """Heuristic that says what a decision costs the tasks after it, of which its outcome says
    nothing: that is taken off the outcome. What the heuristic takes the outcome to be is where the
    regression starts; without one, what all heuristics take a pair to be worth at once, and in the
    base model 0. See `PriorConfig` for which there are."""
    temperature_start: Positive = 0.05
    """Utility by which an action has to be worse to be drawn e times less often in training, at its
    start; it falls in a straight line."""
    temperature_end: Positive = 0.02
    """The same at the end of the training."""
    temperature: Share = 0.02
    """The same of the trained agent, which others learnt to meet; 0 takes the best action. Where
    telemetry is old a mixed policy is better: gateways that know the same part ways."""

    def __post_init__(self) -> None:
        """Raise AgentError for a value outside its range, or two things to tell a network."""
        super().__post_init__()
        if self.prior != "none" and self.sharing == "by-role":
            raise AgentError(
                f"prior = {self.prior}: not with sharing=by-role, as networks are told either "
                "which gateway decides or its role; take sharing=all, or leave the prior out"
            )
