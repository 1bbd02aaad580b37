"""Discrete soft actor-critic on Tianshou: the algorithm from its parts, and the training loop.

With double critics Q1, Q2, their slowly following targets, the policy pi and temperature alpha:

    y        = r_1 + ... + gamma^(n-1) r_n + gamma^n V(s_n)          (V is 0 after a termination)
    V(s)     = sum_a pi(a|s) min(Q1', Q2')(s, a) + alpha H(pi(.|s))
    critics  : minimise mean (Q_i(s, a) - y)^2
    actor    : minimise -mean [alpha H(pi(.|s)) + sum_a pi(a|s) min(Q1, Q2)(s, a)]
    alpha    : log alpha moves by the mean of H_target - H(pi(.|s))

(Christodoulou 2019, arXiv:1910.07207; `tianshou.algorithm.modelfree.discrete_sac`.) An episode that
is truncated at its horizon is bootstrapped from its last observation, where the networks have to
extrapolate, since it shows no task; one that terminates is not bootstrapped.

The loop is our own: Tianshou's trainer looks through the whole replay buffer for NaN after every
collection, at 48,000 transitions 51 ms per 64 decisions: longer than a gradient step.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

import numpy as np
import torch
from tianshou.algorithm.modelfree.discrete_sac import DiscreteSAC, DiscreteSACPolicy
from tianshou.algorithm.modelfree.sac import AutoAlpha
from tianshou.algorithm.optim import LRSchedulerFactoryLinear, TorchOptimizerFactory
from tianshou.data import Collector, CollectStats
from tianshou.utils.torch_utils import policy_within_training_step
from torch import nn

from edge_marl.agents.base import Progress, TrainProgress
from edge_marl.agents.learned import LearnerConfig
from edge_marl.agents.policy import OnBatch
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
        algorithm = _make_algorithm(scenario, config, actor, make_critic, budget)
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


def _make_algorithm(
    scenario: Scenario,
    config: LearnerConfig,
    actor: nn.Module,
    make_critic: Callable[[], nn.Module],
    budget: int,
) -> DiscreteSAC:
    actions = action_space(scenario)
    policy = DiscreteSACPolicy(actor=OnBatch(actor, actor=True), action_space=actions)
    alpha = AutoAlpha(
        target_entropy=config.target_entropy * math.log(int(actions.n)),
        log_alpha=config.initial_log_alpha,
        optim=_adam(config.alpha_learning_rate),
    )
    falling = LRSchedulerFactoryLinear(1, budget, config.decisions_per_update)
    adam = _adam(config.learning_rate).with_lr_scheduler_factory(falling)
    return DiscreteSAC(
        policy=policy,
        policy_optim=adam,
        critic=OnBatch(make_critic(), actor=False),
        critic_optim=adam,
        critic2=OnBatch(make_critic(), actor=False),
        critic2_optim=adam,
        tau=config.tau,
        gamma=config.gamma,
        alpha=alpha,
        n_step_return_horizon=config.n_step,
    )


def _adam(learning_rate: float) -> TorchOptimizerFactory:
    return TorchOptimizerFactory(torch.optim.Adam, lr=learning_rate, fused=True)


def _number(sequence: np.random.SeedSequence) -> int:
    return int(sequence.generate_state(1)[0])
