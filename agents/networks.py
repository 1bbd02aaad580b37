"""Networks: attention over task and server tokens, scores of pairs, and a plain perceptron.

Sizes: B rows, S servers, V services per server, A = S * V actions, D observation length, W width,
C features of a service.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from edge_marl.agents.features import TokenFeatures
from edge_marl.layout import ObservationLayout

__all__ = ["FlatCritics", "FlatNetwork", "PairHead", "TokenCritics", "TokenEncoder"]


class FlatNetwork(nn.Module):
    """A perceptron from all features, side by side, to `outputs` numbers (None: one per action)."""

    def __init__(
        self, layout: ObservationLayout, hidden: tuple[int, ...], outputs: int | None = None
    ) -> None:
        super().__init__()
        self.features = TokenFeatures(layout)
        per_server = self.features.server_size + layout.num_services * self.features.service_size
        inputs = self.features.task_size + per_server * layout.num_servers
        sizes = (inputs, *hidden, outputs or layout.num_servers * layout.num_services)
        layers = [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.SiLU())]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, observation: Tensor) -> Tensor:
        """Return (B, outputs) for observations (B, D)."""
        task, servers, services = self.features(observation)
        flat = torch.cat([task, servers.flatten(1), services.flatten(1)], dim=1)
        values: Tensor = self.layers(flat)
        return values


class TokenEncoder(nn.Module):
    """One attention layer over the task's token and the servers'.

    The task's features go into every token, so that a server's token knows from the start what is
    to be placed; attention then adds how the other servers stand. All weights are the same for
    every server, and the mean of what its services show goes into its token: so the encoder runs
    unchanged on any number of servers and services.

    In the base model services show nothing. There every server has an `identity` of its own,
    learnt: in a topology that stays the same a learner has to find out which service is good.
    """

    def __init__(self, layout: ObservationLayout, width: int, *, attention: bool = True) -> None:
        super().__init__()
        self.features = TokenFeatures(layout)
        self.task = nn.Linear(self.features.task_size, width)
        self.server = nn.Linear(self.features.server_size, width)
        if self.features.service_size:
            self.service = nn.Linear(self.features.service_size, width)
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
        task_token = self.task(task)[:, None]
        server_tokens = self.server(servers) + task_token
        if self.features.service_size:
            server_tokens = server_tokens + silu(self.service(services)).mean(dim=2)
        else:
            server_tokens = server_tokens + self.identity
        tokens = torch.cat([task_token, server_tokens], dim=1)
        tokens = tokens + self.mix(silu(tokens))
        if self._attention:
            query, key, value = self.attend(self.norm(tokens)).chunk(3, dim=-1)
            # By hand, the keys first: PyTorch's attention and its softmax over a last axis this
            # short take twice as long.
            scores = key @ query.mT * key.shape[-1] ** -0.5
            attended = scores.softmax(dim=1).mT @ value
            tokens = tokens + self.attended(attended)
        encoded: Tensor = self.norm_out(tokens)
        return encoded, services


class PairHead(nn.Module):
    """`outputs` numbers for each (server, service) pair.

    f(s, v) = h(s, v) + u . token(s), where h matches what the server's token says about the task
    with the service: with what it shows, h = w . silu(U token(s) + C service(s, v)); in the base
    model, where it shows nothing, with one more learnt identity, h = key(s, v) . silu(U token(s)).
    """

    def __init__(self, layout: ObservationLayout, width: int, outputs: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, width)
        self.common = nn.Linear(width, outputs)
        self._outputs = outputs
        self._shown = TokenFeatures(layout).service_size
        if self._shown:
            self.service = nn.Linear(self._shown, width)
            self.match = nn.Linear(width, outputs)
        else:
            shape = (layout.num_servers, width, layout.num_services * outputs)
            self.key = nn.Parameter(width**-0.5 * torch.randn(shape))

    def forward(self, tokens: Tensor, services: Tensor) -> Tensor:
        """Return (B, A, outputs) for server tokens (B, S, W) and services (B, S, V, C)."""
        inner = self.inner(tokens)
        if self._shown:
            own = self.match(silu(inner[:, :, None] + self.service(services)))
        else:
            own = torch.bmm(silu(inner).transpose(0, 1), self.key).transpose(0, 1)
            own = own.reshape(*tokens.shape[:2], -1, self._outputs)
        pairs: Tensor = (own + self.common(tokens)[:, :, None]).flatten(1, 2)
        return pairs


class FlatCritics(nn.Module):
    """Q(s, a) of all actions from several perceptrons."""

    def __init__(
        self, layout: ObservationLayout, hidden: tuple[int, ...], critics: int = 2
    ) -> None:
        super().__init__()
        self.critics = nn.ModuleList(FlatNetwork(layout, hidden) for _ in range(critics))

    def forward(self, observation: Tensor) -> Tensor:
        """Return (K, B, A) for observations (B, D)."""
        return torch.stack([critic(observation) for critic in self.critics])


class TokenCritics(nn.Module):
    """Q(s, a) of all actions from several critics that share their encoder.

    Each is a value from the task's token, plus each pair's part.
    """

    def __init__(
        self, layout: ObservationLayout, width: int, critics: int = 2, *, attention: bool = True
    ) -> None:
        super().__init__()
        self.encoder = TokenEncoder(layout, width, attention=attention)
        self.pairs = PairHead(layout, width, critics)
        self.value = nn.Linear(width, critics)

    def forward(self, observation: Tensor) -> Tensor:
        """Return (K, B, A) for observations (B, D)."""
        values, pairs = self.parts(observation)
        return values + pairs

    def parts(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return values (K, B, 1) and the pairs' parts (K, B, A) for observations (B, D)."""
        tokens, services = self.encoder(observation)
        task, servers = tokens.split([1, tokens.shape[1] - 1], dim=1)
        pairs = self.pairs(servers, services)
        return self.value(task).permute(2, 0, 1), pairs.permute(2, 0, 1)
