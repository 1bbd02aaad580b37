"""MAPPO: proximal policy optimisation of policies, with a critic of the whole state.

Gateways share a policy, or each or each role has its own; the critic is one for all.

With pi the gateways' policy, V the critic, A the team's generalised advantage from r and V(s), and
rho_g = pi(a_g | o_g) / pi_old(a_g | o_g):

    actor  : minimise -mean_g min(rho_g A, clip(rho_g, 1 - c, 1 + c) A) - entropy bonus
    critic : minimise smooth-L1(V(s), A_old + V_old(s))

(Yu et al. 2022, arXiv:2103.01955; `torchrl.objectives.ClipPPOLoss`, `GAE`.) A gateway without a
task has one legal choice: its ratio is 1 and its entropy 0, so it moves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from tensordict import TensorDict
from tensordict.nn import ProbabilisticTensorDictModule, ProbabilisticTensorDictSequential
from tensordict.nn import TensorDictModule as OnDict
from torch import Tensor, nn
from torchrl.modules import MLP, MaskedCategorical
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

from edge_marl.agents.centralised.agents import GatewayNetwork, OwnNetworks
from edge_marl.agents.centralised.settings import MappoConfig
from edge_marl.agents.centralised.shared import CentralisedLearner, Game
from edge_marl.agents.networks.sharing import cut_each
from edge_marl.scenario import Scenario

__all__ = ["MappoLearner", "make_learner"]


class MappoLearner(CentralisedLearner):
    """The policy and the critic of MAPPO.

    Args:
        network: of the gateways.
        state_size: length of the state.
        config: settings.
    """

    def __init__(
        self, network: GatewayNetwork | OwnNetworks, state_size: int, config: MappoConfig
    ) -> None:
        self._config, self._network = config, network
        self._policy = ProbabilisticTensorDictSequential(
            OnDict(network, [("agents", "observation")], [("agents", "logits")]),
            ProbabilisticTensorDictModule(
                in_keys={"logits": ("agents", "logits"), "mask": ("agents", "mask")},
                out_keys=[("agents", "action")],
                distribution_class=MaskedCategorical,
                default_interaction_type="random",
                return_log_prob=True,
                log_prob_key=("agents", "action_log_prob"),
            ),
        )
        value = MLP(state_size, 1, num_cells=list(config.hidden), activation_class=nn.ReLU)
        critic = OnDict(value, ["state"], ["state_value"])
        self._critic = value
        self._advantage = GAE(gamma=config.gamma, lmbda=config.gae_lambda, value_network=critic)
        self.loss = ClipPPOLoss(
            self._policy,
            critic,
            clip_epsilon=config.clip,
            entropy_coeff=config.entropy,
            critic_coeff=1.0,
        )
        self.loss.set_keys(
            action=("agents", "action"), sample_log_prob=("agents", "action_log_prob")
        )
        self.optimiser = torch.optim.Adam(self.loss.parameters(), lr=config.learning_rate)

    def advance(self, game: Game) -> int:
        """Play a rollout and learn from it."""
        steps = self.play(game)
        # The budget can cut the last rollout short: too few steps to learn from.
        if len(steps) < self._config.rollout * len(game.now):
            return 0
        return self.update(steps)

    def play(self, game: Game) -> TensorDict:
        """Return steps (E * T,) of the game and standardised advantages (.., G, 1); T or fewer."""
        steps: list[TensorDict] = []
        while game.goes_on and len(steps) < self._config.rollout:
            with torch.no_grad():
                steps.append(game.step(self._policy(game.now.clone(recurse=True))))
        played = TensorDict.stack(steps, dim=1)
        with torch.no_grad():
            self._advantage(played)
        gateways = played["agents", "mask"].shape[-2]
        advantage = played["advantage"]
        advantage = (advantage - advantage.mean()) / (advantage.std(correction=0) + 1e-6)
        advantage = advantage.unsqueeze(-2).expand(-1, -1, gateways, -1)
        flat: TensorDict = played.set("advantage", advantage.clone()).reshape(-1)
        return flat

    def update(self, steps: TensorDict) -> int:
        """Take the gradient steps of one rollout; return how many."""
        updates = 0
        for part in self.minibatches(len(steps)):
            losses = self.loss(steps[part])
            loss = losses["loss_objective"] + losses["loss_entropy"] + losses["loss_critic"]
            self.descend(loss, self._cut)
            updates += 1
        return updates

    def minibatches(self, rows: int) -> Iterator[Tensor]:
        """Yield which of so many rows each gradient step is on: all of them, in each epoch."""
        for _ in range(self._config.epochs):
            yield from torch.randperm(rows).chunk(self._config.minibatches)

    def descend(self, loss: Tensor, cut: Callable[[], object]) -> None:
        """Take a gradient step, after `cut` has cut the gradients."""
        self.optimiser.zero_grad()
        torch.autograd.backward(loss)
        cut()
        self.optimiser.step()

    def _cut(self) -> None:
        """Cut gradients to their norm: of all networks together, or of each by itself."""
        most = self._config.max_grad_norm
        if isinstance(self._network, OwnNetworks):
            cut_each(self._network.each.weights.values(), most)
            nn.utils.clip_grad_norm_(self._critic.parameters(), most)
        else:
            nn.utils.clip_grad_norm_(self.loss.parameters(), most)


def make_learner(
    scenario: Scenario,
    config: MappoConfig,
    network: GatewayNetwork | OwnNetworks,
    state_size: int,
) -> CentralisedLearner:
    """Return an untrained learner (see `MakeLearner` in `shared.py`)."""
    return MappoLearner(network, state_size, config)
