"""The learning agents' names and settings. No learning library is loaded before they train."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from edge_marl.agents.on_tianshou.trainer import TianshouTrainer
from edge_marl.agents.registry import register
from edge_marl.errors import AgentError

__all__ = ["AdsacConfig", "AdsacTrainer", "LearnerConfig", "SacConfig", "SacTrainer"]


@dataclass(frozen=True, kw_only=True)
class LearnerConfig:
    """Settings of discrete soft actor-critic, whatever its networks.

    Chosen on `train` and `validation` workloads of `paper`, world 0, never on test workloads.
    """

    num_envs: int = 64
    """Environments that training decides in at once."""
    decisions_per_update: int = 24
    """Decisions collected per gradient step."""
    batch_size: int = 128
    buffer_size: int = 200_000
    """Transitions kept for replay."""
    gamma: float = 0.97
    """Discount per decision."""
    n_step: int = 1
    """Decisions whose rewards are summed before bootstrapping. Longer sums, uncorrected, charge an
    action with the crashes of the explorative ones behind it: with 3, `adsac` reached 96 % of the
    prophet's return instead of 100 %, and `sac` fell into a single action."""
    tau: float = 0.005
    """Step of the target critics towards the critics after each gradient step."""
    learning_rate: float = 2e-3
    """Of actor and critics (Adam); falls linearly to 0 over the budget."""
    target_entropy: float = 0.25
    """Entropy that the temperature is steered to, as a share of log(number of legal actions)."""
    initial_log_alpha: float = -1.5
    """Logarithm of the temperature at the start."""
    alpha_learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        """Raise AgentError for a number outside its range."""
        for name, value in asdict(self).items():
            if isinstance(value, int) and not isinstance(value, bool) and value < 1:
                raise AgentError(f"{name} = {value}: must be a whole number of at least 1")
        for name in ("gamma", "tau", "target_entropy"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise AgentError(f"{name} = {getattr(self, name)}: must be from 0 to 1")
        for name in ("learning_rate", "alpha_learning_rate"):
            if not getattr(self, name) > 0.0:
                raise AgentError(f"{name} = {getattr(self, name)}: must be above 0")


@dataclass(frozen=True, kw_only=True)
class SacConfig(LearnerConfig):
    """Settings of `sac`: multilayer perceptrons on the flat observation."""

    decisions_per_update: int = 16
    """Fewer than `adsac`: a gradient step costs two fifths of its."""
    initial_log_alpha: float = -0.5
    """At -1.5 two of 40 seeds fell into a single action before their 300th gradient step, at -0.5
    none: while all servers fill up for the first time the values say little, and a policy without
    entropy to hold it runs away from them for good."""
    hidden: tuple[int, ...] = (256, 256)
    """Widths of the hidden layers of the actor and of each critic, as published."""


@dataclass(frozen=True, kw_only=True)
class AdsacConfig(LearnerConfig):
    """Settings of `adsac`: attention over tokens and a diffusion policy."""

    width: int = 32
    """Width of the tokens. With 48 a gradient step takes a third longer and nothing is gained (mean
    utility per task on validation workloads of seven scenarios, two seeds: 1.104 with 48, 1.107
    with 32)."""
    denoising_steps: int = 5
    """Steps from noise to logits (published)."""
    beta_min: float = 0.1
    """Start of the variance-preserving schedule (published)."""
    beta_max: float = 10.0
    """End of the variance-preserving schedule (published)."""
    denoiser_width: int = 16
    """Width of the denoiser's hidden layer, per (server, service) pair."""
    attention: bool = True
    """Whether the tokens see each other; without, each server is judged alone (for ablations)."""
    noise_draws: int = 2
    """Noise draws per decision; the policy is the mean of their action probabilities."""


@register("sac")
class SacTrainer(TianshouTrainer):
    """Discrete soft actor-critic (Christodoulou 2019, arXiv:1910.07207), Tianshou's."""

    config_class = SacConfig
    module = "edge_marl.agents.soft_actor_critic.sac"


@register("adsac")
class AdsacTrainer(TianshouTrainer):
    """Attention-based diffusion soft actor-critic: the ADSAC paper's method, over tokens."""

    config_class = AdsacConfig
    module = "edge_marl.agents.soft_actor_critic.adsac"
