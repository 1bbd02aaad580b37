"""What the scores of pairs begin with: a heuristic's, to which a network learns what to add.

A softmax of untrained scores draws by exp(worth / T): for the `prophet` it is `soft-prophet`. To
start from a controller that is good already and learn the rest is residual policy learning
(Silver et al., arXiv:1812.06298). Two heuristics are made of what pairs show anyway; others are
asked, and what they say is then shown as well.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edge_marl.agents.heuristics.basic import Ranking
from edge_marl.agents.heuristics.bid_price import BidPrice
from edge_marl.agents.heuristics.in_slots import Hashed, Staggered
from edge_marl.agents.networks.places import of_places
from edge_marl.scenario import Scenario

__all__ = ["ASKED", "Asked", "Prior", "Shown", "prior_of"]

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


class Prior(ABC):
    """A heuristic that scores begin with.

    Args:
        heuristic: its name.
        temperature: utility by which a place has to be worse to be drawn e times less often.
    """

    size = 0
    """Features of a pair that come with it."""
    told = False
    """Whether it has to know which gateway decides."""
    needs_worth = needs_lines = False
    """Whether it is made of what a pair shows of its worth, and of its server's line."""

    def __init__(self, heuristic: str, temperature: float) -> None:
        self.heuristic, self.temperature = heuristic, temperature

    def beside(self, features: Tensor, action: Tensor, *seen: Tensor) -> Tensor:
        """Return features (B, K, F) of pairs with those that come with the heuristic.

        Args:
            features: (B, K, F).
            action: (B, K) which actions the pairs are.
            seen: observations (B, D), masks (B, A), and (B,) which gateway decides, where it is
                told.
        """
        return features

    @abstractmethod
    def worth(self, features: Tensor) -> Tensor:
        """Return what it takes pairs to be worth (B, K), given their features (B, K, F)."""

    @abstractmethod
    def value(self, features: Tensor) -> Tensor:
        """Return what it takes pairs' own tasks to get (B, K), given their features (B, K, F)."""

    @abstractmethod
    def charge(self, features: Tensor) -> Tensor:
        """Return what it takes off that (B, K): what a pair costs the tasks after it."""

    def of(self, features: Tensor) -> Tensor:
        """Return scores (B, K) of pairs, given their features (B, K, F)."""
        return self.worth(features) / self.temperature


class Shown(Prior):
    """One that is made of the last features of a pair: `prophet` or `max-weight`."""

    def __init__(self, heuristic: str, temperature: float) -> None:
        super().__init__(heuristic, temperature)
        self.needs_worth, self.needs_lines = True, heuristic == "max-weight"

    def worth(self, features: Tensor) -> Tensor:
        """Return (B, K): see `Prior.worth`."""
        return self.value(features) - self.charge(features)

    def value(self, features: Tensor) -> Tensor:
        """Return (B, K): see `Prior.value`."""
        return features[..., -1]

    def charge(self, features: Tensor) -> Tensor:
        """Return (B, K): the pressure of `max-weight`, nothing of `prophet`."""
        return features[..., -2] if self.needs_lines else torch.zeros_like(features[..., -1])


class Asked(Prior):
    """One that is asked what it thinks of each place.

    Args:
        scenario: the world.
        heuristic: one of `ASKED`.
        temperature: see `Prior`.
        valued: whether the value of pairs is shown as well.
    """

    told = True

    def __init__(
        self, scenario: Scenario, heuristic: str, temperature: float, *, valued: bool = False
    ) -> None:
        super().__init__(heuristic, temperature)
        self.size = 3 if valued else 2
        self._asked = ASKED[heuristic](scenario)
        self._asked.reset(0)

    def shown(self, observation: Tensor, mask: Tensor, gateway: Tensor) -> Tensor:
        """Return whether each action is allowed, what it is worth, and its value, (B, A, 2 or 3).

        Args:
            observation: (B, D).
            mask: (B, A).
            gateway: (B,) which gateway decides.
        """
        info = {"action_mask": mask.numpy(), "agent_index": gateway.numpy()}
        allowed, *numbers = self._asked.opinion(observation.float().numpy(), info)
        said = [allowed, *(each.clip(-MOST, MOST) for each in numbers)][: self.size]
        return torch.from_numpy(np.stack(said, axis=-1)).to(observation.dtype)

    def beside(self, features: Tensor, action: Tensor, *seen: Tensor) -> Tensor:
        """Return (B, K, F + size), what it says first: see `Prior.beside`."""
        said = of_places(self.shown(*seen), action)
        return torch.cat([said, features], dim=-1)

    def worth(self, features: Tensor) -> Tensor:
        """Return (B, K), a place that it would not take for less: see `Prior.worth`."""
        return features[..., 1] - NOT_ALLOWED * (1.0 - features[..., 0])

    def value(self, features: Tensor) -> Tensor:
        """Return (B, K), where values are shown: see `Prior.value`."""
        return features[..., 2]

    def charge(self, features: Tensor) -> Tensor:
        """Return (B, K), where values are shown: see `Prior.charge`."""
        return features[..., 2] - features[..., 1]


def prior_of(
    scenario: Scenario, config: Any, temperature: float | None = None, *, valued: bool = False
) -> Prior | None:
    """Return what scores begin with, as the settings `prior` and `prior_temperature` say.

    Args:
        scenario: the world.
        config: settings.
        temperature: another one: with 1 scores are utility, as a critic's are.
        valued: whether it has to tell values from charges.
    """
    heuristic: str = config.prior
    if heuristic == "none":
        return None
    temperature = temperature or config.prior_temperature
    if heuristic in ASKED:
        return Asked(scenario, heuristic, temperature, valued=valued)
    return Shown(heuristic, temperature)
