"""RLlib's PPO on the multi-agent game, masks honoured: one policy for all gateways.

    make rllib-example      # installs into build/rllib, then trains for a minute on one core

RLlib 2.60 asks for Gymnasium 1.2.2 and no other, hence an environment of its own. RLlib's wrapper
`ParallelPettingZooEnv` passes observations on, and not the infos: the mask has to be in them.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from statistics import fmean
from typing import Any

import numpy as np
import ray
import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module import MultiRLModuleSpec, RLModuleSpec
from ray.rllib.core.rl_module.apis import ValueFunctionAPI
from ray.rllib.core.rl_module.torch import TorchRLModule
from ray.rllib.env.wrappers.pettingzoo_env import ParallelPettingZooEnv
from ray.tune.registry import register_env
from torch import Tensor, nn

from edge_marl import Scenario, draw_workload, edge_aigc_v0
from edge_marl.agents import Agent, make
from edge_marl.benchmarks.run.evaluation import evaluate_gateways

SHARED = "gateways"  # name of the one policy


class MaskedPolicy(TorchRLModule, ValueFunctionAPI):
    """Actor and critic; what the mask forbids has probability 0."""

    def setup(self) -> None:
        """Make the networks."""
        size, choices = self.observation_space["observation"].shape[0], int(self.action_space.n)
        self.actor = nn.Sequential(nn.Linear(size, 64), nn.Tanh(), nn.Linear(64, choices))
        self.critic = nn.Sequential(nn.Linear(size, 64), nn.Tanh(), nn.Linear(64, 1))

    def _forward(self, batch: dict[str, Any], **_: Any) -> dict[str, Tensor]:
        seen = batch[Columns.OBS]
        logits = self.actor(seen["observation"])
        smallest = torch.finfo(logits.dtype).min
        return {Columns.ACTION_DIST_INPUTS: logits.masked_fill(seen["action_mask"] == 0, smallest)}

    def compute_values(self, batch: dict[str, Any], embeddings: Tensor | None = None) -> Tensor:
        """Return what the critic makes of the observations, (B,)."""
        return self.critic(batch[Columns.OBS]["observation"]).squeeze(-1)


class Trained(Agent):
    """The most probable legal action of the policy."""

    def __init__(self, scenario: Scenario, module: MaskedPolicy) -> None:
        super().__init__(scenario)
        self.network = module.actor

    def reset(self, seed: int) -> None:
        """Nothing is drawn."""

    def act(self, observation: np.ndarray, info: Mapping[str, Any]) -> np.ndarray:
        """Return one action per row."""
        with torch.no_grad():
            scores = self.network(torch.as_tensor(observation)).numpy()
        # The last choice is to do nothing: no action of the mask.
        return np.where(info["action_mask"], scores[:, :-1], -np.inf).argmax(1)


def count_illegal(*, env: Any, env_index: int, metrics_logger: Any, **_: Any) -> None:
    """Add up the choices that the masks forbade, at the end of each episode."""
    metrics = env.envs[env_index].unwrapped.par_env.metrics()
    metrics_logger.log_value("illegal", metrics["illegal_actions"], reduce="lifetime_sum")


def main() -> None:
    """Train, evaluate, print."""
    parser = argparse.ArgumentParser(description="PPO of RLlib")
    parser.add_argument("--steps", type=int, default=15_000, help="steps of the game to train on")
    parser.add_argument("--scenario", default="smoke", help="tier or scenario file")
    parser.add_argument("--slot-s", type=float, default=600.0, help="length of a slot in seconds")
    parser.add_argument("--runners", type=int, default=0, help="processes that play; 0: this one")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    ray.init(num_cpus=1 + args.runners, include_dashboard=False, log_to_driver=False)

    settings = {"scenario": args.scenario, "gateways": "servers", "slot_s": args.slot_s}
    settings["action_mask"] = "observation"
    scenario = edge_aigc_v0.parallel_env(**settings).scenario
    register_env("game", lambda _: ParallelPettingZooEnv(edge_aigc_v0.parallel_env(**settings)))
    config = (
        PPOConfig()
        .environment("game")
        .env_runners(num_env_runners=args.runners)
        .multi_agent(policies={SHARED}, policy_mapping_fn=lambda *_, **__: SHARED)
        .rl_module(
            rl_module_spec=MultiRLModuleSpec(
                rl_module_specs={SHARED: RLModuleSpec(module_class=MaskedPolicy)}
            )
        )
        .training(train_batch_size_per_learner=512, minibatch_size=384, num_epochs=4)
        .training(lr=1e-3, gamma=0.97, lambda_=0.8, entropy_coeff=0.01)
        .training(use_kl_loss=False, vf_clip_param=100.0)
        .callbacks(on_episode_end=count_illegal)
        .debugging(seed=args.seed)
    )
    algorithm = config.build_algo()
    taken = 0
    while taken < args.steps:
        result = algorithm.train()
        taken = int(result["num_env_steps_sampled_lifetime"])

    print(f"trained on {taken} steps of {scenario.gateways.count} gateways")
    sampled = result["env_runners"]
    illegal, whole = int(sampled.get("illegal", 0)), int(sampled["num_episodes_lifetime"])
    print(f"{illegal} illegal choices in {whole} whole episodes")
    workloads = [draw_workload(scenario, k, split="validation") for k in range(8)]
    trained = Trained(scenario, algorithm.get_module(SHARED))
    agents = {"ppo": trained, "random": make("random", scenario)}
    for name, agent in agents.items():
        episodes = evaluate_gateways(agent, scenario, workloads, seed=0)
        print(f"{name}: utility per task {fmean(e['utility_per_task'] for e in episodes):.4f}")
    algorithm.stop()
    ray.shutdown()


if __name__ == "__main__":
    main()
