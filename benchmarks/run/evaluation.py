"""Evaluation: what an agent gets on test workloads, and how long it takes to decide."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from edge_marl.agents.base import CentralAgent
from edge_marl.agents.play import play
from edge_marl.benchmarks.records.records import Load
from edge_marl.draw import draw_workload
from edge_marl.envs import EdgeAIGCVectorEnv
from edge_marl.envs.rows import EdgeAIGCRows
from edge_marl.kernel import world as k
from edge_marl.metrics import capacity_held, were_started
from edge_marl.scenario import Scenario
from edge_marl.simulator import EpisodeLog
from edge_marl.workload import Workload
from edge_marl.workload.parts import Split

if TYPE_CHECKING:
    from edge_marl.agents import Agent

__all__ = [
    "decision_latency_us",
    "draw_test_workloads",
    "draw_workloads",
    "evaluate",
    "evaluate_gateways",
    "load_over_time",
]

LOAD_INTERVALS = 200
"""Of an episode: as many as a figure can show, whatever the number of tasks."""

LATENCY_DECISIONS = 300
LATENCY_WARM_UP = 20
"""First decisions that are not timed: they load, compile and allocate."""


def draw_test_workloads(scenario: Scenario, episodes: int) -> list[Workload]:
    """Return test workloads 0..episodes-1, the same for every agent and seed."""
    return draw_workloads(scenario, "test", 0, episodes)


def draw_workloads(scenario: Scenario, split: Split, first: int, episodes: int) -> list[Workload]:
    """Return workloads first..first+episodes-1 of a split, the same for every agent and seed."""
    return [draw_workload(scenario, k, split=split) for k in range(first, first + episodes)]


def evaluate(
    agent: Agent,
    scenario: Scenario,
    workloads: Sequence[Workload],
    seed: int,
    progress: Callable[[int], None] = lambda finished: None,
) -> list[dict[str, float]]:
    """Return every metric of an agent's episode on each workload (`edge_marl.agents.play`)."""
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

    At batch 1 because that is how an orchestrator meets its tasks: one by one. Of a `CentralAgent`
    it is that of a slot: what all gateways do in it.

    Args:
        agent: what decides; it is reset with `seed`.
        scenario: the world; of a game, on the event clock.
        workloads: played one after another until enough decisions are timed.
        seed: seed of the agent's own randomness.
        clock: time in nanoseconds.
    """
    if isinstance(agent, CentralAgent):
        return _joint_latency_us(agent, scenario, workloads, seed, clock)
    on_events = scenario.on_events()
    env = EdgeAIGCVectorEnv(1, scenario=on_events, autoreset_mode=AutoresetMode.DISABLED)
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


def _joint_latency_us(
    agent: CentralAgent,
    scenario: Scenario,
    workloads: Sequence[Workload],
    seed: int,
    clock: Callable[[], int],
) -> float:
    """Return the same of a reference of the game, in one game at a time."""
    times: list[int] = []
    for workload in workloads:
        rows = EdgeAIGCRows(1, scenario=scenario, autoreset_mode=AutoresetMode.DISABLED)
        agent.reset(seed)
        choose_all = agent.take_seats(rows.game, [workload])
        rows.reset(options={"workloads": [workload]})
        over = False
        while not over and len(times) < LATENCY_WARM_UP + LATENCY_DECISIONS:
            start = clock()
            choices = choose_all()
            times.append(clock() - start)
            _, _, terminated, truncated, _ = rows.step(choices)
            over = bool(terminated[0] or truncated[0])
    return float(np.median(times[LATENCY_WARM_UP:] or times)) / 1000.0


def load_over_time(log: EpisodeLog, intervals: int = LOAD_INTERVALS) -> Load:
    """Return how full the servers were in equal intervals from the first arrival to now.

    Means over intervals, not samples: none falls between two, and their mean is the metric
    `utilisation`. Empty if no time has passed.
    """
    tasks = log.tasks[log.shown]
    start = int(tasks[0, k.ARRIVAL]) if len(tasks) else log.clock_ms
    elapsed = log.clock_ms - start
    if elapsed <= 0:
        return Load()
    edges = start + elapsed * np.arange(intervals + 1) // intervals
    servers = slice(None, -1) if log.has_cloud else slice(None)
    capacity = log.capacity[servers]
    work = np.diff(_work_by(edges, len(capacity), log))
    refused = tasks[tasks[:, k.STATUS] == k.REFUSED, k.END]
    middle = (edges[:-1] + edges[1:] - 2 * start) / 2000
    share = work / (float(capacity.sum()) * np.maximum(np.diff(edges), 1))
    return Load(
        time_s=tuple(middle.tolist()),
        share=tuple(np.round(share, 6).tolist()),
        crashes=tuple(np.histogram(refused, edges)[0].tolist()),
    )


def _work_by(
    times: npt.NDArray[np.int64], num_servers: int, log: EpisodeLog
) -> npt.NDArray[np.float64]:
    """Capacity * time (ms) that tasks on the first `num_servers` servers have held, by each time.

    It grows linearly between starts and ends. In float64, exact up to 2**53: whole numbers of 64
    bits may be too small for it.
    """
    tasks = log.tasks[log.shown]
    ran = were_started(tasks) & (tasks[:, k.PLACE] // log.num_services < num_servers)
    steps, since, until = (part[ran] for part in capacity_held(log, log.shown))
    when = np.concatenate([since, until])
    change = np.concatenate([steps, -steps])
    order = np.argsort(when, kind="stable")
    when, level = when[order], np.cumsum(change[order]).astype(np.float64)
    done = np.concatenate([[0], np.cumsum(level[:-1] * np.diff(when))])
    last = np.searchsorted(when, times, side="right") - 1
    if not len(when):
        return np.zeros(len(times))
    work = done[last] + level[last] * (times - when[last])
    return np.asarray(np.where(last < 0, 0, work))
