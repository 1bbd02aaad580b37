"""The root of all agents' settings, and the one check that they pass.

A setting's type says its range, such as `Count`, `Share` or `Positive`; others take any value. No
learning library is loaded here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Annotated, Any, Literal, get_args, get_type_hints

from edge_marl.agents.base import Sharing
from edge_marl.errors import AgentError

__all__ = [
    "BaselineConfig",
    "CentredConfig",
    "Config",
    "Count",
    "DiffusionConfig",
    "DiscountConfig",
    "DrawnConfig",
    "LearningConfig",
    "NotNegative",
    "Positive",
    "PriorConfig",
    "PriorName",
    "Range",
    "Share",
    "SharingConfig",
    "TianshouConfig",
]


@dataclass(frozen=True)
class Range:
    """Which values a setting may have, in words and as a test."""

    words: str
    holds: Callable[[Any], bool]


Count = Annotated[
    int,
    Range("a whole number of at least 1", lambda value: isinstance(value, Integral) and value >= 1),
]
Share = Annotated[float, Range("from 0 to 1", lambda value: 0.0 <= value <= 1.0)]
Positive = Annotated[float, Range("above 0", lambda value: value > 0.0)]
PriorName = Literal["none", "prophet", "max-weight", "bid-price", "hashed", "staggered"]
"""A heuristic that an agent may begin with (`networks/priors.py`)."""
NotNegative = Annotated[float, Range("at least 0", lambda value: value >= 0.0)]


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of an agent.

    Raises:
        AgentError: if a value is outside its range.
    """

    def __post_init__(self) -> None:
        """Raise AgentError for a value outside its range, and for a number that is none."""
        for name, hint in get_type_hints(type(self), include_extras=True).items():
            value = getattr(self, name)
            for part in get_args(hint):
                if isinstance(part, Range) and not part.holds(value):
                    raise AgentError(f"{name} = {value}: must be {part.words}")
            if isinstance(value, float) and not math.isfinite(value):
                raise AgentError(f"{name} = {value}: must be a finite number")


@dataclass(frozen=True, kw_only=True)
class LearningConfig(Config):
    """Settings of every agent that learns."""

    num_envs: Count = 64
    """Environments that training decides in at once."""


@dataclass(frozen=True, kw_only=True)
class DiscountConfig(LearningConfig):
    """Settings of agents that learn returns."""

    gamma: Share = 0.97
    """Discount per decision; in the game of gateways, per step of it."""


@dataclass(frozen=True, kw_only=True)
class CentredConfig(DiscountConfig):
    """Settings of agents that may learn returns less their level."""

    centred: bool = False
    """Whether rewards are taken less their mean over what is learnt from. The critic then need not
    learn the level of all returns, which is 1 / (1 - gamma) times that mean: what one task more in
    a line costs those after it shows only with a gamma near 1, and is small beside it. Naik et al.,
    "Reward Centering" (2024). For worlds that go on: an episode that terminates early would seem as
    good as the mean."""


@dataclass(frozen=True, kw_only=True)
class DrawnConfig(LearningConfig):
    """Settings of agents that may draw what they do."""

    temperature: Share = 0.0
    """Of the trained agent: 1 draws actions with their probabilities, 0 takes the most probable
    one. Where telemetry is old, or all decide at once, a mixed policy is better: gateways that know
    the same part ways."""


@dataclass(frozen=True, kw_only=True)
class SharingConfig(LearningConfig):
    """Settings of agents that gateways may share, or not."""

    sharing: Sharing = "all"
    """Whose network decides: one for `all` gateways, or with `none` one for each, which then learns
    from the gateway's own steps only; `by-role` has one for each size of the gateways' own servers
    (`networks/sharing.py`)."""


@dataclass(frozen=True, kw_only=True)
class TianshouConfig(LearningConfig):
    """Settings of all agents that Tianshou's algorithms train (`on_tianshou/loop.py`)."""

    decisions_per_update: Count
    """Decisions collected per update; those of all gateways together."""
    batch_size: Count
    """Transitions per gradient step."""


@dataclass(frozen=True, kw_only=True)
class PriorConfig(LearningConfig):
    """Settings of agents that may begin with what a heuristic says."""

    prior: PriorName = "none"
    """With `pairs`: heuristic that training starts from, drawn softly; the network learns what to
    add to it (`networks/priors.py`). From nothing a policy spends half of a million decisions on a
    world that its own random choices keep overloaded. `prophet` and, in worlds with lines,
    `max-weight` are made of what the extended model shows of a pair. The others are asked in any
    world, and are shown: they know prices of capacity, and `hashed` and `staggered` whose turn it
    is, so that gateways that see the same part ways."""
    prior_temperature: Positive = 0.05
    """Utility by which an action has to be worse to be drawn e times less often at the start."""

    def __post_init__(self) -> None:
        """Raise AgentError for a value outside its range, or a prior that nothing is added to."""
        super().__post_init__()
        network = getattr(self, "network", None)
        if self.prior != "none" and network != "pairs":
            raise AgentError(
                f"prior = {self.prior}: not with network={network}, which does not score places "
                "one by one; take network=pairs, or leave the prior out"
            )


@dataclass(frozen=True, kw_only=True)
class BaselineConfig(TianshouConfig, DiscountConfig):
    """Settings of the baselines, which learn with perceptrons (or an LSTM) and one optimiser."""

    learning_rate: Positive
    """Of all networks (Adam)."""
    falling: bool = True
    """Whether the learning rate falls linearly to 0 over the budget."""
    weight_decay: Share = 0.0
    hidden: tuple[int, ...] = (256, 256)
    """Widths of the hidden layers, as published."""


@dataclass(frozen=True, kw_only=True)
class DiffusionConfig(TianshouConfig, DiscountConfig):
    """Settings of a diffusion policy (`networks/diffusion.py`), the defaults as published."""

    denoising_steps: Count = 5
    """Steps from noise to logits."""
    beta_min: Positive = 0.1
    """Start of the variance-preserving schedule."""
    beta_max: Positive = 10.0
    """End of the variance-preserving schedule."""

    def __post_init__(self) -> None:
        """Raise AgentError for a value outside its range, or a schedule that falls."""
        super().__post_init__()
        if not self.beta_max >= self.beta_min:
            raise AgentError(
                f"beta_max = {self.beta_max}: must be at least beta_min = {self.beta_min}"
            )
