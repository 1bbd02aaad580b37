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

from typing import Any

import torch
from tensordict import TensorDict
from tensordict.nn import TensorDictModule, TensorDictSequential
from torch import nn
from torchrl.data import LazyTensorStorage, TensorDictReplayBuffer
from torchrl.modules import QValueModule
from torchrl.objectives import SoftUpdate
from torchrl.objectives.multiagent import QMixerLoss
from torchrl.objectives.utils import ValueEstimators

from edge_marl.agents.centralised.settings import MixingConfig
from edge_marl.agents.centralised.shared import CentralisedLearner, Game

__all__ = ["MixingLearner"]

CHOSEN = ("agents", "chosen_action_value")


class MixingLearner(CentralisedLearner):
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
        self.loss = QMixerLoss(self.policy, mixed, action_space="categorical", delay_value=True)
        self.loss.make_value_estimator(ValueEstimators.TD0, gamma=config.gamma)
        self._targets = SoftUpdate(self.loss, tau=config.tau)
        self.optimiser = torch.optim.Adam(self.loss.parameters(), lr=config.learning_rate)
        self._config = config
        self._replay = TensorDictReplayBuffer(
            storage=LazyTensorStorage(config.buffer_size), batch_size=config.batch_size
        )

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
        loss = self.loss(steps)["loss"]
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self._targets.step()
        return float(loss.detach())

    def advance(self, game: Game) -> int:
        """Take a step of the environments and, once there are enough, a gradient step."""
        share = self._config.exploration_share
        explored = min(1.0, game.spent / share) if share else 1.0
        epsilon = 1.0 - explored * (1.0 - self._config.exploration_end)
        self._replay.extend(game.step(self.choose(game.now, epsilon)))
        if len(self._replay) < self._config.batch_size:
            return 0
        self.update(self._replay.sample())
        return 1

    def state(self) -> dict[str, Any]:
        """Return all that the next update depends on."""
        held = self._replay[:].to_dict() if len(self._replay) else None
        return super().state() | {"held": held, "writer": self._replay.state_dict()["_writer"]}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a state."""
        super().restore(state)
        if (held := state["held"]) is None:
            return
        # The buffer's own state forgets that some parts have a second batch dimension, gateways.
        shape = held["agents"]["observation"].shape
        steps = TensorDict(held, shape[:1])
        for agents in (steps["agents"], steps["next", "agents"]):
            agents.batch_size = shape[:2]
        self._replay.extend(steps)
        self._replay.load_state_dict(self._replay.state_dict() | {"_writer": state["writer"]})
