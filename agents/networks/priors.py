"""What the scores of pairs begin with: a heuristic's, to which a network learns what to add.

A softmax of untrained scores draws by exp(worth / T): for the `prophet` it is `soft-prophet`. To
start from a controller that is good already and learn the rest is residual policy learning
(Silver et al., arXiv:1812.06298). Two heuristics are made of what pairs show anyway; others are
asked, and what they say is then shown as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from edge_marl.agents.heuristics.basic import Ranking
from edge_marl.agents.heuristics.bid_price import BidPrice
from edge_marl.agents.heuristics.in_slots import Hashed, Staggered
from edge_marl.scenario import Scenario

__all__ = ["ASKED", "Asked", "Prior"]

ASKED: dict[str, type[Ranking]] = {
    "bid-price": BidPrice,
    "hashed": Hashed,
    "staggered": Staggered,
}
"""Heuristics that are asked: what they go by is not among the features of a pair."""

NOT_ALLOWED = 1.0
"""Utility that is taken off a place that a heuristic would not take."""

MOST = 3.0
"""Worths are cut to this: the most that any tier pays for a request is less."""


@dataclass(frozen=True)
class Prior:
    """A heuristic that scores begin with, made of the last features of a pair."""

    heuristic: Literal["prophet", "max-weight"]
    temperature: float

    size = 0
    """Features of a pair that come with it."""

    def of(self, features: Tensor) -> Tensor:
        """Return scores (B, K) of pairs, given their features (B, K, F)."""
        value = features[..., -1]
        if self.heuristic == "max-weight":
            value = value - features[..., -2]
        return value / self.temperature


class Asked:
    """A heuristic that scores begin with, which is asked what it thinks of each place.

    Args:
        scenario: the world.
        heuristic: one of `ASKED`.
        temperature: see `Prior`.
    """

    size = 2

    def __init__(self, scenario: Scenario, heuristic: str, temperature: float) -> None:
        self._heuristic = ASKED[heuristic](scenario)
        self._heuristic.reset(0)
        self._temperature = temperature

    def shown(self, observation: Tensor, mask: Tensor, gateway: Tensor) -> Tensor:
        """Return whether each action is allowed, and what it is worth, (B, A, 2).

        Args:
            observation: (B, D).
            mask: (B, A).
            gateway: (B,) which gateway decides.
        """
        info = {"action_mask": mask.numpy(), "agent_index": gateway.numpy()}
        allowed, worth = self._heuristic.opinion(observation.float().numpy(), info)
        both = np.stack([allowed, worth.clip(-MOST, MOST)], axis=-1)
        return torch.from_numpy(both).to(observation.dtype)

    def of(self, features: Tensor) -> Tensor:
        """Return scores (B, K) of pairs, whose first features (B, K, F) are those of `shown`."""
        worth = features[..., 1] - NOT_ALLOWED * (1.0 - features[..., 0])
        return worth / self._temperature
