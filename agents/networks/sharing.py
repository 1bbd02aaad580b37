"""Whose network decides: one for all gateways, one for each, or one for each size of server.

A scenario says little that tells gateways apart: places and loads are drawn anew with every
workload, so that no number of a gateway means the same in two episodes. What stays with a gateway
for an episode, and is seen by it, is the size of its own server, the first of its neighbours. That
is its *role*: the capacities of the scenario in order, split into as many as three parts. Where
gateways have no server of their own, or all servers are alike, there is one role, as with `all`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from edge_marl.agents.base import Sharing
from edge_marl.agents.networks.features import SeesOnce
from edge_marl.agents.networks.priors import ASKED
from edge_marl.errors import AgentError
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario
from edge_marl.workload.draft import is_linked

__all__ = ["MOST_UNSHARED", "ForEach", "Networks", "check_networks", "cut_each", "network_for"]

MOST_UNSHARED = 20
"""Gateways that may have a network each: of more, each decides too seldom to learn from it."""

MOST_ROLES = 3


class Networks:
    """Which of `count` networks decides in a row.

    Args:
        scenario: the world.
        config: settings; without `sharing` all gateways share one.

    Raises:
        AgentError: no such setting, or too many gateways for a network each.
    """

    def __init__(self, scenario: Scenario, config: Any) -> None:
        sharing = getattr(config, "sharing", "all")
        if sharing not in get_args(Sharing):
            choices = ", ".join(get_args(Sharing))
            raise AgentError(f"sharing = {sharing!r}: must be one of {choices}")
        gateways = scenario.gateways.count
        if sharing == "none" and gateways > MOST_UNSHARED:
            raise AgentError(
                f"sharing = none: '{scenario.label}' has {gateways} gateways, and a network each "
                f"is for up to {MOST_UNSHARED}: take all, or by-role"
            )
        self._sharing = sharing
        self.count = {"all": 1, "none": gateways}.get(sharing, 0)
        """How many networks there are."""
        self._asks = getattr(config, "prior", "none") in ASKED
        if sharing == "by-role":
            self._sizes = sizes_of(scenario)
            self.count = min(MOST_ROLES, len(self._sizes))
            self._at = next(
                feature.start
                for feature in ObservationLayout(scenario).features
                if feature.name == "server capacity"
            )

    @property
    def told(self) -> bool:
        """Whether rows have to say more than what is seen: see `of`."""
        return self._asks or self.count > 1

    def of(self, observation: Tensor, gateway: Tensor) -> Tensor:
        """Return what rows are told (B,), for observations (B, D) and gateways (B,).

        That is which network decides, or which gateway where a heuristic is asked.
        """
        if self._asks or self._sharing == "none":
            return gateway
        if self.count == 1:
            return torch.zeros_like(gateway)
        own = observation[:, self._at, None].double()
        sizes = torch.tensor(self._sizes, dtype=torch.float64) / self._sizes[-1]
        rank = (own - sizes).abs().argmin(dim=1)
        return rank * self.count // len(self._sizes)


def sizes_of(scenario: Scenario) -> list[int]:
    """Return the capacities that a gateway's own server may have, ascending; one where none has."""
    sizes = sorted(set(scenario.servers.capacity))
    return sizes if scenario.extended and is_linked(scenario) else sizes[-1:]


def network_for(scenario: Scenario, config: Any, make: Callable[[], nn.Module]) -> nn.Module:
    """Return an untrained network for all gateways, or a `ForEach`, as the settings say.

    Raises:
        AgentError: if a network of that kind cannot be one of several.
    """
    count = Networks(scenario, config).count
    if count == 1:
        return make()
    if getattr(config, "network", "") == "pairs":
        raise AgentError(
            f"sharing = {config.sharing}: not with network=pairs, which scores as many pairs as "
            "are legal, so that the networks of several gateways cannot be computed side by side"
        )
    return ForEach(make, count)


def check_networks(scenario: Scenario, config: Any, weights: Mapping[str, Any]) -> None:
    """Check how many networks a saved agent holds.

    Args:
        scenario: the world to decide in.
        config: settings of the agent.
        weights: its arrays, by name.

    Raises:
        AgentError: if it holds another number than the world asks for.
    """
    if getattr(config, "sharing", "all") == "all":
        return
    stacked = [array for name, array in weights.items() if ".weights." in f".{name}"]
    held = len(stacked[0]) if stacked else 1
    wanted = Networks(scenario, config).count
    if held != wanted:
        each = "gateways" if config.sharing == "none" else "sizes of servers"
        raise AgentError(
            f"it holds {held} networks (sharing = {config.sharing}), and '{scenario.label}' has "
            f"{wanted} {each}: one that all share moves to any number"
        )


class ForEach(nn.Module):
    """K networks of one kind, computed side by side, each on the rows that are its own.

    Their weights are stacked: the first axis of each is the network. No network sees another's
    rows, and none gets a gradient from them.

    Args:
        make: makes an untrained network.
        count: how many networks K.
    """

    told = True
    """The last argument says which network decides in a row."""

    def __init__(self, make: Callable[[], nn.Module], count: int) -> None:
        super().__init__()
        networks = [make() for _ in range(count)]
        for part in networks[0].modules():
            vars(part)["by_hand"] = False  # what autograd is told by hand is not known to `vmap`
        self._one = [networks[0]]  # in a list: its weights are the first ones here already
        weights, constants = stack_module_state(networks)
        self.weights = nn.ParameterDict(
            {_key(name): nn.Parameter(weight.detach()) for name, weight in weights.items()}
        )
        for name, constant in constants.items():
            self.register_buffer(_key(name), constant, persistent=False)
        self._names = list(weights), list(constants)

    @property
    def one(self) -> Any:
        """A network of the kind, whose own weights count for nothing."""
        return self._one[0]

    def alone(self, which: int) -> dict[str, Tensor]:
        """Return the weights of one network by name: leaves, whose memory is that of the stack."""
        return {
            name: self.weights[_key(name)].detach()[which].requires_grad_()
            for name in self._names[0]
        }

    def forward(self, *shown: Any, common: tuple[Any, ...] = ()) -> Tensor:
        """Return outputs (B, ...).

        Args:
            shown: tensors (B, ...) that each network takes, and as the last one which network
                decides, (B,).
            common: what all of them take besides, the same for every row.
        """
        *rows, which = shown
        count = len(next(iter(self.weights.values())))
        place, length = _places(which, count)
        seen: dict[str, Tensor] | None = None
        if isinstance(self.one, SeesOnce):  # its features have no weights
            seen = self.one.see(*rows)
            rows = list(seen.values())
        apart = [_apart(part, place, count, length) for part in rows]

        def outputs(weights: dict[str, Tensor], *own: Tensor) -> Tensor:
            if seen is None:
                return functional_call(self.one, weights, (*own, *common))  # type: ignore[no-any-return]
            named = dict(zip(seen, own, strict=True))
            return functional_call(_Judge(self.one), _under("network", weights), (named,))  # type: ignore[no-any-return]

        every: Tensor = vmap(outputs, randomness="different")(self._stacked(), *apart)
        return every.flatten(0, 1)[place]

    def _stacked(self) -> dict[str, Tensor]:
        weights, constants = self._names
        found = {name: self.weights[_key(name)] for name in weights}
        return found | {name: getattr(self, _key(name)) for name in constants}


def cut_each(weights: Any, most: float) -> None:
    """Cut the gradients of stacked weights (K, ...) to a norm, each network's by itself."""
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    squares = torch.stack([part.flatten(1).square().sum(dim=1) for part in gradients])
    share = (most / (squares.sum(dim=0).sqrt() + 1e-6)).clamp(max=1.0)
    for part in gradients:
        part.mul_(share.view(-1, *[1] * (part.dim() - 1)))


class _Judge(nn.Module):
    """The part of a network that has weights, as a network."""

    def __init__(self, network: SeesOnce) -> None:
        super().__init__()
        self.network = network

    def forward(self, seen: Mapping[str, Tensor]) -> Tensor:
        """Return the network's outputs, given what was seen."""
        return self.network.judge(seen)


def _under(prefix: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": weight for name, weight in weights.items()}


def _key(name: str) -> str:
    return name.replace(".", "/")


def _places(which: Tensor, count: int) -> tuple[Tensor, int]:
    """Return each row's place (B,) among the rows of all networks, and how many rows each has."""
    each = torch.bincount(which, minlength=count)
    length = int(each.max())
    order = which.argsort(stable=True)
    first = each.cumsum(0) - each
    place = torch.empty_like(which)
    place[order] = torch.arange(len(which)) - first[which[order]]
    return which * length + place, length


def _apart(rows: Tensor, place: Tensor, count: int, length: int) -> Tensor:
    """Return rows (B, ...) as (K, length, ...), zeros where a network has fewer."""
    room = rows.new_zeros((count * length, *rows.shape[1:]))
    return room.index_copy(0, place, rows).view(count, length, *rows.shape[1:])
