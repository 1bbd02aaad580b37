"""A constrained learner and a multi-objective one, on costs and on rewards in parts.

    python docs/examples/costs_and_vectors.py                 # some ten seconds on one core
    python docs/examples/costs_and_vectors.py --limit 0.12

`constrained` maximises what is granted, subject to at most `--limit` tasks lost per decision: the
loss has a price (a Lagrange multiplier) that rises while the limit is broken and falls while it is
kept. `weight_0` and `weight_1` maximise a weighted sum of the reward's parts, in which crashes
count nothing, and as they do. All are the same policy gradient, which looks no further than the
step: a crash loses its tasks at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from edge_marl import REWARD_PARTS, Scenario, draw_workload, load_scenario
from edge_marl.agents import Agent, make
from edge_marl.benchmarks.run.evaluation import evaluate

ROWS, STEPS = 64, 16
PRICE_STEP = 1.0
"""How fast the price of the constraint follows how much it is broken, per update."""

Tensor = torch.Tensor
Objective = Callable[[Tensor, Tensor], Tensor]
"""Parts of rewards (n, 5) and costs (n,) to what is maximised (n,)."""


class Policy(torch.nn.Module):
    """A categorical distribution over the legal actions."""

    def __init__(self, observed: int, actions: int) -> None:
        super().__init__()
        self.logits = torch.nn.Sequential(
            torch.nn.Linear(observed, 64), torch.nn.Tanh(), torch.nn.Linear(64, actions)
        )

    def forward(self, seen: Tensor, legal: Tensor) -> torch.distributions.Categorical:
        """Return the distribution of each row."""
        logits = self.logits(seen).masked_fill(legal == 0, -1e9)
        return torch.distributions.Categorical(logits=logits)


class Trained(Agent):
    """The most probable legal action."""

    deterministic = True

    def __init__(self, scenario: Scenario, policy: Policy) -> None:
        super().__init__(scenario)
        self.policy = policy

    def reset(self, seed: int) -> None:
        """Nothing is remembered and nothing is drawn."""

    def act(self, observation: np.ndarray, info: Mapping[str, Any]) -> np.ndarray:
        """Return one action per row."""
        with torch.no_grad():
            seen, legal = map(torch.from_numpy, (observation, info["action_mask"]))
            return self.policy(seen, legal).probs.argmax(-1).numpy()


def learn(scenario: Scenario, steps: int, seed: int, objective: Objective) -> Policy:
    """Return a policy that was trained on so many decisions."""
    torch.manual_seed(seed)
    envs = gym.make_vec(
        "EdgeAIGC-v0", num_envs=ROWS, scenario=scenario, reward="vector", cost="lost"
    )
    observed, actions = envs.single_observation_space.shape[0], scenario.num_actions
    policy = Policy(observed, actions)
    optimiser = torch.optim.Adam(policy.parameters(), lr=0.01)
    seen, infos = envs.reset(seed=seed)
    for _ in range(-(-steps // (ROWS * STEPS))):
        taken, parts, costs = [], [], []
        for _ in range(STEPS):
            chances = policy(torch.from_numpy(seen), torch.from_numpy(infos["action_mask"]))
            action = chances.sample()
            taken.append((chances.log_prob(action), chances.entropy()))
            seen, reward, _, _, infos = envs.step(action.numpy())
            parts.append(torch.from_numpy(reward))
            costs.append(torch.from_numpy(infos["cost"]))
        worth = objective(torch.cat(parts), torch.cat(costs)).float()
        log_prob, entropy = (torch.cat(each) for each in zip(*taken, strict=True))
        advantage = (worth - worth.mean()) / (worth.std() + 1e-8)
        loss = -(log_prob * advantage).mean() - 0.01 * entropy.mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return policy


class Constrained:
    """What is granted, less the price of what was lost; the price follows the limit."""

    def __init__(self, limit: float) -> None:
        self.limit, self.price = limit, 0.0

    def __call__(self, parts: Tensor, costs: Tensor) -> Tensor:
        """Return what is maximised now."""
        self.price = max(0.0, self.price + PRICE_STEP * (float(costs.mean()) - self.limit))
        return parts[:, 0] - self.price * costs


def weighted(**weights: float) -> Objective:
    """Return a weighted sum of the parts: each counts once, if no weight is given."""
    vector = torch.tensor([weights.get(name, 1.0) for name in REWARD_PARTS], dtype=torch.float64)
    return lambda parts, costs: parts @ vector


def tell(name: str, agent: Agent, scenario: Scenario, note: str = "") -> None:
    """Print what an agent gets on validation workloads."""
    workloads = [draw_workload(scenario, k, split="validation") for k in range(8)]
    metrics = evaluate(agent, scenario, workloads, seed=0)
    told = {
        "utility per task": "utility_per_task",
        "lost per decision": "lost_fraction",
        "crashes per decision": "server_crash_rate",
    }
    figures = [f"{what} {fmean(one[m] for one in metrics):.4f}" for what, m in told.items()]
    print(f"{name}: {', '.join(figures)}{note}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train all of them and compare them with random dispatch."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--scenario", default="smoke")
    parser.add_argument("--steps", type=int, default=60_000, help="decisions to train each on")
    parser.add_argument("--limit", type=float, default=0.16, help="tasks lost per decision")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    scenario = load_scenario(given.scenario)
    torch.set_num_threads(1)
    tell("random", make("random", scenario), scenario)
    constrained = Constrained(given.limit)
    for name, objective in {
        "constrained": constrained,
        "weight_0": weighted(crash=0.0),
        "weight_1": weighted(),
    }.items():
        policy = learn(scenario, given.steps, given.seed, objective)
        note = f", price {constrained.price:.2f}" if objective is constrained else ""
        tell(name, Trained(scenario, policy), scenario, note)


if __name__ == "__main__":
    main()
