"""Perceptrons on the flat observation."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn

from edge_marl.agents.networks.features import SeesOnce, TokenFeatures
from edge_marl.layout import ObservationLayout

__all__ = ["FlatActor", "FlatNetwork"]


class FlatNetwork(SeesOnce):
    """A perceptron from all features, side by side, to `outputs` numbers (None: one per action)."""

    def __init__(
        self, layout: ObservationLayout, hidden: tuple[int, ...], outputs: int | None = None
    ) -> None:
        super().__init__()
        self.features = TokenFeatures(layout)
        per_server = self.features.server_size + layout.num_choices * self.features.service_size
        inputs = self.features.task_size + per_server * layout.num_servers
        sizes = (inputs, *hidden, outputs or layout.num_actions)
        layers = [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.SiLU())]
        self.layers = nn.Sequential(*layers[:-1])

    def see(self, observation: Tensor) -> dict[str, Tensor]:
        """Return the features of observations (B, D), side by side."""
        task, servers, services = self.features(observation)
        flat = torch.cat([task, servers.flatten(1), services.flatten(1)], dim=1)
        return {"features": flat}

    def judge(self, seen: Mapping[str, Tensor]) -> Tensor:
        """Return (B, outputs)."""
        values: Tensor = self.layers(seen["features"])
        return values


class FlatActor(SeesOnce):
    """Log-probabilities of all actions from the flat observation."""

    def __init__(self, layout: ObservationLayout, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.logits = FlatNetwork(layout, hidden)

    def see(self, observation: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the features of observations (B, D), side by side, and the mask (B, A)."""
        return {"mask": mask, **self.logits.see(observation)}

    def judge(self, seen: Mapping[str, Tensor]) -> Tensor:
        """Return log-probabilities (B, A); illegal actions have probability 0."""
        logits = self.logits.judge(seen)
        # finfo.min and not -inf: p log p of an illegal action then is 0, with a gradient of 0.
        logits = logits.masked_fill(~seen["mask"], torch.finfo(logits.dtype).min)
        values: Tensor = logits.log_softmax(dim=-1)
        return values
