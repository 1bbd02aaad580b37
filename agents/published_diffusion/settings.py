"""`adsac-published` and `d2sac`: names and settings. No learning library is loaded before they
train."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from edge_marl.agents.base import check_ranges
from edge_marl.agents.on_tianshou.trainer import TianshouTrainer
from edge_marl.agents.registry import register
from edge_marl.errors import AgentError

__all__ = ["AdsacPublishedTrainer", "D2sacTrainer", "PublishedConfig"]


@dataclass(frozen=True, kw_only=True)
class PublishedConfig:
    """Settings of the published agents, the defaults as published."""

    num_envs: int = 1
    """Environments that training decides in at once."""
    decisions_per_update: int = 1
    """Decisions collected per gradient step, on average."""
    collect: int = 1000
    """Decisions collected before the gradient steps that are due are taken, all in a row."""
    batch_size: int = 512
    buffer_size: int = 1_000_000
    """Transitions kept for replay."""
    gamma: float = 0.95
    """Discount per decision."""
    n_step: int = 3
    """Decisions whose rewards are summed before bootstrapping."""
    tau: float = 0.005
    """Step of the target networks, the actor's too, after each gradient step."""
    actor_learning_rate: float = 1e-4
    critic_learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    alpha: float = 0.05
    """Weight of the entropy in the actor's loss."""
    denoising_steps: int = 5
    beta_min: float = 0.1
    """Start of the variance-preserving schedule."""
    beta_max: float = 10.0
    """End of the variance-preserving schedule."""

    def __post_init__(self) -> None:
        """Raise AgentError for a number outside its range."""
        check_ranges({k: v for k, v in asdict(self).items() if k != "beta_max"})
        for name in ("actor_learning_rate", "critic_learning_rate", "beta_min"):
            if not getattr(self, name) > 0.0:
                raise AgentError(f"{name} = {getattr(self, name)}: must be above 0")
        if not self.beta_max >= self.beta_min:
            raise AgentError(
                f"beta_max = {self.beta_max}: must be at least beta_min = {self.beta_min}"
            )


@register("adsac-published")
class AdsacPublishedTrainer(TianshouTrainer):
    """ADSAC as its code was published: attention over the batch, dropout in the targets."""

    config_class = PublishedConfig
    module = "edge_marl.agents.published_diffusion.adsac_published"


@register("d2sac")
class D2sacTrainer(TianshouTrainer):
    """Diffusion soft actor-critic with perceptrons (AGOD, arXiv:2301.03220), as published."""

    config_class = PublishedConfig
    module = "edge_marl.agents.published_diffusion.d2sac"
