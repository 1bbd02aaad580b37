"""`outcome`: takes the place where a task's own outcome is best, which it learns by regression.

A decision is seen as one of a contextual bandit: in context x (what the gateway sees) action a
brings the outcome y, of which `credit.py` says what it is, and

    q(x, a) = u(x, a) + f(features of (x, a)),      minimise  E (q(x, a) - y)^2

over decisions that the policy itself has just taken, with f a small perceptron over legal (server,
service[, level]) pairs, the same for all pairs (`networks/pairs.py`), and u what the heuristics
take a place to be worth, where they do (0 in the base model). As f is 0 at first, training starts
from the `soft-prophet`. Mean squared error has its least value at q(x, a) = E[y | x, a], and where
actions are drawn from what is observed that is the effect of the choice: nothing unseen has a part
in it (direct method: Dudik, Langford and Li, "Doubly robust policy evaluation and learning", ICML
2011). Actions are drawn by exp(q / T) (Luce 1959), T falling; the outcome depends on what the
others do meanwhile, who learn too, so that only the last decisions are kept.

There is no discount, no bootstrapping and no critic: the outcome is not a guess of the future but
what the log says, as soon as the task has run. That is why it learns fast, and what it cannot
learn: **what a decision costs the tasks after it, short of a crash, is not in the outcome.** A slot
in a line, capacity that the next task would have needed, a model thrown out of memory, a heap of
others that a server runs slower with: all free of charge. Where that decides, as in the lines of
`campus@2`, learners of returns (`ppo`) are better, and so may be heuristics with a price for
capacity (`max-weight`, `bid-price`). And it can err the other way: the cloud never crashes and
harms nobody, and is judged by its price alone.

So a heuristic's price may be joined to it (`prior`): with c(x, a) what the heuristic takes off a
pair's value for the tasks after it, such as a price of capacity from the duals of the bound,
actions are drawn by exp((q(x, a) - c(x, a)) / T), and u is what it takes the value to be. What is
learnt is then what a heuristic cannot know: how often a place fails, and whom that costs what.

In the game each gateway's decisions are samples of their own, of one network or of several
(`sharing`). What others of its slot do is part of the noise, so that it learns what meeting them
costs; that is paid by who is last, and each is last as often.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tianshou.algorithm.algorithm_base import OffPolicyAlgorithm, TrainingStats
from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
from tianshou.data import Batch

from edge_marl.agents.networks.places import legal_first
from edge_marl.agents.on_tianshou.learner import Environments, Learner
from edge_marl.agents.on_tianshou.optimisers import adam, falling
from edge_marl.agents.outcome.agents import OutcomeActor, OutcomeAgent
from edge_marl.agents.outcome.replay import OutcomeReplay
from edge_marl.agents.outcome.settings import OutcomeConfig
from edge_marl.envs.spaces import action_space
from edge_marl.scenario import Scenario

__all__ = ["OutcomeLearner", "make_learner"]


class OutcomeRegression(OffPolicyAlgorithm[Any]):
    """Least squares of outcomes, on decisions that the replay draws.

    Args:
        policy: holds the network, for Tianshou; it is not asked to act.
        actor: the network.
        optim: makes its optimiser.
    """

    def __init__(self, policy: Any, actor: OutcomeActor, optim: Any) -> None:
        super().__init__(policy=policy)
        self._actor = [actor]  # in a list: it is a part of the policy already
        self.optim = self._create_optimizer(actor, optim)

    def _update_with_batch(self, batch: Any) -> TrainingStats:
        which = [torch.as_tensor(batch.which)] if self._actor[0].told else []
        found = self._actor[0].outcomes(torch.as_tensor(batch.features), *which)
        self.optim.step((found - torch.as_tensor(batch.outcome)).square().mean())
        return TrainingStats()


class OutcomeLearner(Learner):
    """Draws actions by their expected outcomes, and regresses what came of them.

    Args:
        scenario: the world.
        config: settings.
        budget: decisions to train on.
        for_replay: seed of the replay's draws.
    """

    actor: OutcomeActor
    replay: Any

    def __init__(
        self,
        scenario: Scenario,
        config: OutcomeConfig,
        budget: int,
        for_replay: np.random.SeedSequence,
    ) -> None:
        self.actor = OutcomeAgent.build_actor(scenario, config)
        self._config, self._nothing = config, scenario.num_actions
        policy = DiscreteQLearningPolicy(model=self.actor, action_space=action_space(scenario))
        optim = falling(adam(config.learning_rate), budget, config.decisions_per_update)
        self.algorithm = OutcomeRegression(policy, self.actor, optim)
        size = min(config.buffer_size, budget)
        self.replay = OutcomeReplay(size, self.actor.size, for_replay)
        self.explore(0.0)

    def attach(self, env: Environments) -> None:
        """Take the environments whose logs say what became of tasks."""
        self._env = env
        self.replay.attach(env)

    def explore(self, spent: float) -> None:
        """Lower the temperature."""
        start, end = self._config.temperature_start, self._config.temperature_end
        self._temperature = start + (end - start) * spent

    def act(self, seen: Batch) -> npt.NDArray[np.int64]:
        """Return an action per row, drawn by exp(score / T); nothing where there is no task."""
        mask = torch.as_tensor(seen.mask)[:, : self._nothing]
        rows = mask.any(dim=1).nonzero().squeeze(1)
        mask, observation = mask[rows], torch.as_tensor(seen.obs)[rows]
        told = "which" in seen
        which = [torch.as_tensor(seen.which)[rows]] if told else []
        with torch.no_grad():
            action = legal_first(mask)
            features = self.actor.see(observation, mask, action, *which)
            scores = self.actor.scores(features, *which)
            scores = scores.masked_fill(~mask.gather(1, action), torch.finfo(torch.float32).min)
            least = torch.finfo(scores.dtype).tiny
            noise = torch.empty_like(scores).exponential_().clamp_min_(least).log_()
            drawn = (scores / self._temperature - noise).argmax(dim=1)
        at = torch.arange(len(rows))
        chosen = np.full(len(seen.mask), self._nothing)
        chosen[rows] = action[at, drawn]
        self.kept = Batch(
            features=features[at, drawn].numpy(),
            which=which[0].numpy() if told else np.zeros(len(rows), dtype=np.int64),
            row=rows.numpy() // (self._env.env_num // self._env.num_envs),
            task=self._env.tasks[rows],
        )
        return chosen

    def update(self, times: int) -> int:
        """Take gradient steps on what is known by now: none before anything is."""
        if not self.replay.look_up():
            return 0
        algorithm: Any = self.algorithm
        for _ in range(times):
            algorithm.update(buffer=self.replay, sample_size=self._config.batch_size)
        return times

    def _replay_state(self) -> dict[str, Any]:
        state: dict[str, Any] = self.replay.state()
        return state

    def _restore_replay(self, state: dict[str, Any]) -> None:
        self.replay.restore(state)


def make_learner(
    scenario: Scenario,
    config: OutcomeConfig,
    rows: int,
    budget: int,
    for_replay: np.random.SeedSequence,
) -> OutcomeLearner:
    """Return an untrained learner (see `on_tianshou/loop.py:MakeLearner`)."""
    return OutcomeLearner(scenario, config, budget, for_replay)
