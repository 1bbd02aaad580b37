"""Settings of the discrete soft actor-critics, `sac` and `adsac`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge_marl.agents.training.settings import (
    CentredConfig,
    Count,
    DiffusionConfig,
    DrawnConfig,
    Positive,
    PriorConfig,
    Share,
    TianshouConfig,
)

__all__ = ["AdsacConfig", "SacConfig", "SoftActorCriticConfig"]


@dataclass(frozen=True, kw_only=True)
class SoftActorCriticConfig(TianshouConfig, CentredConfig, PriorConfig, DrawnConfig):
    """Settings of discrete soft actor-critic, whatever its networks.

    Chosen on `train` and `validation` workloads of `paper`, world 0, never on test workloads.
    """

    decisions_per_update: Count = 24
    """Decisions collected per gradient step."""
    batch_size: Count = 128
    buffer_size: Count = 200_000
    """Transitions kept for replay."""
    n_step: Count = 1
    """Decisions whose rewards are summed before bootstrapping. Longer sums, uncorrected, charge an
    action with the crashes of the explorative ones behind it: with 3, `adsac` reached 96 % of the
    prophet's return instead of 100 %, and `sac` fell into a single action."""
    tau: Share = 0.005
    """Step of the target critics towards the critics after each gradient step."""
    learning_rate: Positive = 2e-3
    """Of actor and critics (Adam); falls linearly to 0 over the budget."""
    target_entropy: Share = 0.25
    """Entropy that the temperature is steered to, as a share of log(number of legal actions)."""
    initial_log_alpha: float = -1.5
    """Logarithm of the temperature at the start."""
    alpha_learning_rate: Positive = 1e-3


@dataclass(frozen=True, kw_only=True)
class SacConfig(SoftActorCriticConfig):
    """Settings of `sac`: multilayer perceptrons on the flat observation."""

    decisions_per_update: Count = 16
    """Fewer than `adsac`: a gradient step costs two fifths of its."""
    initial_log_alpha: float = -0.5
    """At -1.5 two of 40 seeds fell into a single action before their 300th gradient step, at -0.5
    none: while all servers fill up for the first time the values say little, and a policy without
    entropy to hold it runs away from them for good."""
    network: Literal["flat", "pairs"] = "flat"
    """As of `ppo`: `pairs` scores each legal (server, service) pair by itself."""
    hidden: tuple[int, ...] = (256, 256)
    """Widths of the hidden layers of the actor and of each critic, as published."""


@dataclass(frozen=True, kw_only=True)
class AdsacConfig(SoftActorCriticConfig, DiffusionConfig):
    """Settings of `adsac`: attention over tokens and a diffusion policy."""

    network: Literal["tokens", "pairs"] = "tokens"
    """`pairs` goes on from the servers' tokens with the legal (server, service) pairs only, and
    with what follows from the observation for each (`networks/pair_tokens.py`)."""
    width: Count = 32
    """Width of the tokens. With 48 a gradient step takes a third longer and nothing is gained (mean
    utility per task on validation workloads of seven scenarios, two seeds: 1.104 with 48, 1.107
    with 32)."""
    denoiser_width: Count = 16
    """Width of the denoiser's hidden layer, per (server, service) pair."""
    attention: bool = True
    """Whether the tokens see each other; without, each server is judged alone (for ablations)."""
    noise_draws: Count = 2
    """Noise draws per decision; the policy is the mean of their action probabilities."""
