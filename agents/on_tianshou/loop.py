"""The one training loop of all algorithms of Tianshou's, on the single environment or the game.

A step of the loop is a step of every row of the environments: all rows act, the transitions go into
the replay buffer, and the updates that are due by then are taken. In the game of gateways each
gateway of each environment is a row, and *every* step is a step of it, also those in which it has
no task and can only do nothing. The other way, to go from one own decision straight to the next
with the rewards between summed, would come to the same returns, but its discount would have to
depend on how many steps were passed over. With every step kept,

* the discount is per step, the same for all gateways, and on the event clock that of the single
  environment, whose return is the sum over gateways of theirs;
* rewards are the team's: what others' crashes and one's own cost later reaches back through the
  steps without a task, whose value is learnt like any other: there it is V, as only one action is;
* those steps cannot move the policy: an only action has probability 1 whatever the network says.

An episode that is truncated at its horizon is bootstrapped from its last observation, where the
networks have to extrapolate, since it shows no task; one that terminates is not bootstrapped.

The loop is our own. Tianshou's trainer looks through the whole replay buffer for NaN after every
collection, at 48,000 transitions 51 ms per 64 decisions: longer than a gradient step; and neither
it nor its collector can be stopped and go on with the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from tianshou.data import Batch
from tianshou.utils.torch_utils import policy_within_training_step
from torch import nn

from edge_marl.agents.base import Agent, Training, TrainProgress
from edge_marl.agents.networks.sharing import Networks
from edge_marl.agents.on_tianshou.env import TianshouEnv, cache_compiled
from edge_marl.agents.on_tianshou.learner import Environments, Learner
from edge_marl.agents.on_tianshou.malloc import keep_freed_memory
from edge_marl.agents.on_tianshou.rows import TianshouRows
from edge_marl.agents.training.meter import Meter
from edge_marl.agents.training.randomness import Randomness, number
from edge_marl.agents.training.settings import TianshouConfig
from edge_marl.scenario import Api, Scenario

__all__ = ["MakeLearner", "TianshouTraining"]

MakeLearner = Callable[[Scenario, Any, int, int, np.random.SeedSequence], Learner]
"""Makes an untrained learner from scenario, settings, number of rows, budget and a seed for its
replay buffer; weights are drawn from torch's global generator."""


def make_envs(api: Api, scenario: Scenario, config: TianshouConfig, budget: int) -> Environments:
    """Return environments for a training; fewer than the settings say where the budget is small.

    In the game of gateways `hold` is switched off: the agents never keep a task back, as on the
    single environment they could not, and for such agents the game is the same with it and without.
    """
    if api == "single":
        frames = getattr(config, "frames", 1)
        told = Networks(scenario, config).told
        return TianshouEnv(scenario, min(config.num_envs, budget), frames, told=told)
    clock = scenario.clock
    deciding_at_once = scenario.gateways.count if clock.slot_s > 0 else 1
    num_envs = max(1, min(config.num_envs, budget // deciding_at_once))
    networks = Networks(scenario, config)
    game = scenario.with_clock(clock.slot_s, hold=False)
    return TianshouRows(game, num_envs, networks, getattr(config, "reward", "team"))


class TianshouTraining(Training):
    """A training that is under way.

    Args:
        api: what it trains on.
        scenario: the world; training plays its `train` workloads.
        config: settings.
        make_learner: makes the learner.
        trained: makes the agent from scenario, settings and the learner's actor, which it copies.
        budget: decisions to train on, or fewer where one more step could exceed it.
        seed: of everything random.
    """

    learner: Learner
    """The algorithm and its replay buffer, as they are now."""

    def __init__(
        self,
        api: Api,
        scenario: Scenario,
        config: TianshouConfig,
        make_learner: MakeLearner,
        trained: Callable[[Scenario, Any, nn.Module], Agent],
        budget: int,
        seed: int,
    ) -> None:
        cache_compiled()
        keep_freed_memory()
        for_torch, for_numpy, for_replay, for_envs = np.random.SeedSequence(seed).spawn(4)
        self.budget = budget
        self._env = env = make_envs(api, scenario, config, budget)
        self._trained = partial(trained, scenario, config)
        self._decisions_per_update = config.decisions_per_update
        # Borrowed from torch and NumPy: networks and Tianshou draw from their global generators.
        self._random = Randomness(number(for_torch), number(for_numpy))
        with self._random.borrowed():
            self.learner = make_learner(scenario, config, env.env_num, budget, for_replay)
        self.learner.attach(env)
        self._seen, _ = env.reset(seed=number(for_envs))
        self._due = self._updates = 0
        self._meter = Meter(env.num_envs)

    @property
    def done(self) -> bool:
        """Whether the next step could exceed the budget."""
        return self.decisions + self._env.most_decisions > self.budget

    def advance(self) -> TrainProgress:
        """Take one step in all rows, and the updates that are due then."""
        with self._random.borrowed(), policy_within_training_step(self.learner.algorithm.policy):
            self.learner.explore(self.decisions / self.budget)
            self._collect()
            if (times := self.decisions // self._decisions_per_update - self._due) > 0:
                self._updates += self.learner.update(times)
                self._due += times
        return self._meter.progress(self.decisions, self.budget, self._updates)

    def _collect(self) -> None:
        """Act in every row, keep the transitions, and start new episodes where one ended."""
        env, seen = self._env, self._seen
        action = self.learner.act(seen)
        after, reward, terminated, truncated, _ = env.step(action)
        over = terminated | truncated
        step: Any = Batch(
            obs=seen,
            act=action,
            rew=reward,
            terminated=terminated,
            truncated=truncated,
            obs_next=after,
            info=Batch(),
        )
        if self.learner.kept is not None:
            step.policy = self.learner.kept
        self.learner.replay.add(step)
        deciding = env.deciding(seen)
        self.decisions += deciding
        self._meter.count(reward, deciding, over.reshape(env.num_envs, -1)[:, 0])
        self._seen = after
        if over.any():
            self._seen = Batch({name: part.copy() for name, part in after.items()})
            self._seen[over], _ = env.reset(np.flatnonzero(over))

    def agent(self) -> Agent:
        """Return the agent as it is now."""
        return self._trained(self.learner.actor)

    def state(self) -> dict[str, Any]:
        """Return all that the rest of the training depends on."""
        return {
            "counts": [self.decisions, self._due, self._updates],
            **self._meter.state(),
            "random": self._random.state,
            "env": self._env.save_state(),
            "learner": self.learner.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state of a training with the same arguments."""
        self.decisions, self._due, self._updates = state["counts"]
        self._meter.restore(state)
        self._random.state = state["random"]
        self._seen = self._env.restore_state(state["env"])
        self.learner.restore(state["learner"])
