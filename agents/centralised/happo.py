"""HAPPO: gateways' own policies, updated one after the other, each on what those before it changed.

MAPPO updates all policies at once, as if the others stayed as they are. Here the networks of a
rollout are updated in a random order i_1, i_2, ..; with A the team's advantage and pi_old the
policies that played,

    M_m = A * product over j < m of pi_new^{i_j}(a | o) / pi_old^{i_j}(a | o)
    network i_m : minimise -mean min(rho M_m, clip(rho, 1 - c, 1 + c) M_m) - entropy bonus

so that each step improves the team's return given the steps before it (Kuba et al., "Trust region
policy optimisation in multi-agent reinforcement learning", ICLR 2022, arXiv:2109.11251; Zhong et
al., "Heterogeneous-agent reinforcement learning", JMLR 25 (2024)). The first in order takes the
step that MAPPO takes. The critic learns after them, as in MAPPO (`mappo.py`), which it is where all
gateways share a network. Of one for each role, the ratio is that of all its gateways together.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from tensordict import TensorDict
from torch import Tensor, nn
from torch.func import functional_call

from edge_marl.agents.centralised.agents import GatewayNetwork, OwnNetworks
from edge_marl.agents.centralised.mappo import MappoLearner
from edge_marl.agents.centralised.settings import HappoConfig
from edge_marl.agents.centralised.shared import CentralisedLearner
from edge_marl.scenario import Scenario

__all__ = ["HappoLearner", "make_learner"]


class _Rows(NamedTuple):
    """What one network decided on in a rollout, (n, ...)."""

    observation: Tensor
    mask: Tensor
    action: Tensor
    log_prob: Tensor
    """Of the action, by the policy that played."""
    step: Tensor
    """Which step of the rollout each is of."""


class HappoLearner(MappoLearner):
    """Networks of gateways, updated in turn, and the critic.

    Args:
        network: of the gateways.
        state_size: length of the state.
        config: settings.
    """

    def __init__(
        self, network: GatewayNetwork | OwnNetworks, state_size: int, config: HappoConfig
    ) -> None:
        super().__init__(network, state_size, config)
        self._own: list[dict[str, Tensor]] = []
        if isinstance(network, OwnNetworks):
            self._own = [network.each.alone(k) for k in range(network.count)]
            leaves = [weight for own in self._own for weight in own.values()]
            # Adam passes over what has no gradient, so that a network's step moves no other.
            self.optimiser = torch.optim.Adam(
                [*leaves, *self._critic.parameters()], lr=config.learning_rate
            )

    def update(self, steps: TensorDict) -> int:
        """Take the gradient steps of one rollout; return how many."""
        if not self._own:
            return super().update(steps)
        before = self.update_in_turn(steps, torch.randperm(len(self._own)).tolist())
        return before + self._update_critic(steps)

    def update_in_turn(self, steps: TensorDict, order: list[int]) -> int:
        """Update the networks in an order; return how many gradient steps that took."""
        advantage = steps["advantage"][:, 0, 0].clone()
        updates = 0
        for which in order:
            rows = self._rows_of(steps, which)
            updates += self._update_one(which, rows, advantage, steps["agents", "action"].numel())
            with torch.no_grad():
                log_prob, _ = self._judge(which, rows)
            changed = torch.zeros_like(advantage)
            changed.index_add_(0, rows.step, log_prob - rows.log_prob)
            advantage *= changed.exp()
        return updates

    def _rows_of(self, steps: TensorDict, which: int) -> _Rows:
        assert isinstance(self._network, OwnNetworks)
        agents = steps["agents"]
        own = self._network.whose(agents["observation"]) == which
        return _Rows(
            observation=agents["observation"][own],
            mask=agents["mask"][own],
            action=agents["action"][own],
            log_prob=agents["action_log_prob"][own],
            step=own.nonzero()[:, 0],
        )

    def _judge(self, which: int, rows: _Rows) -> tuple[Tensor, Tensor]:
        """Return log-probabilities (n,) of what was done, and entropies (n,), as they are now."""
        assert isinstance(self._network, OwnNetworks)
        logits = functional_call(self._network.each.one, self._own[which], rows.observation)
        log_probs = logits.masked_fill(~rows.mask, -torch.inf).log_softmax(dim=-1)
        entropy = -(log_probs.exp() * log_probs.masked_fill(~rows.mask, 0.0)).sum(dim=-1)
        return log_probs.gather(-1, rows.action[:, None])[:, 0], entropy

    def _update_one(self, which: int, rows: _Rows, advantage: Tensor, decided: int) -> int:
        """Update a network on its rows of a rollout; return how many gradient steps that took.

        Args:
            which: the network.
            rows: its rows.
            advantage: (steps,) M of each step.
            decided: rows of all networks. The loss is a mean over those, as in MAPPO.
        """
        config, share = self._config, len(rows.step) / decided
        updates = 0
        for part in self.minibatches(len(rows.step)):
            some = _Rows(*(column[part] for column in rows))
            weight = advantage[some.step]
            log_prob, entropy = self._judge(which, some)
            ratio = (log_prob - some.log_prob).exp()
            cut = ratio.clamp(1 - config.clip, 1 + config.clip)
            gain = torch.minimum(ratio * weight, cut * weight)
            loss = -share * (gain + config.entropy * entropy).mean()
            self._descend_on(loss, self._own[which].values())
            updates += 1
        return updates

    def _update_critic(self, steps: TensorDict) -> int:
        updates = 0
        for part in self.minibatches(len(steps)):
            some = steps[part]
            value = self._critic(some["state"])
            loss = nn.functional.smooth_l1_loss(value, some["value_target"])
            self._descend_on(loss, self._critic.parameters())
            updates += 1
        return updates

    def _descend_on(self, loss: Tensor, weights: Iterable[Tensor]) -> None:
        """Take a gradient step in some weights, whose gradients are cut together."""
        most = self._config.max_grad_norm
        self.descend(loss, lambda: nn.utils.clip_grad_norm_(weights, most))


def make_learner(
    scenario: Scenario,
    config: HappoConfig,
    network: GatewayNetwork | OwnNetworks,
    state_size: int,
) -> CentralisedLearner:
    """Return an untrained learner (see `MakeLearner` in `shared.py`)."""
    return HappoLearner(network, state_size, config)
