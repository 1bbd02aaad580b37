"""One small network that scores each legal (server, service) pair, the same for all pairs.

Sizes: B rows, S servers, V services per server, A = S * V actions, K most legal actions of a row,
D observation length, F features of a pair.

A row's legal pairs stand side by side in K places, so that what is illegal costs nothing: every row
of a tier has as many. All that a pair's score depends on is among its features, which have no
weights: so a gradient step is three products of matrices forward and five backward.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot, pad

from edge_marl.agents.networks.features import PRESSURE, WAIT, SeesOnce, TokenFeatures, longest_ms
from edge_marl.agents.networks.places import all_actions, legal_first, of_places
from edge_marl.agents.networks.priors import Prior
from edge_marl.errors import AgentError
from edge_marl.kernel.world import EXTENDED_TASK_FEATURES, NOWHERE
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario
from edge_marl.workload.draft import is_linked

__all__ = [
    "PairActor",
    "PairCritic",
    "PairFeatures",
    "PairNetwork",
    "PairScore",
    "PairValue",
    "perceptron",
    "start_at_zero",
]


MOST_ROWS = 512
"""Rows whose features are computed at once: 4,096 leave the cache, and take twice the time each."""


class PairFeatures(nn.Module):
    """What is seen of the task, a server and a service of it, side by side. It has no weights.

    In the extended model that is what `TokenFeatures` shows, whether the server is the gateway's
    own, which it sees as it is now where telemetry of others is old, and numbers that follow: the
    time left until the deadline where a model that is not resident takes its mean time to load,
    where servers have lines the pressure that `max-weight` takes off a place's value, and what the
    heuristics take a place to be worth (`heuristics/view.py`, `View.value`). In the base model,
    where a service shows nothing, each pair has a column of its own, by which it is told.
    """

    def __init__(self, scenario: Scenario) -> None:
        super().__init__()
        layout = ObservationLayout(scenario)
        self.tokens = TokenFeatures(layout)
        self._layout = layout
        self._has_deadlines = bool(scenario.tasks.deadline_s)
        self._loading = 0.0
        if scenario.extended:
            self._loading = scenario.residency.mean_load_ms if scenario.residency else 0.0
            self._loading /= longest_ms(layout)
        deadlines = torch.tensor(scenario.tasks.deadline_s or (0.0,), dtype=torch.float64)
        self.register_buffer("deadlines", 1000.0 * deadlines / longest_ms(layout), persistent=False)
        self._own_server = 0 if is_linked(scenario) else NOWHERE
        self._decline_price = scenario.decline.price if scenario.decline else 0.0
        self.own_size = layout.num_actions
        if layout.extended:
            derived = 2 + self.tokens.has_lines
            self.own_size = self.tokens.service_size + 1 + layout.may_decline + derived
        self.size = self.tokens.task_size + self.tokens.server_size + self.own_size

    deadlines: Tensor

    @property
    def shows_worth(self) -> bool:
        """Whether the last feature is what the heuristics take a place to be worth."""
        return self._layout.extended

    def check_prior(self, prior: Prior) -> None:
        """Raise AgentError if the features do not show what a prior is made of."""
        if prior.needs_worth and not self.shows_worth:
            raise AgentError(
                f"prior = {prior.heuristic}: services of the base model do not show what they are "
                "worth; leave it out"
            )
        if prior.needs_lines and not self.tokens.has_lines:
            raise AgentError(
                f"prior = {prior.heuristic}: servers of this scenario have no lines; take prophet, "
                "or leave it out"
            )

    def forward(self, observation: Tensor, action: Tensor) -> Tensor:
        """Return features (B, K, F) of the pairs of actions (B, K), for observations (B, D)."""
        rows = range(0, max(1, len(action)), MOST_ROWS)
        parts = [
            self._of_rows(observation[i : i + MOST_ROWS], action[i : i + MOST_ROWS]) for i in rows
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _of_rows(self, observation: Tensor, action: Tensor) -> Tensor:
        tokens = self.tokens(observation)
        task, servers, _ = tokens
        server = of_places(self.with_nowhere(servers), self.server_of(action))
        shown = task[:, None].expand(-1, action.shape[1], -1)
        return torch.cat([shown, server, self.own(observation, tokens, action)], dim=-1)

    def server_of(self, action: Tensor) -> Tensor:
        """Return the server of each action; S, which is none, where it is to decline."""
        return action // self._layout.num_choices

    def own(
        self, observation: Tensor, tokens: tuple[Tensor, Tensor, Tensor], action: Tensor
    ) -> Tensor:
        """Return what is neither the task's nor its server's, given the tokens' features."""
        task, servers, services = tokens
        if not self._layout.extended:
            return one_hot(action, self._layout.num_actions).to(task.dtype)
        service = of_places(self.with_nowhere(services.flatten(1, 2)), action)
        delay = of_places(self.with_nowhere(servers[..., 3:4]), self.server_of(action)).squeeze(-1)
        derived = self._derived(observation, tokens, delay, service)
        is_own = (self.server_of(action) == self._own_server).to(task.dtype)[..., None]
        if not self._layout.may_decline:
            return torch.cat([service, is_own, derived], dim=-1)
        declines = (action == self._layout.num_actions - 1).to(task.dtype)[..., None]
        left, price = task[:, 2], -self._decline_price * self._weight(task)
        no_line = [torch.zeros_like(left)] if self.tokens.has_lines else []
        of_no = torch.stack([left, *no_line, price], dim=-1)
        derived = torch.where(declines > 0, of_no[:, None], derived)
        return torch.cat([service, is_own, declines, derived], dim=-1)

    def with_nowhere(self, items: Tensor) -> Tensor:
        """Return items (B, N, F) and, where a task may be declined, one more, of zeros."""
        return pad(items, (0, 0, 0, 1)) if self._layout.may_decline else items

    def _weight(self, task: Tensor) -> Tensor:
        """Return (B,) what the value of the task's request is multiplied by, given its features."""
        if task.shape[-1] == EXTENDED_TASK_FEATURES:
            return torch.ones_like(task[:, 0])
        return task[:, -1] * (self._layout.max_weight / 1000)

    def _derived(
        self,
        observation: Tensor,
        tokens: tuple[Tensor, Tensor, Tensor],
        delay: Tensor,
        service: Tensor,
    ) -> Tensor:
        """Return (B, K, 2 or 3): time left with loading, pressure where there are lines, worth.

        Times: see `TokenFeatures`.
        """
        task, servers, services = tokens
        left, after = task[:, 2, None], task[:, 3, None]
        after = 2.0 * after
        quality, duration, warm, cost = service.unbind(-1)[:4]
        takes = torch.maximum(delay, self._loading * (1.0 - warm))
        if self.tokens.has_lines:
            takes = torch.maximum(takes, service[..., WAIT])
        takes = takes + duration
        stages = after + 1.0 + servers[..., 4].amax(dim=1, keepdim=True)
        worth = 2.0 * quality / stages
        if self._has_deadlines:
            deadline = self.deadlines.to(task.dtype)
            if len(deadline) > 1:
                deadline = (observation[:, : len(deadline)] @ deadline)[:, None]
            late = takes * (after + 1.0) - left
            worth = worth * (1.0 - late / (deadline * stages).clamp_min(1e-9)).clamp(0.0, 1.0)
        worth = worth * self._weight(task)[:, None] - cost
        left_over = (left - takes).clamp(-1.0, 1.0)
        if not self.tokens.has_lines:
            return torch.stack([left_over, worth], dim=-1)
        every = services[..., 1].flatten(1)  # durations, 0 of what a server does not have
        mean = every.sum(dim=1) / (every > 0).sum(dim=1).clamp_min(1)
        pressure = service[..., PRESSURE] / mean[:, None].clamp_min(1e-9)
        return torch.stack([left_over, pressure, worth], dim=-1)


class PairScore(nn.Module):
    """A perceptron from a pair's features to a number.

    Args:
        scenario: the world.
        hidden: widths of its hidden layers.
        prior: what scores begin with.
    """

    def __init__(
        self, scenario: Scenario, hidden: tuple[int, ...], prior: Prior | None = None
    ) -> None:
        super().__init__()
        self.features = PairFeatures(scenario)
        self.layers = perceptron(self.features.size + (prior.size if prior else 0), hidden)
        self.prior, self.told = prior, prior is not None and prior.told
        if prior is not None:
            self.features.check_prior(prior)
            start_at_zero(self.layers[-1])

    def see(self, observation: Tensor, mask: Tensor, *gateway: Tensor) -> dict[str, Tensor]:
        """Return the mask, the legal actions (B, K) and their features (B, K, F).

        Args:
            observation: (B, D).
            mask: (B, A).
            gateway: (B,) which gateway decides, where the prior is told.
        """
        action = legal_first(mask)
        features = self.features(observation, action)
        if self.prior is not None:
            features = self.prior.beside(features, action, observation, mask, *gateway)
        return {"mask": mask, "action": action, "features": features}

    def forward(self, seen: Mapping[str, Tensor]) -> Tensor:
        """Return scores (B, A), the lowest number where an action is illegal."""
        features = seen["features"]
        scores = self.layers(features).squeeze(-1)
        if self.prior is not None:
            scores = scores + self.prior.of(features)
        return all_actions(scores, seen["action"], seen["mask"])


class PairActor(SeesOnce):
    """Log-probabilities of all actions: scores through a softmax (arguments: `PairScore`)."""

    def __init__(
        self, scenario: Scenario, hidden: tuple[int, ...], prior: Prior | None = None
    ) -> None:
        super().__init__()
        self.score = PairScore(scenario, hidden, prior)
        self.told = self.score.told

    def see(self, observation: Tensor, mask: Tensor, *gateway: Tensor) -> dict[str, Tensor]:
        """Return what there is to see (`PairScore.see`)."""
        return self.score.see(observation, mask, *gateway)

    def judge(self, seen: Mapping[str, Tensor]) -> Tensor:
        """Return log-probabilities (B, A); illegal actions have probability 0."""
        values: Tensor = self.score(seen).log_softmax(dim=-1)
        return values


class PairValue(SeesOnce):
    """A state's value, from the task and the mean and largest of what servers and services show."""

    def __init__(self, layout: ObservationLayout, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.features = TokenFeatures(layout)
        pooled = 2 * (self.features.server_size + self.features.service_size)
        self.layers = perceptron(self.features.task_size + pooled, hidden)

    def see(self, observation: Tensor) -> dict[str, Tensor]:
        """Return the features, (B, T + 2 F + 2 C)."""
        task, servers, services = self.features(observation)
        shown = (servers, services.flatten(1, 2))
        pooled = [part for tokens in shown for part in (tokens.mean(dim=1), tokens.amax(dim=1))]
        return {"features": torch.cat([task, *pooled], dim=-1)}

    def judge(self, seen: Mapping[str, Tensor]) -> Tensor:
        """Return (B, 1)."""
        values: Tensor = self.layers(seen["features"])
        return values


class PairCritic(SeesOnce):
    """Q of legal actions: a state's value, plus each pair's part (arguments: `PairScore`)."""

    masked = True

    def __init__(
        self, scenario: Scenario, hidden: tuple[int, ...], prior: Prior | None = None
    ) -> None:
        super().__init__()
        self.score = PairScore(scenario, hidden, prior)
        self.value = PairValue(ObservationLayout(scenario), hidden)
        self.told = self.score.told

    def see(self, observation: Tensor, mask: Tensor, *gateway: Tensor) -> dict[str, Tensor]:
        """Return what there is to see of pairs (`PairScore.see`) and of the state."""
        state = self.value.see(observation)["features"]
        return {"state": state, **self.score.see(observation, mask, *gateway)}

    def judge(self, seen: Mapping[str, Tensor]) -> Tensor:
        """Return (B, A), about the lowest number where an action is illegal."""
        values: Tensor = self.score(seen) + self.value.judge({"features": seen["state"]})
        return values


class PairNetwork(nn.Module):
    """Q of all pairs, for learners whose networks are shown no masks.

    Args:
        scenario: the world.
        hidden: widths of the hidden layers.
        nothing: whether a last output is the value of the state, for a gateway that does nothing.
    """

    def __init__(
        self, scenario: Scenario, hidden: tuple[int, ...], *, nothing: bool = False
    ) -> None:
        super().__init__()
        self.score = PairScore(scenario, hidden)
        self.value = PairValue(ObservationLayout(scenario), hidden)
        self._actions, self._nothing = scenario.num_actions, nothing

    def forward(self, observation: Tensor) -> Tensor:
        """Return (B, A) for observations (B, D), or (B, A + 1)."""
        every = torch.arange(self._actions).expand(len(observation), -1)
        scores = self.score.layers(self.score.features(observation, every)).squeeze(-1)
        value = self.value(observation)
        values: Tensor = scores + value
        return torch.cat([values, value], dim=1) if self._nothing else values


def perceptron(inputs: int, hidden: tuple[int, ...]) -> nn.Sequential:
    """Return layers from `inputs` numbers to one; ReLU takes half of the time of SiLU."""
    sizes = (inputs, *hidden, 1)
    layers = [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def start_at_zero(last: nn.Module) -> None:
    """Have a network say 0 of everything until it is trained, given its last layer."""
    for part in last.parameters():
        nn.init.zeros_(part)
