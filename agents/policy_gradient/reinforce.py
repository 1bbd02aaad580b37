"""`reinforce`: Tianshou's Monte-Carlo policy gradient with a masked perceptron.

    maximise  mean [log pi(a_t|s_t) (G_t - mean G) / std G + c H(pi(.|s_t))],
    G_t = r_t + gamma r_{t+1} + ...

over the decisions of one update. Returns end with what was collected for the update: an episode
of some 1,500 decisions is not waited for. The last decisions of each row so miss part of theirs;
at the default discount of 0.5 what is missing after ten decisions is a thousandth.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from tianshou.algorithm.modelfree.reinforce import LossSequenceTrainingStats, Reinforce
from tianshou.data import SequenceSummaryStats

from edge_marl.agents.on_tianshou.optimisers import adam_of
from edge_marl.agents.policy_gradient.agents import ReinforceAgent
from edge_marl.agents.policy_gradient.settings import ReinforceConfig
from edge_marl.agents.policy_gradient.shared import OnPolicyLearner, rollout_of
from edge_marl.scenario import Scenario

__all__ = ["StandardisedReinforce", "make_learner"]


class StandardisedReinforce(Reinforce):
    """REINFORCE whose returns are standardised over each update's decisions, with an entropy term.

    Tianshou's own way takes running figures over the whole training, of which the early ones are
    those of another policy. The entropy in what is maximised is Williams and Peng's (1991,
    Connection Science 3, pages 241 to 268): without it the policy soon is a few actions for good.
    """

    def __init__(self, *, entropy: float, **parts: Any) -> None:
        super().__init__(**parts)
        self._entropy = entropy

    def _preprocess_batch(self, batch: Any, buffer: Any, indices: Any) -> Any:
        prepared: Any = super()._preprocess_batch(batch, buffer, indices)
        spread = prepared.returns.std() + 1e-8
        prepared.returns = (prepared.returns - prepared.returns.mean()) / spread
        return prepared

    def _update_with_batch(self, batch: Any, batch_size: int | None, repeat: int) -> Any:
        losses = []
        for _ in range(repeat):
            for part in batch.split(batch_size or -1, merge_last=True):
                dist = self.policy(part).dist
                returns = torch.as_tensor(part.returns, dtype=torch.float32)
                gain = dist.log_prob(torch.as_tensor(part.act)) * returns
                loss = -(gain + self._entropy * dist.entropy()).mean()
                self.optim.step(loss)
                losses.append(loss.item())
        return LossSequenceTrainingStats(loss=SequenceSummaryStats.from_sequence(losses))


def make_learner(
    scenario: Scenario, config: ReinforceConfig, rows: int, budget: int, _: np.random.SeedSequence
) -> OnPolicyLearner:
    """Return an untrained learner (see `on_tianshou/loop.py:MakeLearner`)."""
    actor = ReinforceAgent.build_actor(scenario, config)
    learner = OnPolicyLearner(scenario, actor, rollout_of(config, rows), config)
    learner.algorithm = StandardisedReinforce(
        policy=learner.policy,
        optim=adam_of(config, budget),
        gamma=config.gamma,
        entropy=config.entropy,
    )
    return learner
