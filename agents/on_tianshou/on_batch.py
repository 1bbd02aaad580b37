"""Networks on tensors as Tianshou calls them, on batches, and with the action to do nothing."""

from __future__ import annotations

from typing import Any

import torch
from tianshou.data import Batch
from torch import Tensor, nn

__all__ = ["GatewayActor", "OnBatch"]


class OnBatch(nn.Module):
    """A network on tensors as Tianshou calls networks: on a `Batch` of `obs` and `mask`.

    Actors get both and return log-probabilities with a recurrent state (none); critics get the
    observation and return Q, or a value. Where `see` was called, they start from the features.
    """

    network: Any

    def __init__(self, network: nn.Module, *, actor: bool) -> None:
        super().__init__()
        self.network = network
        self._actor = actor
        self._name = "actor" if actor else "critic"

    def forward(self, obs: Any, state: Any = None, info: Any = None) -> Any:
        """Return (log-probabilities (B, A), state), or Q (B, A)."""
        if self._name in obs:
            outputs = self.network.judge(obs[self._name])
        else:
            outputs = self.network(*self._shown(obs))
        return (outputs, state) if self._actor else outputs

    def see(self, obs: Any) -> dict[str, Batch]:
        """Return the features that a network (`SeesOnce`) sees, to be put into a `Batch`."""
        return {self._name: Batch(self.network.see(*self._shown(obs)))}

    def _shown(self, obs: Any) -> list[Tensor]:
        names = ("obs", "mask") if self._actor else ("obs",)
        return [torch.as_tensor(obs[name]) for name in names]


class GatewayActor(nn.Module):
    """An actor of the single environment's, with the action that it does not have: nothing.

    Doing nothing is what a gateway without a task does, for certain and with no gradient; one with
    a task acts as the actor says. (Tianshou's algorithms themselves know no masks.)
    """

    def __init__(self, actor: nn.Module) -> None:
        super().__init__()
        self.actor = actor

    def forward(self, observation: Tensor, mask: Tensor) -> Tensor:
        """Return log-probabilities (B, A + 1) for observations (B, D) and masks (B, A + 1)."""
        own = self.actor(observation, mask[:, :-1])
        values = torch.cat([own, torch.zeros_like(own[:, :1])], dim=1)
        return values.masked_fill(~mask, torch.finfo(values.dtype).min)
