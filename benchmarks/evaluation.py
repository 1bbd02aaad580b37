"""Evaluation: what an agent gets on test workloads, and how long it takes to decide."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from gymnasium.vector import AutoresetMode

from edge_marl.agents.playing import play
from edge_marl.draw import draw_workload
from edge_marl.envs import EdgeAIGCVectorEnv
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
    """Return every metric of an agent's episode on each workload (`edge_marl.agents.playing`)."""
    return play(agent, scenario, workloads, seed, progress).metrics


def evaluate_gateways(
    agent: Agent,
    scenario: Scenario,
    workloads: Sequence[Workload],
    seed: int,
    progress: Callable[[int], None] = lambda finished: None,
) -> list[dict[str, float]]:
    """Return the same with an agent as the policy of all gateways of the scenario's game."""
    return play(agent, scenario, workloads, seed, progress, api="parallel").metrics


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
