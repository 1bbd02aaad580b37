"""Networks: attention over task and server tokens, scores of pairs, and a critic.

Sizes: B rows, S servers, V services per server, A = S * V actions, D observation length, W width,
C features of a service.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, silu

from edge_marl.agents.networks.features import TokenFeatures
from edge_marl.layout import ObservationLayout

__all__ = ["PairHead", "TokenCritic", "TokenEncoder"]


class TokenEncoder(nn.Module):
    """One attention layer over the task's token and the servers'.

    The task's features go into every token, so that a server's token knows from the start what is
    to be placed; attention then adds how the other servers stand. All weights are the same for
    every server, and the mean of what its services show goes into its token: so the encoder runs
    unchanged on any number of servers and services.

    In the base model services show nothing. There every server has an `identity` of its own,
    learnt: in a topology that stays the same a learner has to find out which service is good.

    Args:
        layout: of the observations.
        width: of the tokens.
        attention: whether tokens see each other.
        shown: numbers that `service` takes, where they are not those of one service.
    """

    def __init__(
        self,
        layout: ObservationLayout,
        width: int,
        *,
        attention: bool = True,
        shown: int | None = None,
    ) -> None:
        super().__init__()
        self.features = TokenFeatures(layout)
        self.task = nn.Linear(self.features.task_size, width)
        self.server = nn.Linear(self.features.server_size, width)
        if self.features.service_size:
            self.service = nn.Linear(shown or self.features.service_size, width)
        else:
            self.identity = nn.Parameter(0.3 * torch.randn(layout.num_servers, width))
        self.mix = nn.Linear(width, width)
        self.norm_out = nn.LayerNorm(width)
        if attention:
            self.norm = nn.LayerNorm(width)
            self.attend = nn.Linear(width, 3 * width)
            self.attended = nn.Linear(width, width)
        self._attention = attention

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens (B, 1 + S, W), the task's first, and services' features (B, S, V, C)."""
        task, servers, services = self.features(observation)
        own = silu(self.service(services)).mean(dim=2) if services.shape[-1] else self.identity
        return self.encode(task, servers, own), services

    def encode(self, task: Tensor, servers: Tensor, own: Tensor) -> Tensor:
        """Return tokens (B, 1 + S, W), given what goes into each server's besides its features.

        Args:
            task: features (B, T).
            servers: features (B, S, F).
            own: (B, S, W), or (S, W).
        """
        task_token = self.task(task)[:, None]
        server_tokens = self.server(servers) + task_token + own
        tokens = torch.cat([task_token, server_tokens], dim=1)
        tokens = tokens + self.mix(silu(tokens))
        if self._attention:
            tokens = tokens + self.mixed(self.norm(tokens))
        encoded: Tensor = self.norm_out(tokens)
        return encoded

    def mixed(self, tokens: Tensor) -> Tensor:
        """Return what each token gets from all, (B, 1 + S, W): attention with one head.

        With queries x Q + q, keys x K + k, values x V + v and outputs y O + o, the score of x_i for
        x_j is x_i K (x_j Q + q) but for a part that is the same for all i, and so nothing to a
        softmax over them; and as its weights add up to 1, x V O + (v O + o) are the outputs to mix.
        So two products with a (W, W) matrix do for four. PyTorch's own attention takes twice the
        time over so few tokens, and so does a softmax over the last axis.
        """
        query, key, value = self.attend.weight.chunk(3)
        query_bias, _, value_bias = self.attend.bias.chunk(3)
        wanted = linear(tokens, key.T @ query, key.T @ query_bias)
        outputs = linear(tokens, self.attended.weight @ value, self.attended(value_bias))
        scores = tokens @ wanted.mT * tokens.shape[-1] ** -0.5
        mixed: Tensor = scores.softmax(dim=1).mT @ outputs
        return mixed


class PairHead(nn.Module):
    """`outputs` numbers for each action: each (server, service) pair, and to decline.

    f(s, v) = h(s, v) + u . token(s), where h matches what the server's token says about the task
    with the service: with what it shows, h = w . silu(U token(s) + C service(s, v)); in the base
    model, where it shows nothing, with one more learnt identity, h = key(s, v) . silu(U token(s)).
    """

    def __init__(self, layout: ObservationLayout, width: int, outputs: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, width)
        self.common = nn.Linear(width, outputs)
        self._outputs = outputs
        self.decline = nn.Linear(width, outputs) if layout.may_decline else None
        self._shown = TokenFeatures(layout).service_size
        if self._shown:
            self.service = nn.Linear(self._shown, width)
            self.match = nn.Linear(width, outputs)
        else:
            shape = (layout.num_servers, width, layout.num_services * outputs)
            self.key = nn.Parameter(width**-0.5 * torch.randn(shape))

    def forward(self, tokens: Tensor, services: Tensor) -> Tensor:
        """Return (B, A, outputs) for tokens (B, 1 + S, W) and services (B, S, V, C)."""
        task, tokens = tokens[:, :1], tokens[:, 1:]
        inner = self.inner(tokens)
        if self._shown:
            own = self.match(silu(inner[:, :, None] + self.service(services)))
        else:
            own = torch.bmm(silu(inner).transpose(0, 1), self.key).transpose(0, 1)
            own = own.reshape(*tokens.shape[:2], -1, self._outputs)
        pairs: Tensor = (own + self.common(tokens)[:, :, None]).flatten(1, 2)
        return pairs if self.decline is None else torch.cat([pairs, self.decline(task)], dim=1)


class TokenCritic(nn.Module):
    """Q(s, a) of all actions: a value from the task's token, plus each pair's part."""

    def __init__(self, layout: ObservationLayout, width: int, *, attention: bool = True) -> None:
        super().__init__()
        self.encoder = TokenEncoder(layout, width, attention=attention)
        self.pairs = PairHead(layout, width, 1)
        self.value = nn.Linear(width, 1)

    def forward(self, observation: Tensor) -> Tensor:
        """Return (B, A) for observations (B, D)."""
        value, pairs = self.parts(observation)
        return value + pairs

    def parts(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return the value (B, 1) and the pairs' parts (B, A) for observations (B, D)."""
        tokens, services = self.encoder(observation)
        return self.value(tokens[:, 0]), self.pairs(tokens, services).squeeze(-1)
