"""sb3-contrib's MaskablePPO on `EdgeAIGC-v0`, with its mask or with one of your own.

    python docs/examples/maskable_ppo.py             # about a minute on one core
    python docs/examples/maskable_ppo.py --room      # only servers that have room for the task

MaskablePPO asks an environment for `action_masks()`; the environment says it in the infos. Its mask
holds what is possible at all, in the released tiers every action: whether a task fits is for the
agent to judge. `--room` takes that from the agent, with a mask made of what is observed.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from statistics import fmean
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from sb3_contrib import MaskablePPO
from stable_baselines3.common.env_util import make_vec_env

from edge_marl import ObservationLayout, Scenario, draw_workload, load_scenario
from edge_marl.agents import Agent, make
from edge_marl.benchmarks.run.evaluation import evaluate


class Masks:
    """Which actions MaskablePPO may take."""

    def __init__(self, scenario: Scenario, room: bool) -> None:
        self.layout, self.room = ObservationLayout(scenario), room

    def __call__(self, observation: np.ndarray, info: Mapping[str, Any]) -> np.ndarray:
        """Return masks (..., A) for observations (..., D)."""
        legal = info["action_mask"] == 1
        if not self.room:
            return legal
        seen = self.layout.decode(observation)
        fits = np.repeat(seen.free >= seen.demand[..., None], self.layout.num_services, axis=-1)
        # Where no server has room, one has to be chosen all the same.
        return np.where((legal & fits).any(-1, keepdims=True), legal & fits, legal)


class Masked(gym.Wrapper):
    """Keeps what was observed last, to have the mask when it is asked for."""

    def __init__(self, env: gym.Env, masks: Masks) -> None:
        super().__init__(env)
        self.masks = masks

    def reset(self, **options: Any) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode."""
        self.seen = self.env.reset(**options)
        return self.seen

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Take one decision."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self.seen = observation, info
        return observation, reward, terminated, truncated, info

    def action_masks(self) -> np.ndarray:
        """Return the mask (A,) of the last observation."""
        return self.masks(*self.seen)


class Trained(Agent):
    """The most probable action that the mask allows."""

    def __init__(self, scenario: Scenario, model: MaskablePPO, masks: Masks) -> None:
        super().__init__(scenario)
        self.model, self.masks = model, masks

    def reset(self, seed: int) -> None:
        """Nothing is drawn."""

    def act(self, observation: np.ndarray, info: Mapping[str, Any]) -> np.ndarray:
        """Return one action per row."""
        masks = self.masks(observation, info)
        return self.model.predict(observation, action_masks=masks, deterministic=True)[0]


def main() -> None:
    """Train, evaluate, print."""
    parser = argparse.ArgumentParser(description="MaskablePPO of sb3-contrib")
    parser.add_argument("--steps", type=int, default=150_000, help="decisions to train on")
    parser.add_argument("--scenario", default="smoke", help="tier or scenario file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--room", action="store_true", help="forbid servers without room")
    args = parser.parse_args()
    torch.set_num_threads(1)

    scenario = load_scenario(args.scenario)
    masks = Masks(scenario, args.room)
    envs = make_vec_env(
        lambda: Masked(gym.make("EdgeAIGC-v0", scenario=scenario), masks), n_envs=8, seed=args.seed
    )
    learning = {"learning_rate": 1e-3, "n_steps": 128, "batch_size": 256, "n_epochs": 4}
    horizon = {"gamma": 0.97, "gae_lambda": 0.8, "ent_coef": 0.01}
    model = MaskablePPO("MlpPolicy", envs, seed=args.seed, device="cpu", **learning, **horizon)
    model.learn(args.steps)

    print(f"trained on {model.num_timesteps} decisions")
    workloads = [draw_workload(scenario, k, split="validation") for k in range(8)]
    agents = {"ppo": Trained(scenario, model, masks), "random": make("random", scenario)}
    for name, agent in agents.items():
        episodes = evaluate(agent, scenario, workloads, seed=0)
        utility, crashes = (
            fmean(metrics[name] for metrics in episodes)
            for name in ("utility_per_task", "server_crash_rate")
        )
        print(f"{name}: utility per task {utility:.4f}, server crashes per task {crashes:.4f}")


if __name__ == "__main__":
    main()
