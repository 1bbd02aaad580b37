"""Stable-Baselines3's PPO on the multi-agent game through SuperSuit: one policy for all gateways.

    python docs/examples/supersuit_sb3.py      # half a minute on one core

SuperSuit makes every gateway a row of a vector environment, so PPO learns one policy from all of
them. PPO knows no masks: in training a choice that the mask forbids is made, and counts as nothing.
The policy that is evaluated chooses among what is legal.

What to know of SuperSuit 3.11 with Stable-Baselines3 2.9:

* `PPO(seed=...)` fails: "'ConcatVecEnv' object has no attribute 'seed'". `set_random_seed` seeds
  the learner, `reset` on what SuperSuit wraps seeds the environments.
* A truncated episode is reported as a terminated one, and what follows it as worth nothing, unless
  the infos say otherwise: `TellTruncation`.
* The mask has to stay in the infos: observations that are dicts do not pass.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from statistics import fmean
from typing import Any

import numpy as np
import supersuit
import torch
from pettingzoo.utils import BaseParallelWrapper
from stable_baselines3 import PPO
from stable_baselines3.common.utils import set_random_seed

from edge_marl import Scenario, draw_workload, edge_aigc_v0
from edge_marl.agents import Agent, make
from edge_marl.benchmarks.run.evaluation import evaluate_gateways

COPIES = 4


class TellTruncation(BaseParallelWrapper):
    """Tells in the infos whether an episode was truncated, where Stable-Baselines3 looks for it."""

    def step(self, actions: dict[str, int]) -> tuple[dict[str, Any], ...]:
        """Take one step."""
        observations, rewards, terminations, truncations, infos = super().step(actions)
        for agent, info in infos.items():
            info["TimeLimit.truncated"] = truncations[agent]
        return observations, rewards, terminations, truncations, infos


class Trained(Agent):
    """The most probable legal action of the policy."""

    deterministic = True  # so one agent decides for all gateways

    def __init__(self, scenario: Scenario, model: PPO) -> None:
        super().__init__(scenario)
        self.policy = model.policy

    def reset(self, seed: int) -> None:
        """Nothing is drawn."""

    def act(self, observation: np.ndarray, info: Mapping[str, Any]) -> np.ndarray:
        """Return one action per row."""
        with torch.no_grad():
            policy = self.policy.get_distribution(torch.as_tensor(observation)).distribution
        # The last choice is to do nothing: no action of the mask.
        return np.where(info["action_mask"], policy.probs[:, :-1].numpy(), -1.0).argmax(1)


def main() -> None:
    """Train, evaluate, print."""
    parser = argparse.ArgumentParser(description="PPO of Stable-Baselines3 through SuperSuit")
    parser.add_argument("--steps", type=int, default=100_000, help="steps, summed over gateways")
    parser.add_argument("--scenario", default="smoke", help="tier or scenario file")
    parser.add_argument("--slot-s", type=float, default=600.0, help="length of a slot in seconds")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    set_random_seed(args.seed)
    torch.set_num_threads(1)

    game = edge_aigc_v0.parallel_env(args.scenario, gateways="servers", slot_s=args.slot_s)
    rows = supersuit.pettingzoo_env_to_vec_env_v1(TellTruncation(game))
    envs = supersuit.concat_vec_envs_v1(rows, COPIES, base_class="stable_baselines3")
    envs.venv.reset(seed=args.seed)
    learning = {"learning_rate": 1e-3, "n_steps": 128, "batch_size": 256, "n_epochs": 4}
    horizon = {"gamma": 0.97, "gae_lambda": 0.8, "ent_coef": 0.01}
    model = PPO("MlpPolicy", envs, device="cpu", **learning, **horizon)
    model.learn(args.steps)

    scenario = game.scenario
    print(
        f"trained on {model.num_timesteps} steps, each of one of {scenario.gateways.count} gateways"
    )
    workloads = [draw_workload(scenario, k, split="validation") for k in range(8)]
    agents = {"ppo": Trained(scenario, model), "random": make("random", scenario)}
    for name, agent in agents.items():
        episodes = evaluate_gateways(agent, scenario, workloads, seed=0)
        print(f"{name}: utility per task {fmean(e['utility_per_task'] for e in episodes):.4f}")


if __name__ == "__main__":
    main()
