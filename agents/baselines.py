"""The Tianshou baselines' names and settings. No learning library is loaded before they train.

The defaults; `presets.py` has what the search (`benchmarks/search.py`) found to be clearly better.
Both were chosen on `train` and `validation` workloads, never on test workloads.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from edge_marl.agents.base import check_ranges
from edge_marl.agents.registry import register
from edge_marl.agents.trainer import TianshouTrainer

__all__ = [
    "A2cConfig",
    "A2cTrainer",
    "BaselineConfig",
    "DqnConfig",
    "DqnTrainer",
    "DrqnConfig",
    "DrqnTrainer",
    "PpoConfig",
    "PpoTrainer",
    "QrdqnConfig",
    "QrdqnTrainer",
    "RainbowConfig",
    "RainbowTrainer",
    "ReinforceConfig",
    "ReinforceTrainer",
    "ValueConfig",
]


@dataclass(frozen=True, kw_only=True)
class BaselineConfig:
    """Settings that all baselines have."""

    num_envs: int = 64
    """Environments that training decides in at once."""
    decisions_per_update: int
    """Decisions collected per update."""
    batch_size: int
    """Transitions per gradient step."""
    gamma: float = 0.97
    """Discount per decision."""
    learning_rate: float
    """Of all networks (Adam)."""
    falling: bool = True
    """Whether the learning rate falls linearly to 0 over the budget."""
    weight_decay: float = 0.0
    hidden: tuple[int, ...] = (256, 256)
    """Widths of the hidden layers, as published."""

    def __post_init__(self) -> None:
        """Raise AgentError for a number outside its range."""
        check_ranges({k: v for k, v in asdict(self).items() if not isinstance(v, bool)})


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


@register("dqn")
class DqnTrainer(TianshouTrainer):
    """Double deep Q-network (arXiv:1509.06461), masked; Tianshou's."""

    config_class = DqnConfig
    module = "edge_marl.agents.dqn"


@register("drqn")
class DrqnTrainer(TianshouTrainer):
    """Deep recurrent Q-network: an LSTM over the last observations (arXiv:1507.06527)."""

    config_class = DrqnConfig
    module = "edge_marl.agents.drqn"


@register("qrdqn")
class QrdqnTrainer(TianshouTrainer):
    """Quantile-regression DQN (Dabney et al. 2018, arXiv:1710.10044), masked; Tianshou's."""

    config_class = QrdqnConfig
    module = "edge_marl.agents.qrdqn"


@register("rainbow")
class RainbowTrainer(TianshouTrainer):
    """Rainbow (Hessel et al. 2018, arXiv:1710.02298), masked; Tianshou's."""

    config_class = RainbowConfig
    module = "edge_marl.agents.rainbow"


@register("ppo")
class PpoTrainer(TianshouTrainer):
    """Proximal policy optimisation (arXiv:1707.06347), masked; Tianshou's."""

    config_class = PpoConfig
    module = "edge_marl.agents.ppo"


@register("a2c")
class A2cTrainer(TianshouTrainer):
    """Synchronous advantage actor-critic (arXiv:1602.01783), masked; Tianshou's."""

    config_class = A2cConfig
    module = "edge_marl.agents.a2c"


@register("reinforce")
class ReinforceTrainer(TianshouTrainer):
    """Monte-Carlo policy gradient (Williams 1992), masked; Tianshou's."""

    config_class = ReinforceConfig
    module = "edge_marl.agents.reinforce"
