"""TorchRL's `PettingZooWrapper` on the multi-agent game, with masks: a random episode, then PPO.

    python docs/examples/torchrl_wrapper.py      # about a minute on one core

The wrapper stacks the gateways: what is below `"gateway"` is (..., G, ...). It finds the masks in
the infos, hands them out as `("gateway", "action_mask")`, and draws random actions by them. One
policy is trained for all gateways. The wrapper warns of any PettingZoo but 1.24.3; the package's
own `mappo`, `vdn` and `qmix` do without it, on many games at once (`EdgeAIGCRows`).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from statistics import fmean
from typing import Any

import numpy as np
import torch
from tensordict import TensorDictBase
from tensordict.nn import TensorDictModule as OnDict
from torch import nn
from torchrl.collectors import Collector
from torchrl.envs.libs.pettingzoo import PettingZooWrapper
from torchrl.modules import MLP, MaskedCategorical, ProbabilisticActor
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

from edge_marl import Scenario, draw_workload, edge_aigc_v0
from edge_marl.agents import Agent, make
from edge_marl.benchmarks.run.evaluation import evaluate_gateways

FRAMES, EPOCHS, MINIBATCHES = 512, 4, 4


class Trained(Agent):
    """The most probable legal action of the policy."""

    def __init__(self, scenario: Scenario, network: nn.Module) -> None:
        super().__init__(scenario)
        self.network = network

    def reset(self, seed: int) -> None:
        """Nothing is drawn."""

    def act(self, observation: np.ndarray, info: Mapping[str, Any]) -> np.ndarray:
        """Return one action per row."""
        with torch.no_grad():
            scores = self.network(torch.as_tensor(observation)).numpy()
        # The last choice is to do nothing: no action of the mask.
        return np.where(info["action_mask"], scores[:, :-1], -np.inf).argmax(1)


class Learner:
    """A policy of all gateways and the PPO that trains it."""

    def __init__(self, size: int, choices: int) -> None:
        self.network = MLP(size, choices, num_cells=[64, 64], activation_class=nn.Tanh)
        value = MLP(size, 1, num_cells=[64, 64], activation_class=nn.Tanh)
        critic = OnDict(value, [("gateway", "observation")], [("gateway", "state_value")])
        self.policy = ProbabilisticActor(
            OnDict(self.network, [("gateway", "observation")], [("gateway", "logits")]),
            in_keys={"logits": ("gateway", "logits"), "mask": ("gateway", "action_mask")},
            out_keys=[("gateway", "action")],
            distribution_class=MaskedCategorical,
            return_log_prob=True,
            log_prob_key=("gateway", "log_prob"),
        )
        names = ("reward", "done", "terminated", "advantage", "value_target")
        keys = {name: ("gateway", name) for name in names} | {"value": ("gateway", "state_value")}
        self.advantage = GAE(gamma=0.97, lmbda=0.8, value_network=critic)
        self.advantage.set_keys(**keys)
        self.loss = ClipPPOLoss(self.policy, critic, clip_epsilon=0.2, entropy_coeff=0.01)
        chosen = {"action": ("gateway", "action"), "sample_log_prob": ("gateway", "log_prob")}
        self.loss.set_keys(**keys, **chosen)
        self.adam = torch.optim.Adam(self.loss.parameters(), lr=1e-3)

    def update(self, batch: TensorDictBase) -> None:
        """Take the gradient steps of one rollout (T,)."""
        with torch.no_grad():
            self.advantage(batch)
        advantage = batch["gateway", "advantage"]
        batch["gateway", "advantage"] = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        for _ in range(EPOCHS):
            for part in torch.randperm(len(batch)).chunk(MINIBATCHES):
                losses = self.loss(batch[part])
                loss = losses["loss_objective"] + losses["loss_critic"] + losses["loss_entropy"]
                self.adam.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self.loss.parameters(), 0.5)
                self.adam.step()


def illegal(batch: TensorDictBase) -> int:
    """Return how many choices the masks forbade."""
    mask, action = batch["gateway", "action_mask"], batch["gateway", "action"]
    return int((~mask.gather(-1, action.unsqueeze(-1))).sum())


def main() -> None:
    """Train, evaluate, print."""
    parser = argparse.ArgumentParser(description="PPO of TorchRL through its PettingZooWrapper")
    parser.add_argument("--steps", type=int, default=15_000, help="steps of the game to train on")
    parser.add_argument("--scenario", default="smoke", help="tier or scenario file")
    parser.add_argument("--slot-s", type=float, default=600.0, help="length of a slot in seconds")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)

    game = edge_aigc_v0.parallel_env(args.scenario, gateways="servers", slot_s=args.slot_s)
    env = PettingZooWrapper(game)
    env.set_seed(args.seed)
    episode = env.rollout(max_steps=10_000)
    print(f"random episode: {len(episode)} steps, {illegal(episode)} illegal choices")

    scenario = game.scenario
    learner = Learner(game.layout.size, scenario.num_actions + 1)
    collector = Collector(
        env,
        learner.policy,
        frames_per_batch=FRAMES,
        total_frames=-(-args.steps // FRAMES) * FRAMES,
        auto_register_policy_transforms=False,
    )
    taken = forbidden = 0
    for batch in collector:
        learner.update(batch)
        taken += batch.numel()
        forbidden += illegal(batch)

    print(f"trained on {taken} steps of {scenario.gateways.count} gateways")
    print(f"{forbidden} illegal choices")
    workloads = [draw_workload(scenario, k, split="validation") for k in range(8)]
    agents = {"ppo": Trained(scenario, learner.network), "random": make("random", scenario)}
    for name, agent in agents.items():
        episodes = evaluate_gateways(agent, scenario, workloads, seed=0)
        print(f"{name}: utility per task {fmean(e['utility_per_task'] for e in episodes):.4f}")


if __name__ == "__main__":
    main()
