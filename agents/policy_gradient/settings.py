"""`ppo`, `a2c`, `reinforce`: names and settings."""

from __future__ import annotations

from dataclasses import dataclass

from edge_marl.agents.on_tianshou.trainer import TianshouTrainer
from edge_marl.agents.registry import register
from edge_marl.agents.training.settings import BaselineConfig

__all__ = [
    "A2cConfig",
    "A2cTrainer",
    "PpoConfig",
    "PpoTrainer",
    "ReinforceConfig",
    "ReinforceTrainer",
]


@dataclass(frozen=True, kw_only=True)
class A2cConfig(BaselineConfig):
    """Settings of `a2c`."""

    decisions_per_update: int = 256
    batch_size: int = 256
    learning_rate: float = 3e-3
    gae_lambda: float = 0.2
    """Between one step's advantage (0) and the whole return's (1); see `IppoConfig`."""
    entropy: float = 0.3
    """Weight of the entropy in the loss. At 0.03 three of three seeds ended on `metro` in a
    single action: a service of the cloud, which never crashes."""
    value_weight: float = 0.5
    """Weight of the critic's loss."""
    max_grad_norm: float = 0.5
    """Norm that gradients are cut to."""


@dataclass(frozen=True, kw_only=True)
class PpoConfig(A2cConfig):
    """Settings of `ppo`."""

    decisions_per_update: int = 1024
    entropy: float = 0.03
    """Weight of the entropy in the loss; smaller than that of `a2c`, as the advantages here are
    standardised."""
    epochs: int = 6
    """Times that an update goes through what was collected for it."""
    clip: float = 0.2
    """Change of an action's probability ratio beyond which its gradient is cut off."""


@dataclass(frozen=True, kw_only=True)
class ReinforceConfig(BaselineConfig):
    """Settings of `reinforce`."""

    decisions_per_update: int = 256
    batch_size: int = 256
    learning_rate: float = 3e-3
    gamma: float = 0.5
    """Discount per decision. What a choice pays is known at once, and the rest of the return is
    noise to it that grows with its length: there is no critic to take it off."""
    entropy: float = 0.1
    """Weight of the entropy in the loss. Without it a few actions are all that is left after a
    quarter of the budget, and on `metro` a single one, in the cloud."""


@register("ppo")
class PpoTrainer(TianshouTrainer):
    """Proximal policy optimisation (arXiv:1707.06347), masked; Tianshou's."""

    config_class = PpoConfig
    module = "edge_marl.agents.policy_gradient.ppo"


@register("a2c")
class A2cTrainer(TianshouTrainer):
    """Synchronous advantage actor-critic (arXiv:1602.01783), masked; Tianshou's."""

    config_class = A2cConfig
    module = "edge_marl.agents.policy_gradient.a2c"


@register("reinforce")
class ReinforceTrainer(TianshouTrainer):
    """Monte-Carlo policy gradient (Williams 1992), masked; Tianshou's."""

    config_class = ReinforceConfig
    module = "edge_marl.agents.policy_gradient.reinforce"
