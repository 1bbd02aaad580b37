"""Learning by value factorisation on TorchRL's `QMixerLoss`, whatever the mixer.

With Q_g(o_g, a) the shared network's value of a choice of gateway g, and `mix` the mixer:

    Q_tot(s, o, a) = mix(Q_1(o_1, a_1), ..., Q_G(o_G, a_G); s)
    y              = r + gamma Q_tot'(s', o', argmax_a Q_g'(o'_g, a))    (legal choices only)
    minimise mean (Q_tot - y)^2

r is the team's reward, ' the slowly following target networks; the future counts 0 after a
termination and is bootstrapped at the horizon. Mixers rise in each Q_g, so the best joint choice is
each gateway's own best one. A gateway without a task does nothing, and that value is mixed too.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from tensordict import TensorDict
from tensordict.nn import TensorDictModule, TensorDictSequential
from torch import nn
from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer
from torchrl.modules import QValueModule
from torchrl.objectives import SoftUpdate
from torchrl.objectives.multiagent import QMixerLoss
from torchrl.objectives.utils import ValueEstimators

from edge_marl.agents.base import Progress
from edge_marl.agents.centralised import ByRow, Game, make_network, seeds
from edge_marl.agents.centralised_trainers import MixingConfig
from edge_marl.scenario import Scenario

__all__ = ["MixingLearner", "train_by_mixing"]

CHOSEN = ("agents", "chosen_action_value")


class MixingLearner:
    """A network and a mixer that learn from steps of a game.

    Args:
        network: values of the choices, (..., G, D) -> (..., G, choices).
        mixer: one of TorchRL's mixers.
        uses_state: whether the mixer takes the state.
        config: settings.
    """

    def __init__(
        self, network: nn.Module, mixer: nn.Module, uses_state: bool, config: MixingConfig
    ) -> None:
        values = ("agents", "action_value")
        self.policy = TensorDictSequential(
            TensorDictModule(network, [("agents", "observation")], [values]),
            QValueModule(
                action_space="categorical",
                action_value_key=values,
                action_mask_key=("agents", "mask"),
                out_keys=[("agents", "action"), values, CHOSEN],
            ),
        )
        mixed = TensorDictModule(
            mixer, [CHOSEN, "state"] if uses_state else [CHOSEN], ["chosen_action_value"]
        )
        self._loss = QMixerLoss(self.policy, mixed, action_space="categorical", delay_value=True)
        self._loss.make_value_estimator(ValueEstimators.TD0, gamma=config.gamma)
        self._targets = SoftUpdate(self._loss, tau=config.tau)
        self._adam = torch.optim.Adam(self._loss.parameters(), lr=config.learning_rate)

    def choose(self, now: TensorDict, epsilon: float) -> TensorDict:
        """Return `now` with choices (E, G): the best ones, or with `epsilon` any legal one."""
        with torch.no_grad():
            chosen = self.policy(now.clone(recurse=True))["agents", "action"]
        mask = now["agents", "mask"]
        drawn = torch.multinomial(mask.flatten(0, 1).float(), 1).view(chosen.shape)
        explores = torch.rand(chosen.shape) < epsilon
        result: TensorDict = now.clone(recurse=True)
        return result.set(("agents", "action"), torch.where(explores, drawn, chosen))

    def update(self, steps: TensorDict) -> float:
        """Take one gradient step on a batch of steps; return the loss."""
        loss = self._loss(steps)["loss"]
        self._adam.zero_grad()
        loss.backward()
        self._adam.step()
        self._targets.step()
        return float(loss.detach())


def train_by_mixing(
    scenario: Scenario,
    config: MixingConfig,
    make_mixer: Callable[[int], nn.Module],
    uses_state: bool,
    budget: int,
    seed: int,
    progress: Progress,
) -> ByRow:
    """Return a network on rows, trained with one gradient step per step of the environments.

    Args:
        scenario: the world.
        config: settings.
        make_mixer: makes the mixer from the length of the state.
        uses_state: whether the mixer takes the state.
        budget: decisions to train on.
        seed: of everything random.
        progress: called after every step.
    """
    for_torch, for_envs = seeds(seed)
    game = Game(scenario, min(config.num_envs, budget), budget, for_envs, progress)
    # Networks, exploration and replay draw from torch's global generator: borrowed, given back.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(for_torch)
        network = make_network(scenario, config)
        learner = MixingLearner(network, make_mixer(game.state_size), uses_state, config)
        replay = TensorDictReplayBuffer(
            storage=LazyTensorStorage(config.buffer_size), batch_size=config.batch_size
        )
        while game.goes_on:
            explored = min(1.0, game.spent / config.exploring) if config.exploring else 1.0
            epsilon = 1.0 - explored * (1.0 - config.epsilon_end)
            replay.extend(game.step(learner.choose(game.now, epsilon)))
            if len(replay) >= config.batch_size:
                learner.update(replay.sample())
                game.updates += 1
    return ByRow(network)
