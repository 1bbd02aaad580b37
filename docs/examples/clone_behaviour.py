"""Behaviour cloning from a data set: a network that does what the policy in it did.

    edge-marl dataset --scenario smoke --agent prophet --workloads 100 --out results/data/prophet
    python docs/examples/clone_behaviour.py results/data/prophet   # seconds on one core

It reads Minari's files of one orchestrator (`--api single`), learns from them alone, and is played
on validation workloads at the end. What no mask allows is not chosen, in training as later.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import minari
import numpy as np
import torch

from edge_marl import Scenario, draw_workload, load_scenario
from edge_marl.agents import Agent, make
from edge_marl.benchmarks.run.evaluation import evaluate

Arrays = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def read(folder: Path) -> Arrays:
    """Return what was seen (n, D), allowed (n, A) and done (n,) in all steps of a data set."""
    seen, allowed, done = [], [], []
    for episode in minari.MinariDataset(folder).iterate_episodes():
        steps = len(episode)  # what is seen after the last step has no action
        seen.append(episode.observations["observation"][:steps])
        allowed.append(episode.observations["action_mask"][:steps])
        done.append(episode.actions)
    seen_, allowed_, done_ = (torch.from_numpy(np.concatenate(x)) for x in (seen, allowed, done))
    return seen_, allowed_, done_


def clone(arrays: Arrays, passes: int, seed: int) -> torch.nn.Module:
    """Return a network whose logits are those of the actions that were taken."""
    torch.manual_seed(seed)
    seen, allowed, done = arrays
    network = torch.nn.Sequential(
        torch.nn.Linear(seen.shape[1], 64), torch.nn.ReLU(), torch.nn.Linear(64, allowed.shape[1])
    )
    optimiser = torch.optim.Adam(network.parameters(), lr=0.003)
    for _ in range(passes):
        for batch in torch.randperm(len(done)).split(256):
            logits = network(seen[batch]).masked_fill(allowed[batch] == 0, -1e9)
            loss = torch.nn.functional.cross_entropy(logits, done[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return network


class Clone(Agent):
    """The action that the network takes to be the most likely one."""

    deterministic = True

    def __init__(self, scenario: Scenario, network: torch.nn.Module) -> None:
        super().__init__(scenario)
        self.network = network

    def reset(self, seed: int) -> None:
        """Nothing is remembered and nothing is drawn."""

    def act(self, observation: np.ndarray, info: Mapping[str, Any]) -> np.ndarray:
        """Return one action per row."""
        with torch.no_grad():
            logits = self.network(torch.from_numpy(observation)).numpy()
        return np.where(info["action_mask"] == 1, logits, -np.inf).argmax(-1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Clone what a data set holds, and compare the clone with random dispatch."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path, help="folder of the data set")
    parser.add_argument("--passes", type=int, default=40, help="over the data")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    facts = json.loads((given.data / "metadata.json").read_text("utf-8"))["edge_marl"]
    scenario = load_scenario(facts["scenario"])
    arrays = read(given.data)
    print(f"cloned {len(arrays[2])} decisions of {facts['agent']} on {facts['split']} workloads")
    torch.set_num_threads(1)
    agents = {
        "clone": Clone(scenario, clone(arrays, given.passes, given.seed)),
        "random": make("random", scenario),
    }
    workloads = [draw_workload(scenario, k, split="validation") for k in range(8)]
    for name, agent in agents.items():
        metrics = evaluate(agent, scenario, workloads, seed=0)
        print(f"{name}: utility per task {fmean(one['utility_per_task'] for one in metrics):.4f}")


if __name__ == "__main__":
    main()
