"""`ippo`: Tianshou's PPO on every gateway's own decisions, masked.

One policy and one critic decide for all gateways, or one for each or for each role: those learn as
if each had a PPO of its own on the same decisions, but for the order of the minibatches.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tianshou.algorithm.modelfree.ppo import PPO
from tianshou.data import Batch

from edge_marl.agents.independent.agents import IppoAgent
from edge_marl.agents.independent.settings import IppoConfig
from edge_marl.agents.networks.sharing import Networks
from edge_marl.agents.on_tianshou.decisions import Decisions
from edge_marl.agents.on_tianshou.learner import Learner
from edge_marl.agents.policy_gradient.shared import (
    OncePerUpdate,
    OnPolicyLearner,
    actor_critic,
)
from edge_marl.scenario import Scenario

__all__ = ["PPOApart", "make_learner"]


class PPOApart(OncePerUpdate, PPO):
    """PPO of one network or several: advantages are normalised over the decisions of each.

    Args:
        several: whether `which` of an observation says which network decides.
        parts: Tianshou's arguments.
    """

    def __init__(self, *, several: bool, **parts: Any) -> None:
        super().__init__(**parts)
        self._several = several

    @staticmethod
    def compute_episodic_return(
        batch: Any,
        buffer: Any,
        indices: Any,
        v_s_: Any = None,
        v_s: Any = None,
        gamma: float = 0.0,
        gae_lambda: float = 0.0,
    ) -> tuple[Any, Any]:
        """Return what the critic shall say, and the advantages, (n,) each, of `Decisions`.

        They know the discounts: `gamma` and `gae_lambda` are passed over.
        """
        advantages = buffer.advantages(batch, v_s, v_s_)
        return advantages + v_s, advantages

    def _preprocess_batch(self, batch: Any, buffer: Any, indices: Any) -> Any:
        prepared: Any = super()._preprocess_batch(batch, buffer, indices)
        which = torch.zeros(len(prepared.adv))
        if self._several:
            which = torch.as_tensor(prepared.obs.which)
        for network in set(which.tolist()):
            own = which == network
            advantages = prepared.adv[own]
            if len(advantages) > 1:
                spread = advantages.std() + self._eps
                prepared.adv[own] = (advantages - advantages.mean()) / spread
        return prepared


class GatewayLearner(OnPolicyLearner):
    """Learns from the decisions of all gateways; nothing is what one without a task does."""

    def act(self, seen: Batch) -> npt.NDArray[np.int64]:
        """Return a choice per slot: an action drawn from the policy, or nothing."""
        nothing = seen.mask.shape[1] - 1
        deciding = np.flatnonzero(seen.mask[:, :nothing].any(axis=1))
        shown: Any = seen[deciding]
        shown.mask = shown.mask[:, :nothing]
        chosen = np.full(len(seen.mask), nothing)
        chosen[deciding] = super().act(shown)
        return chosen

    def _replay_state(self) -> dict[str, Any]:
        state: dict[str, Any] = self.replay.state()
        return state

    def _restore_replay(self, state: dict[str, Any]) -> None:
        self.replay.restore(state)


def make_learner(
    scenario: Scenario, config: IppoConfig, rows: int, budget: int, _: np.random.SeedSequence
) -> Learner:
    """Return an untrained learner (see `on_tianshou/loop.py:MakeLearner`)."""
    actor = IppoAgent.build_actor(scenario, config)
    replay = Decisions(config.decisions_per_update, rows, config.gamma, config.gae_lambda)
    learner = GatewayLearner(scenario, actor, replay, config)
    parts = actor_critic(learner.policy, scenario, config, budget)
    learner.algorithm = PPOApart(
        several=Networks(scenario, config).count > 1,
        eps_clip=config.clip,
        advantage_normalization=False,
        **parts,
    )
    learner.algorithm.centred = config.centred
    return learner
