"""The training loop of parameter-shared independent learners, on every gateway's own transitions.

Independent learning takes the other gateways as part of the environment. What one gateway goes
through is a decision process of its own, and here *every step* of the environment is a step of it,
also those in which the gateway has no task and can only do nothing. The other way, to go from one
own decision straight to the next with the rewards between summed, would come to the same returns,
but its discount would have to depend on how many steps were passed over. With every step kept,

* the discount is per step, the same for all gateways, and on the event clock that of the single
  environment, whose return is the sum over gateways of theirs;
* rewards are the team's: what others' crashes and one's own cost later reaches back through the
  steps without a task, whose value is learnt like any other: there it is V, as only one action is;
* those steps cannot move the policy: an only action has probability 1 whatever the network says.

`hold` is switched off in training: the agents never keep a task back, as on the single environment
they could not, and for such agents the game is the same with it and without.

The loop is our own for the reason that `training.py` gives.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from tianshou.algorithm.algorithm_base import Algorithm, OffPolicyAlgorithm
from tianshou.data import Collector, CollectStats, VectorReplayBuffer
from tianshou.utils.torch_utils import policy_within_training_step

from edge_marl.agents.base import Progress, TrainProgress
from edge_marl.agents.independent import IndependentConfig
from edge_marl.agents.learned import LearnerConfig
from edge_marl.agents.tianshou_env import cache_compiled
from edge_marl.agents.tianshou_rows import TianshouRows
from edge_marl.scenario import Scenario

__all__ = ["Learner", "ReplayLearner", "replay_size", "train_independently"]

Config = IndependentConfig | LearnerConfig

RECENT_STEPS = 50
RECENT_EPISODES = 100


class Learner(ABC):
    """An algorithm of Tianshou's, with what the loop has to know of it."""

    algorithm: Algorithm[Any, Any]
    replay: VectorReplayBuffer

    @abstractmethod
    def explore(self, spent: float) -> None:
        """Set how much is explored, now that a share `spent` of the budget is."""

    @abstractmethod
    def update(self, times: int) -> int:
        """Learn from the replay buffer, `times` updates being due; return the gradient steps."""


class ReplayLearner(Learner):
    """A learner that takes each gradient step on transitions drawn from the replay buffer.

    Args:
        batch_size: how many.
    """

    algorithm: OffPolicyAlgorithm[Any]

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size

    def update(self, times: int) -> int:
        """Take gradient steps."""
        for _ in range(times):
            self.algorithm.update(buffer=self.replay, sample_size=self._batch_size)
        return times


def replay_size(env: TianshouRows, most: int, budget: int) -> int:
    """Return how many transitions a replay buffer needs room for, `most` or fewer.

    At least one gateway of each environment decides in a step, so it is never more than the
    budget's decisions times the number of gateways.
    """
    return max(env.env_num, min(most, budget * env.rows.num_gateways))


def train_independently(
    scenario: Scenario,
    config: Config,
    make_learner: Callable[[TianshouRows, np.random.SeedSequence], Learner],
    budget: int,
    seed: int,
    progress: Progress,
) -> None:
    """Train a learner on `budget` decisions, or fewer where one more step could exceed it.

    Args:
        scenario: the world, its gateways and clock; training plays its `train` workloads.
        config: settings.
        make_learner: makes the learner for an environment, with a seed for its replay.
        budget: decisions to train on, those of all gateways together.
        seed: of everything random.
        progress: called after every step.
    """
    cache_compiled()
    clock = scenario.clock
    scenario = scenario.with_clock(clock.slot_s, hold=False)
    deciding_at_once = scenario.gateways.count if clock.slot_s > 0 else 1
    num_envs = max(1, min(config.num_envs, budget // deciding_at_once))
    seeds = np.random.SeedSequence(seed).spawn(4)
    env = TianshouRows(scenario, num_envs)
    with _borrowed_randomness(seeds[0], seeds[1]):
        learner = make_learner(env, seeds[2])
        collector: Collector[CollectStats] = Collector(
            learner.algorithm, env, learner.replay, exploration_noise=True
        )
        collector.reset(gym_reset_kwargs={"seed": _number(seeds[3])})
        _learn(collector, learner, config, budget, num_envs * deciding_at_once, progress)
    env.close()


def _learn(
    collector: Collector[CollectStats],
    learner: Learner,
    config: Config,
    budget: int,
    most_per_step: int,
    progress: Progress,
) -> None:
    replay, gateways = learner.replay, collector.env.rows.num_gateways
    recent: deque[tuple[float, int]] = deque(maxlen=RECENT_STEPS)
    returns: deque[float] = deque(maxlen=RECENT_EPISODES)
    decisions = due = updates = 0
    with policy_within_training_step(learner.algorithm.policy):
        while decisions + most_per_step <= budget:
            learner.explore(decisions / budget)
            collected = collector.collect(n_step=collector.env_num)
            last = replay.last_index
            deciding = int((~replay.obs.mask[last, -1]).sum())
            recent.append((float(replay.rew[last].sum()), deciding))
            returns.extend((gateways * collected.returns).tolist())
            decisions += deciding
            if (times := decisions // config.decisions_per_update - due) > 0:
                updates += learner.update(times)
                due += times
            paid, taken = map(sum, zip(*recent, strict=True))
            progress(
                TrainProgress(
                    decisions=decisions,
                    budget=budget,
                    updates=updates,
                    utility_per_task=paid / taken,
                    mean_return=float(np.mean(returns)) if returns else None,
                )
            )


@contextmanager
def _borrowed_randomness(
    for_torch: np.random.SeedSequence, for_numpy: np.random.SeedSequence
) -> Iterator[None]:
    """Seed the global generators that Tianshou draws from, and give them back as they were."""
    before = np.random.get_state()  # noqa: NPY002  Tianshou knows no other
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_number(for_torch))
            np.random.seed(_number(for_numpy))  # noqa: NPY002
            yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def _number(sequence: np.random.SeedSequence) -> int:
    return int(sequence.generate_state(1)[0])
