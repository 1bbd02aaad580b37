"""Settings of `ippo` and `iadsac`: those of `ppo` and `adsac`, and whose network decides.

An environment is there one with all its gateways, and `batch_size` counts transitions with a
decision. `idqn` has the settings of `dqn`: Tianshou's DQN shows its networks nothing of a row but
the observation, so that they cannot be told whose it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge_marl.agents.policy_gradient.settings import PpoConfig
from edge_marl.agents.soft_actor_critic.settings import AdsacConfig
from edge_marl.agents.training.settings import SharingConfig

__all__ = ["IadsacConfig", "IppoConfig"]


@dataclass(frozen=True, kw_only=True)
class IppoConfig(PpoConfig, SharingConfig):
    """Settings of `ippo`. Discounts are per step of the game."""

    reward: Literal["team", "local"] = "team"
    """What a gateway learns from: the mean over all gateways, or what its own tasks earn. What a
    task costs other gateways, by a line that grows or a server that fails, is not among the latter;
    the former has more that the gateway has no part in."""


@dataclass(frozen=True, kw_only=True)
class IadsacConfig(AdsacConfig, SharingConfig):
    """Settings of `iadsac`."""
