"""Settings of the policy gradients: `ppo`, `a2c`, `reinforce`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge_marl.agents.training.settings import (
    BaselineConfig,
    CentredConfig,
    Count,
    DrawnConfig,
    Positive,
    PriorConfig,
    Share,
)

__all__ = ["A2cConfig", "PolicyGradientConfig", "PpoConfig", "ReinforceConfig"]


@dataclass(frozen=True, kw_only=True)
class PolicyGradientConfig(BaselineConfig, PriorConfig, DrawnConfig):
    """Settings of all policy gradients."""

    network: Literal["flat", "pairs"] = "flat"
    """`flat` sees all features side by side; `pairs` scores each legal (server, service) pair by
    itself, with the same weights (`networks/pairs.py`): `hidden` are then the widths of that, for
    which (32, 32) do."""


@dataclass(frozen=True, kw_only=True)
class A2cConfig(PolicyGradientConfig, CentredConfig):
    """Settings of `a2c`."""

    decisions_per_update: Count = 256
    batch_size: Count = 256
    learning_rate: Positive = 3e-3
    gae_lambda: Share = 0.2
    """Between one step's advantage (0) and the whole return's (1). What a choice pays is known at
    once; the crashes of later tasks are mostly noise to it: with 0.9 instead, `ippo` got 0.99 per
    task on `paper` after 16,000 decisions, not 1.23."""
    entropy: Share = 0.3
    """Weight of the entropy in the loss. At 0.03 three of three seeds ended on `metro@1` in a
    single action: a service of the cloud, which never crashes."""
    value_weight: Share = 0.5
    """Weight of the critic's loss."""
    max_grad_norm: Positive = 0.5
    """Norm that gradients are cut to."""


@dataclass(frozen=True, kw_only=True)
class PpoConfig(A2cConfig):
    """Settings of `ppo`."""

    decisions_per_update: Count = 1024
    entropy: Share = 0.03
    """Weight of the entropy in the loss; smaller than that of `a2c`, as the advantages here are
    standardised."""
    epochs: Count = 6
    """Times that an update goes through what was collected for it."""
    clip: Share = 0.2
    """Change of an action's probability ratio beyond which its gradient is cut off."""


@dataclass(frozen=True, kw_only=True)
class ReinforceConfig(PolicyGradientConfig):
    """Settings of `reinforce`."""

    decisions_per_update: Count = 256
    batch_size: Count = 256
    learning_rate: Positive = 3e-3
    gamma: Share = 0.5
    """Discount per decision. What a choice pays is known at once, and the rest of the return is
    noise to it that grows with its length: there is no critic to take it off."""
    entropy: Share = 0.1
    """Weight of the entropy in the loss. Without it a few actions are all that is left after a
    quarter of the budget, and on `metro@1` a single one, in the cloud."""
