"""Networks: attention over task and server tokens, scores of pairs, and a plain perceptron.

Sizes: B rows, S servers, V services per server, A = S * V actions, D observation length, W width.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, silu

from edge_marl.agents.features import TokenFeatures
from edge_marl.layout import ObservationLayout

__all__ = ["FlatNetwork", "PairHead", "TokenCritic", "TokenEncoder"]


class FlatNetwork(nn.Module):
    """A perceptron from all features, side by side, to `outputs` numbers (None: one per action)."""

    def __init__(
        self, layout: ObservationLayout, hidden: tuple[int, ...], outputs: int | None = None
    ) -> None:
        super().__init__()
        self.features = TokenFeatures(layout)
        inputs = layout.task_size + self.features.server_size * layout.num_servers
        sizes = (inputs, *hidden, outputs or layout.num_servers * layout.num_services)
        layers = [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.SiLU())]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, observation: Tensor) -> Tensor:
        """Return (B, outputs) for observations (B, D)."""
        task, servers = self.features(observation)
        values: Tensor = self.layers(torch.cat([task, servers.flatten(1)], dim=1))
        return values


class TokenEncoder(nn.Module):
    """One attention layer over the task's token and the servers'.

    The task's features go into every token, so that a server's token knows from the start what is
    to be placed; attention then adds how the other servers stand. All weights but `identity` are
    the same for every server. `identity` is what tells servers apart where nothing observable does:
    in a fixed topology a learner has to find out which service is good.
    """

    def __init__(self, layout: ObservationLayout, width: int) -> None:
        super().__init__()
        self.features = TokenFeatures(layout)
        self.task = nn.Linear(layout.task_size, width)
        self.server = nn.Linear(self.features.server_size, width)
        self.identity = nn.Parameter(0.3 * torch.randn(layout.num_servers, width))
        self.mix = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.attend = nn.Linear(width, 3 * width)
        self.attended = nn.Linear(width, width)
        self.norm_out = nn.LayerNorm(width)

    def forward(self, observation: Tensor) -> Tensor:
        """Return tokens (B, 1 + S, W) for observations (B, D); the task's is the first."""
        task, servers = self.features(observation)
        task_token = self.task(task)[:, None]
        server_tokens = self.server(servers) + self.identity + task_token
        tokens = torch.cat([task_token, server_tokens], dim=1)
        tokens = tokens + self.mix(silu(tokens))
        # With the axis of (one) head, or PyTorch takes its slow path.
        query, key, value = self.attend(self.norm(tokens))[:, None].chunk(3, dim=-1)
        attended = scaled_dot_product_attention(query, key, value)[:, 0]
        tokens = tokens + self.attended(attended)
        encoded: Tensor = self.norm_out(tokens)
        return encoded


class PairHead(nn.Module):
    """`outputs` numbers for each (server, service) pair, from its server's token.

    f(s, v) = key(s, v) . silu(U token(s)) + u . token(s): a service's `key`, one more learnt
    identity, is matched with what its server's token says about the task.
    """

    def __init__(self, layout: ObservationLayout, width: int, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs
        self.inner = nn.Linear(width, width)
        shape = (layout.num_servers, width, layout.num_services * outputs)
        self.key = nn.Parameter(width**-0.5 * torch.randn(shape))
        self.common = nn.Linear(width, outputs)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (B, A, outputs) for server tokens (B, S, W)."""
        inner = silu(self.inner(tokens)).transpose(0, 1)
        own = torch.bmm(inner, self.key).transpose(0, 1)
        own = own.reshape(*tokens.shape[:2], -1, self.outputs)
        pairs: Tensor = (own + self.common(tokens)[:, :, None]).flatten(1, 2)
        return pairs


class TokenCritic(nn.Module):
    """Q(s, a) of all actions: a value from the task's token, plus each pair's part."""

    def __init__(self, layout: ObservationLayout, width: int) -> None:
        super().__init__()
        self.encoder = TokenEncoder(layout, width)
        self.pairs = PairHead(layout, width, 1)
        self.value = nn.Linear(width, 1)

    def forward(self, observation: Tensor) -> Tensor:
        """Return (B, A) for observations (B, D)."""
        value, pairs = self.parts(observation)
        return value + pairs

    def parts(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return the value (B, 1) and the pairs' parts (B, A) for observations (B, D)."""
        tokens = self.encoder(observation)
        return self.value(tokens[:, 0]), self.pairs(tokens[:, 1:]).squeeze(-1)
