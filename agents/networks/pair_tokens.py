"""Attention over the servers, and numbers for each legal (server, service) pair.

Sizes: B rows, S servers, V services per server, K most legal actions of a row, W width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from edge_marl.agents.networks.attention import TokenEncoder
from edge_marl.agents.networks.features import SeesOnce
from edge_marl.agents.networks.pairs import PairFeatures, start_at_zero
from edge_marl.agents.networks.places import all_actions, legal_first, of_places
from edge_marl.agents.networks.priors import Prior
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario

__all__ = ["PairTokenCritic", "PairTokens"]


class PairTokens(nn.Module):
    """`outputs` numbers for each legal pair, from its server's token and what is its own.

    The token knows the task and, by attention, how the other servers stand (`attention.py`); of its
    services it shows the mean and the largest of each feature. What the pair adds are its features
    beside those of the task and the server (`pairs.py`). One hidden layer joins them: U token(s) is
    the same for all services of a server, and computed once.

    Args:
        scenario: the world.
        width: of the tokens and of the hidden layer.
        outputs: numbers per pair.
        attention: whether tokens see each other.
        prior: what is shown besides, if it is asked.
    """

    def __init__(
        self,
        scenario: Scenario,
        width: int,
        outputs: int,
        *,
        attention: bool = True,
        prior: Prior | None = None,
    ) -> None:
        super().__init__()
        layout = ObservationLayout(scenario)
        self.features = PairFeatures(scenario)
        shown = 2 * self.features.tokens.service_size
        self.encoder = TokenEncoder(layout, width, attention=attention, shown=shown)
        self.of_token = nn.Linear(width, width)
        own_size = self.features.own_size + (prior.size if prior else 0)
        self.of_pair = nn.Linear(own_size, width, bias=False)
        self.out = nn.Linear(width, outputs)
        self.prior, self.told = prior, prior is not None and prior.told
        if prior is not None:
            self.features.check_prior(prior)

    def see(self, observation: Tensor, mask: Tensor, *gateway: Tensor) -> dict[str, Tensor]:
        """Return the mask, the legal actions (B, K) and the features of tokens and pairs.

        Args:
            observation: (B, D).
            mask: (B, A).
            gateway: (B,) which gateway decides, where the prior is told.
        """
        action = legal_first(mask)
        tokens = self.features.tokens(observation)
        task, servers, services = tokens
        own = self.features.own(observation, tokens, action)
        if self.prior is not None:
            own = self.prior.beside(own, action, observation, mask, *gateway)
        return {
            "mask": mask,
            "action": action,
            "task": task,
            "servers": servers,
            "services": torch.cat([services.mean(dim=2), services.amax(dim=2)], dim=-1),
            "own": own,
        }

    def forward(self, seen: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the task's token (B, W) and each pair's numbers (B, K, outputs)."""
        encoder, services = self.encoder, seen["services"]
        shown = encoder.service(services) if services.shape[-1] else encoder.identity
        tokens: Any = encoder.encode(seen["task"], seen["servers"], shown)
        task, servers = tokens.split([1, tokens.shape[1] - 1], dim=1)
        server = self.features.server_of(seen["action"])
        of_tokens = of_places(self.features.with_nowhere(self.of_token(servers)), server)
        hidden = relu(self.of_pair(seen["own"]) + of_tokens)
        return task.squeeze(1), self.out(hidden)


class PairTokenCritic(SeesOnce):
    """Q(s, a) of legal actions: a value from the task's token, plus each pair's part.

    That part comes on top of what a prior says; without one, in the extended model, on top of what
    the heuristics take the pair to be worth at once (`heuristics/view.py`, `View.value`): what is
    left to learn are crashes and what follows.

    Args:
        scenario: the world.
        width: of the tokens.
        attention: whether tokens see each other.
        prior: what Q begins with, in utility; the pairs' parts then begin at 0.
    """

    masked, sees = True, "pair tokens"

    def __init__(
        self, scenario: Scenario, width: int, *, attention: bool = True, prior: Prior | None = None
    ) -> None:
        super().__init__()
        self.pairs = PairTokens(scenario, width, 1, attention=attention, prior=prior)
        self.value = nn.Linear(width, 1)
        self.told = self.pairs.told
        if prior is not None:
            start_at_zero(self.pairs.out)

    def see(self, observation: Tensor, mask: Tensor, *gateway: Tensor) -> dict[str, Tensor]:
        """Return what there is to see (`PairTokens.see`)."""
        return self.pairs.see(observation, mask, *gateway)

    def judge(self, seen: Mapping[str, Tensor]) -> Tensor:
        """Return (B, A), the lowest number where an action is illegal."""
        return self.parts(seen)[1]

    def parts(self, seen: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the state's value (B, 1), and Q (B, A)."""
        task, pairs = self.pairs(seen)
        value: Tensor = self.value(task)
        values = pairs.squeeze(-1) + value
        if self.pairs.prior is not None:
            values = values + self.pairs.prior.of(seen["own"])
        elif self.pairs.features.shows_worth:
            values = values + seen["own"][..., -1]
        return value, all_actions(values, seen["action"], seen["mask"])
