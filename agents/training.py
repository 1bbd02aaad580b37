"""The training loop of discrete soft actor-critic on the single environment.

An episode that is truncated at its horizon is bootstrapped from its last observation, where the
networks have to extrapolate, since it shows no task; one that terminates is not bootstrapped.

The loop is our own: Tianshou's trainer looks through the whole replay buffer for NaN after every
collection, at 48,000 transitions 51 ms per 64 decisions: longer than a gradient step.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
import torch
from tianshou.algorithm.modelfree.discrete_sac import DiscreteSAC
from tianshou.data import Collector, CollectStats
from tianshou.utils.torch_utils import policy_within_training_step
from torch import nn

from edge_marl.agents.base import Progress, TrainProgress
from edge_marl.agents.discrete_sac import make_sac
from edge_marl.agents.learned import LearnerConfig
from edge_marl.agents.tianshou_env import TianshouEnv, UniformReplay, cache_compiled
from edge_marl.envs.spaces import action_space
from edge_marl.scenario import Scenario

__all__ = ["train_actor"]

RECENT_STEPS = 50
RECENT_EPISODES = 100


def train_actor(
    scenario: Scenario,
    config: LearnerConfig,
    make_actor: Callable[[], nn.Module],
    make_critic: Callable[[], nn.Module],
    budget: int,
    seed: int,
    progress: Progress,
) -> nn.Module:
    """Return an actor trained by discrete soft actor-critic.

    Args:
        scenario: the world; training plays its `train` workloads.
        config: settings.
        make_actor: makes the network (observation (B, D), mask (B, A)) -> log-probabilities (B, A).
        make_critic: makes the network (observation (B, D)) -> Q (B, A); called twice.
        budget: decisions to train on.
        seed: of everything random.
        progress: called after every collection.
    """
    cache_compiled()
    for_torch, for_envs, for_replay = np.random.SeedSequence(seed).spawn(3)
    env = TianshouEnv(scenario, min(config.num_envs, budget))
    # Networks and Tianshou's sampling draw from torch's global generator: borrowed, and given back.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_number(for_torch))
        actor = make_actor()
        algorithm = make_sac(action_space(scenario), config, actor, make_critic, budget)
        replay = UniformReplay(min(config.buffer_size, budget), env.env_num, for_replay)
        collector: Collector[CollectStats] = Collector(algorithm, env, replay)
        collector.reset(gym_reset_kwargs={"seed": _number(for_envs)})
        _learn(collector, algorithm, config, budget, progress)
    env.close()
    return actor


def _learn(
    collector: Collector[CollectStats],
    algorithm: DiscreteSAC,
    config: LearnerConfig,
    budget: int,
    progress: Progress,
) -> None:
    """Collect and update in turn until the budget is spent, as far as whole rows of it go."""
    rows, replay = collector.env_num, collector.buffer
    rewards: deque[float] = deque(maxlen=RECENT_STEPS)
    returns: deque[float] = deque(maxlen=RECENT_EPISODES)
    updates = 0
    with policy_within_training_step(algorithm.policy):
        for decisions in range(rows, budget + 1, rows):
            collected = collector.collect(n_step=rows)
            while updates < decisions // config.decisions_per_update:
                algorithm.update(buffer=replay, sample_size=config.batch_size)
                updates += 1
            rewards.append(float(np.mean(replay.rew[replay.last_index])))
            returns.extend(collected.returns.tolist())
            progress(
                TrainProgress(
                    decisions=decisions,
                    budget=budget,
                    updates=updates,
                    utility_per_task=float(np.mean(rewards)),
                    mean_return=float(np.mean(returns)) if returns else None,
                )
            )


def _number(sequence: np.random.SeedSequence) -> int:
    return int(sequence.generate_state(1)[0])
