"""Evaluation: what an agent gets on test workloads, and how long it takes to decide."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from edge_marl.draw import draw_workload
from edge_marl.envs import EdgeAIGCVectorEnv
from edge_marl.envs.rows import EdgeAIGCRows
from edge_marl.scenario import Scenario
from edge_marl.workload import Workload

if TYPE_CHECKING:
    from edge_marl.agents import Agent

__all__ = ["decision_latency_us", "draw_test_workloads", "evaluate", "evaluate_gateways"]

LATENCY_DECISIONS = 300
LATENCY_WARM_UP = 20
"""First decisions that are not timed: they load, compile and allocate."""


def draw_test_workloads(scenario: Scenario, episodes: int) -> list[Workload]:
    """Return test workloads 0..episodes-1, the same for every agent and seed."""
    return [draw_workload(scenario, k, split="test") for k in range(episodes)]


def evaluate(
    agent: Agent,
    scenario: Scenario,
    workloads: Sequence[Workload],
    seed: int,
    progress: Callable[[int], None] = lambda finished: None,
) -> list[dict[str, float]]:
    """Return every metric of an agent's episode on each workload.

    All episodes run side by side, one per row, until the last has ended.

    Args:
        agent: what decides; it is reset with `seed`.
        scenario: the world.
        workloads: one episode each.
        seed: seed of the agent's own randomness.
        progress: called with the number of finished episodes whenever that has changed.
    """
    envs = EdgeAIGCVectorEnv(
        len(workloads), scenario=scenario, autoreset_mode=AutoresetMode.DISABLED
    )
    agent.reset(seed)
    return _play(envs, agent.act, workloads, progress)


def evaluate_gateways(
    agent: Agent,
    scenario: Scenario,
    workloads: Sequence[Workload],
    seed: int,
    progress: Callable[[int], None] = lambda finished: None,
) -> list[dict[str, float]]:
    """Return every metric of each workload's episode with an agent as the policy of all gateways.

    The game and its clock are the scenario's. Each gateway of each episode is a row of the agent's;
    one without a task does nothing, whatever its row says. On the event clock an agent whose
    actions depend on what it sees gets what it gets from `evaluate`, to the last bit.

    Args:
        agent: what decides; it is reset with `seed`.
        scenario: the world.
        workloads: one episode each.
        seed: seed of the agent's own randomness.
        progress: called with the number of finished episodes whenever that has changed.
    """
    rows = EdgeAIGCRows(len(workloads), scenario=scenario, autoreset_mode=AutoresetMode.DISABLED)
    agent.reset(seed)

    def choose(
        observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        return _choose(agent, observation, info["action_mask"])

    return _play(rows, choose, workloads, progress)


def _play(
    envs: EdgeAIGCVectorEnv | EdgeAIGCRows,
    decide: Callable[[npt.NDArray[np.float32], Mapping[str, Any]], npt.NDArray[np.int64]],
    workloads: Sequence[Workload],
    progress: Callable[[int], None],
) -> list[dict[str, float]]:
    """Play one episode per workload, side by side, and return the metrics of each."""
    observation, info = envs.reset(options={"workloads": list(workloads)})
    over = np.zeros(len(workloads), dtype=bool)
    while not over.all():
        observation, _, terminated, truncated, info = envs.step(decide(observation, info))
        now = over | terminated | truncated
        if (now != over).any():
            progress(int(now.sum()))
        over = now
    return [envs.metrics(row) for row in range(len(workloads))]


def _choose(
    agent: Agent, observation: npt.NDArray[np.float32], mask: npt.NDArray[np.int8]
) -> npt.NDArray[np.int64]:
    """Return what gateways choose, (E, G), for what they see (E, G, D) and may do (E, G, A + 1).

    Rows without a task are shown every action as legal, as the single environment does where it
    has no task: a mask of zeros would be something that no agent has ever seen.
    """
    nothing = mask.shape[-1] - 1
    legal = mask[..., :nothing]
    idle = legal.sum(-1) == 0
    shown = np.where(idle[..., None], np.int8(1), legal)
    info: dict[str, Any] = {"action_mask": shown.reshape(-1, nothing)}
    action = agent.act(observation.reshape(-1, observation.shape[-1]), info)
    return np.where(idle, nothing, action.reshape(idle.shape))


def decision_latency_us(
    agent: Agent,
    scenario: Scenario,
    workloads: Sequence[Workload],
    seed: int,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> float:
    """Return the median time of one decision at batch 1, in microseconds.

    At batch 1 because that is how an orchestrator meets its tasks: one by one.

    Args:
        agent: what decides; it is reset with `seed`.
        scenario: the world.
        workloads: played one after another until enough decisions are timed.
        seed: seed of the agent's own randomness.
        clock: time in nanoseconds.
    """
    env = EdgeAIGCVectorEnv(1, scenario=scenario, autoreset_mode=AutoresetMode.DISABLED)
    times: list[int] = []
    for workload in workloads:
        observation, info = env.reset(options={"workloads": [workload]})
        agent.reset(seed)
        over = False
        while not over and len(times) < LATENCY_WARM_UP + LATENCY_DECISIONS:
            start = clock()
            action = agent.act(observation, info)
            times.append(clock() - start)
            observation, _, terminated, truncated, info = env.step(action)
            over = bool(terminated[0] or truncated[0])
    env.close()
    return float(np.median(times[LATENCY_WARM_UP:] or times)) / 1000.0
