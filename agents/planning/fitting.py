"""The fit of `adp`: direct search among value functions, on training workloads.

A generation is a few value functions, drawn around the present one in pairs of opposites. All of a
generation play the same workloads, so what sets them apart is what they do; the present one moves
towards the weighted mean of the better half, and the spread of each weight becomes theirs. That is
the cross-entropy method with the weights of evolution strategies: Rubinstein, "The cross-entropy
method for combinatorial and continuous optimization", Methodology and Computing in Applied
Probability 1 (1999); Hansen and Ostermeier, "Completely derandomized self-adaptation in evolution
strategies", Evolutionary Computation 9 (2001). Maxwell, Henderson and Topaloglu, "Tuning
approximate dynamic programming policies for ambulance redeployment via direct search", Stochastic
Systems 3 (2013), found that a value function fitted so decides better than one fitted to returns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl.agents.base import Training, TrainProgress
from edge_marl.agents.planning.settings import AdpConfig
from edge_marl.agents.planning.value import AdpAgent, first_weights, scales
from edge_marl.agents.play import open_rows
from edge_marl.draw import draw_workload
from edge_marl.kernel.world import Floats
from edge_marl.scenario import Scenario
from edge_marl.workload import Workload

__all__ = ["AdpTraining"]

LEAST_GENERATIONS = 4
"""Of a training, however small its budget: episodes are cut short if need be."""
KEEPS = 0.5
"""Part of a weight's spread that a generation leaves as it is."""
LEAST_SPREAD = 0.1
"""Of the first spread: below it a search among noisy returns would have come to rest by chance."""


class AdpTraining(Training):
    """A fit that is under way; a step is a generation.

    Args:
        scenario: the world; `train` workloads of the seed are played, on its own clock.
        config: settings.
        budget: decisions to fit on, or fewer where one more generation could exceed it.
        seed: of workloads and of draws.
    """

    def __init__(self, scenario: Scenario, config: AdpConfig, budget: int, seed: int) -> None:
        self.budget = budget
        self._scenario, self._config = scenario, config
        for_search, for_workloads = np.random.SeedSequence(seed).spawn(2)
        self._generator = np.random.Generator(np.random.PCG64(for_search))
        self._workload_seed = int(for_workloads.generate_state(1)[0])
        self._candidates = min(config.candidates, config.num_envs, budget)
        self._share = max(budget // LEAST_GENERATIONS, self._candidates)
        arrivals, tasks = scenario.arrivals, scenario.tasks
        expected = arrivals.rate_per_s * arrivals.horizon_s * tasks.mean_stages
        pays_for = int(self._share / (self._candidates * max(expected, 1.0)))
        self._workloads = max(1, min(config.num_envs // self._candidates, pays_for))
        self._mean = first_weights(scenario)
        self._path = [self._mean]
        self._least = LEAST_SPREAD * config.spread * scales(scenario)
        self._spread = self._least / LEAST_SPREAD
        self._generations = self._cost = 0
        self._agent = AdpAgent(scenario, config, self._mean)

    @property
    def done(self) -> bool:
        """Whether another generation like the last could exceed the budget."""
        return self.decisions + max(self._cost, self._candidates) > self.budget

    def advance(self) -> TrainProgress:
        """Play a generation, and move towards its better half."""
        weights = self._draw()
        first = self._generations * self._workloads
        workloads = [
            draw_workload(self._scenario, self._workload_seed, episode=first + k)
            for k in range(self._workloads)
        ]
        returns, self._cost = self._play(weights, workloads)
        self._move(weights, returns.mean(axis=1))
        self._path.append(self._mean)
        self.decisions += self._cost
        self._generations += 1
        return TrainProgress(
            decisions=self.decisions,
            budget=self.budget,
            updates=self._generations,
            utility_per_task=float(returns.sum() / max(self._cost, 1)),
            mean_return=float(returns.mean()),
        )

    def agent(self) -> AdpAgent:
        """Return the mean of the second half of the way so far, which is less by chance."""
        way = np.array(self._path[len(self._path) // 2 :])
        return AdpAgent(self._scenario, self._config, way.mean(axis=0))

    def _draw(self) -> Floats:
        """Return the weights of a generation, (candidates, K)."""
        half = self._generator.standard_normal((-(-self._candidates // 2), len(self._mean)))
        around: Floats = np.concatenate([half, -half])[: self._candidates]
        return self._mean + self._spread * around

    def _play(self, weights: Floats, workloads: list[Workload]) -> tuple[Floats, int]:
        """Return what each candidate earns on each workload, (candidates, workloads).

        And decisions that it took: at most the generation's share of the budget.
        """
        rows, api = len(weights) * len(workloads), self._scenario.api
        more = {"reward": "local"} if api == "parallel" else {}
        envs = open_rows(self._scenario, rows, api, **more)
        weights_of_rows = weights.repeat(len(workloads), axis=0)
        observation, info = envs.reset(options={"workloads": workloads * len(weights)})
        earned, over, decisions = np.zeros(rows), np.zeros(rows, dtype=np.bool_), 0
        most = min(self._share, self.budget - self.decisions)
        while not over.all():
            decides = self._decides(info, over)
            if decisions + decides.sum() > most:
                break
            decisions += int(decides.sum())
            action = self._act(observation, info, decides, weights_of_rows)
            observation, reward, terminated, truncated, info = envs.step(action)
            earned += reward.reshape(rows, -1).sum(axis=1)
            over = over | terminated | truncated
        return earned.reshape(len(weights), -1), decisions

    def _decides(
        self, info: Mapping[str, Any], over: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.bool_]:
        """Return which rows decide, (E,), or in the game (E, G): gateways that have a task."""
        mask = info["action_mask"][..., : self._scenario.num_actions]
        decides: npt.NDArray[np.bool_] = mask.any(-1) & ~over.reshape(-1, *[1] * (mask.ndim - 2))
        return decides

    def _act(
        self,
        observation: npt.NDArray[np.float32],
        info: Mapping[str, Any],
        decides: npt.NDArray[np.bool_],
        weights: Floats,
    ) -> npt.NDArray[np.int64]:
        """Return what those who decide do by the weights (E, K) of their rows; others nothing."""
        mask = info["action_mask"]
        self._agent.weights = weights[np.nonzero(decides)[0]]
        shown = {"action_mask": mask[decides][:, : self._scenario.num_actions]}
        if "agent_index" in info:
            shown["agent_index"] = info["agent_index"][decides]
        # In the game the last action is to do nothing; of episodes that are over, any will do.
        action = np.full(decides.shape, mask.shape[-1] - 1)
        action[decides] = self._agent.act(observation[decides], shown)
        return action

    def _move(self, weights: Floats, returns: Floats) -> None:
        """Move towards the better half of a generation, (candidates, K); of equals to neither."""
        if len(weights) < 2 or returns.max() == returns.min():
            return
        best = np.argsort(-returns, kind="stable")[: len(weights) // 2]
        share = np.log(len(best) + 0.5) - np.log(np.arange(1, len(best) + 1))
        share = share / share.sum()
        target = share @ weights[best]
        spread = np.sqrt(share @ (weights[best] - target) ** 2)
        self._mean = self._mean + self._config.step * (target - self._mean)
        spread = KEEPS * self._spread + (1.0 - KEEPS) * spread
        self._spread = np.maximum(spread, self._least)

    def state(self) -> dict[str, Any]:
        """Return all that the rest of the fit depends on, as `write_state` takes it."""
        return {
            "decisions": self.decisions,
            "generations": self._generations,
            "cost": self._cost,
            "path": np.array(self._path),
            "spread": self._spread,
            "generator": dict(self._generator.bit_generator.state),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a state."""
        self.decisions, self._cost = state["decisions"], state["cost"]
        self._generations = state["generations"]
        self._path, self._spread = list(_floats(state["path"])), _floats(state["spread"])
        self._mean = self._path[-1]
        self._generator.bit_generator.state = state["generator"]


def _floats(array: Any) -> npt.NDArray[np.float64]:
    """Return an array of a state as it was."""
    return np.array(array, dtype=np.float64)
