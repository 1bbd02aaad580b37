"""Networks on tensors as Tianshou calls them, on batches, and with the action to do nothing."""

from __future__ import annotations

from typing import Any

import torch
from tianshou.data import Batch
from torch import Tensor, nn

from edge_marl.agents.networks.features import SeesOnce

__all__ = ["GatewayActor", "OnBatch", "seen_once"]


class OnBatch(nn.Module):
    """A network on tensors as Tianshou calls networks: on a `Batch` of `obs` and `mask`.

    Actors get both and return log-probabilities with a recurrent state (none); critics get the
    observation, and the mask if they ask for it, and return Q, or a value. Those that are `told`
    get as the last which network decides. After `seen_once` they
    start from the features.
    """

    network: Any

    def __init__(self, network: nn.Module, *, actor: bool) -> None:
        super().__init__()
        self.network = network
        self._actor = actor
        self._name = getattr(network, "sees", "") or ("actor" if actor else "critic")

    def forward(self, obs: Any, state: Any = None, info: Any = None) -> Any:
        """Return (log-probabilities (B, A), state), or Q (B, A)."""
        if self._name in obs:
            outputs = self.network.judge(obs[self._name])
        else:
            outputs = self.network(*self._shown(obs))
        return (outputs, state) if self._actor else outputs

    def add_seen(self, obs: Any, seen: dict[str, Any]) -> None:
        """Add an observation's features, or the observation, if it is not there yet."""
        if not isinstance(self.network, SeesOnce):
            seen["obs"] = obs.obs
        elif self._name not in seen:
            seen[self._name] = Batch(self.network.see(*self._shown(obs)))

    def _shown(self, obs: Any) -> list[Tensor]:
        masked = self._actor or getattr(self.network, "masked", False)
        names = ("obs", "mask") if masked else ("obs",)
        if getattr(self.network, "told", False):
            names = (*names, "which")
        return [torch.as_tensor(obs[name]) for name in names]


def seen_once(obs: Any, *networks: Any) -> Batch:
    """Return a `Batch` of `mask` and what networks (`OnBatch`) need besides.

    That is their features, or the observation.
    """
    seen: dict[str, Any] = {name: obs[name] for name in ("mask", "which") if name in obs}
    with torch.no_grad():
        for network in networks:
            network.add_seen(obs, seen)
    return Batch(seen)


class GatewayActor(nn.Module):
    """An actor of the single environment's, with the action that it does not have: nothing.

    Doing nothing is what a gateway without a task does, for certain and with no gradient; one with
    a task acts as the actor says. (Tianshou's algorithms themselves know no masks.)
    """

    def __init__(self, actor: nn.Module) -> None:
        super().__init__()
        self.actor = actor
        self.told = getattr(actor, "told", False)

    def forward(self, observation: Tensor, mask: Tensor, *which: Tensor) -> Tensor:
        """Return log-probabilities (B, A + 1) for observations (B, D) and masks (B, A + 1)."""
        own = self.actor(observation, mask[:, :-1], *which)
        values = torch.cat([own, torch.zeros_like(own[:, :1])], dim=1)
        return values.masked_fill(~mask, torch.finfo(values.dtype).min)
