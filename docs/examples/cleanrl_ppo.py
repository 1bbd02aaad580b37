"""PPO in one file, in the manner of CleanRL: torch and `gym.make_vec`, no learning library.

    python docs/examples/cleanrl_ppo.py      # half a minute on one core

Three things are easy to get wrong:

* Masks: an illegal action is never taken, and the gradient knows that it could not be.
* Ends: what follows a truncated episode is worth what the critic makes of its last observation,
  what follows a terminated one is worth nothing.
* Resets: the autoreset mode says where the last observation of an episode is. `SAME_STEP` puts it
  into the infos; `NEXT_STEP` returns it, and spends the next step on the reset; `DISABLED` returns
  it, and leaves the reset to us.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from statistics import fmean
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from torch import Tensor, nn
from torch.distributions import Categorical

from edge_marl import Scenario, draw_workload, load_scenario
from edge_marl.agents import Agent, make
from edge_marl.benchmarks.run.evaluation import evaluate

NUM_ENVS, ROLLOUT = 16, 64
EPOCHS, MINIBATCHES, LEARNING_RATE = 4, 4, 1e-3
GAMMA, GAE_LAMBDA = 0.97, 0.8
CLIP, ENTROPY_BONUS, MAX_GRAD_NORM = 0.2, 0.01, 0.5


class Steps(NamedTuple):
    """One step of every environment (E, ...), or a rollout of them (T, E, ...)."""

    observation: Tensor
    mask: Tensor
    action: Tensor
    log_prob: Tensor
    reward: Tensor
    following: Tensor  # what the action led to, also where the episode ended with it
    terminated: Tensor
    ended: Tensor
    counts: Tensor  # False where the environment only reset


class ActorCritic(Agent):
    """The networks; as an agent, the most probable legal action."""

    def __init__(self, scenario: Scenario, size: int) -> None:
        super().__init__(scenario)
        choices = scenario.num_actions
        self.actor = nn.Sequential(nn.Linear(size, 64), nn.Tanh(), nn.Linear(64, choices))
        self.critic = nn.Sequential(nn.Linear(size, 64), nn.Tanh(), nn.Linear(64, 1))
        self.parameters = [*self.actor.parameters(), *self.critic.parameters()]

    def policy(self, observation: Tensor, mask: Tensor) -> Categorical:
        """Return the distribution over legal actions, (B, A)."""
        logits = self.actor(observation)
        # The smallest number and not -inf, with which entropies and their gradients are NaN.
        return Categorical(logits=logits.masked_fill(~mask, torch.finfo(logits.dtype).min))

    def value(self, observation: Tensor) -> Tensor:
        """Return what the critic makes of observations, (..., D) -> (...)."""
        return self.critic(observation).squeeze(-1)

    def reset(self, seed: int) -> None:
        """Nothing is drawn in evaluation."""

    def act(self, observation: np.ndarray, info: Mapping[str, Any]) -> np.ndarray:
        """Return one action per row."""
        with torch.no_grad():
            policy = self.policy(torch.as_tensor(observation), legal(info))
        return policy.probs.argmax(-1).numpy()


class Player:
    """Plays a batch of environments, whatever its autoreset mode."""

    def __init__(self, envs: gym.vector.VectorEnv, seed: int) -> None:
        self.envs, self.mode = envs, envs.metadata["autoreset_mode"]
        self.observation, self.info = envs.reset(seed=seed)
        self.ended = np.zeros(envs.num_envs, dtype=bool)

    @torch.no_grad()
    def step(self, network: ActorCritic) -> Steps:
        """Take a sampled action in every environment."""
        counts = ~(self.ended & (self.mode == AutoresetMode.NEXT_STEP))
        seen, mask = torch.as_tensor(self.observation), legal(self.info)
        policy = network.policy(seen, mask)
        action = policy.sample()
        following, reward, terminated, truncated, info = self.envs.step(action.numpy())
        self.observation, self.info, self.ended = following, info, terminated | truncated
        if self.ended.any() and self.mode == AutoresetMode.SAME_STEP:
            following = following.copy()
            following[self.ended] = np.stack(info["final_obs"][self.ended])
        if self.ended.any() and self.mode == AutoresetMode.DISABLED:
            self.observation, self.info = self.envs.reset(options={"reset_mask": self.ended})
        outcome = (reward.astype(np.float32), following, terminated, self.ended, counts)
        return Steps(seen, mask, action, policy.log_prob(action), *map(torch.as_tensor, outcome))


def legal(info: Mapping[str, Any]) -> Tensor:
    """Return the mask (B, A) of what the environment said."""
    return torch.as_tensor(info["action_mask"] == 1)


@torch.no_grad()
def advantages(network: ActorCritic, steps: Steps) -> tuple[Tensor, Tensor]:
    """Return generalised advantages and the critic's targets, (T, E) each."""
    value = network.value(steps.observation)
    error = steps.reward + GAMMA * network.value(steps.following) * ~steps.terminated - value
    advantage = torch.zeros_like(error)
    ahead = torch.zeros_like(error[0])
    for t in reversed(range(len(error))):
        ahead = advantage[t] = error[t] + GAMMA * GAE_LAMBDA * ~steps.ended[t] * ahead
    return advantage, advantage + value


def update(network: ActorCritic, adam: torch.optim.Optimizer, steps: Steps) -> None:
    """Take the gradient steps of one rollout."""
    advantage, target = advantages(network, steps)
    stored = (steps.observation, steps.mask, steps.action, steps.log_prob, advantage, target)
    flat = [tensor[steps.counts] for tensor in stored]
    flat[4] = (flat[4] - flat[4].mean()) / (flat[4].std() + 1e-8)
    for _ in range(EPOCHS):
        for part in torch.randperm(len(flat[0])).chunk(MINIBATCHES):
            observation, mask, action, log_prob, gain, goal = (tensor[part] for tensor in flat)
            policy = network.policy(observation, mask)
            ratio = (policy.log_prob(action) - log_prob).exp()
            actor_loss = -torch.min(ratio * gain, ratio.clamp(1 - CLIP, 1 + CLIP) * gain).mean()
            critic_loss = nn.functional.mse_loss(network.value(observation), goal)
            loss = actor_loss + 0.5 * critic_loss - ENTROPY_BONUS * policy.entropy().mean()
            adam.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters, MAX_GRAD_NORM)
            adam.step()


def make_envs(scenario: Scenario, mode: AutoresetMode) -> gym.vector.VectorEnv:
    """Return a batch: the package's own, or for NEXT_STEP, which it lacks, Gymnasium's."""
    if mode == AutoresetMode.NEXT_STEP:
        return gym.make_vec("EdgeAIGC-v0", NUM_ENVS, "sync", scenario=scenario)
    return gym.make_vec("EdgeAIGC-v0", NUM_ENVS, scenario=scenario, autoreset_mode=mode)


def main() -> None:
    """Train, evaluate, print."""
    parser = argparse.ArgumentParser(description="PPO in one file")
    parser.add_argument("--steps", type=int, default=200_000, help="decisions to train on")
    parser.add_argument("--scenario", default="smoke", help="tier or scenario file")
    parser.add_argument("--seed", type=int, default=0)
    modes = [mode.value for mode in AutoresetMode]
    parser.add_argument("--autoreset", choices=modes, default=AutoresetMode.SAME_STEP.value)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)

    scenario = load_scenario(args.scenario)
    envs = make_envs(scenario, AutoresetMode(args.autoreset))
    network = ActorCritic(scenario, envs.single_observation_space.shape[0])
    adam = torch.optim.Adam(network.parameters, lr=LEARNING_RATE)
    player = Player(envs, args.seed)
    taken = 0
    while taken < args.steps:
        played = [player.step(network) for _ in range(ROLLOUT)]
        rollout = Steps(*map(torch.stack, zip(*played, strict=True)))
        update(network, adam, rollout)
        taken += int(rollout.counts.sum())

    print(f"trained on {taken} decisions")
    workloads = [draw_workload(scenario, k, split="validation") for k in range(8)]
    for name, agent in {"ppo": network, "random": make("random", scenario)}.items():
        episodes = evaluate(agent, scenario, workloads, seed=0)
        print(f"{name}: utility per task {fmean(e['utility_per_task'] for e in episodes):.4f}")


if __name__ == "__main__":
    main()
