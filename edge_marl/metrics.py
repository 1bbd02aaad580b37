"""The metrics of an episode: one definition each, with unit and direction.

Sums are exact (`math.fsum`), so they are the same in any order and on any machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from edge_marl import kernel as k
from edge_marl.simulator import EpisodeLog

__all__ = ["METRICS", "Metric", "episode_metrics"]


@dataclass(frozen=True)
class Metric:
    """What a number means."""

    name: str
    unit: str
    better: Literal["higher", "lower", "neither"]
    description: str


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("utility_per_task", "utility", "higher", "sum of rewards / decisions (headline)"),
        Metric("utility", "utility", "higher", "sum of rewards: utility granted less penalties"),
        Metric("granted_utility_per_task", "utility", "higher", "utility granted / decisions"),
        Metric("server_crash_rate", "1/task", "lower", "server crashes / decisions"),
        Metric("server_crashes", "crashes", "lower", "server crashes"),
        Metric("crashed_fraction", "share", "lower", "tasks lost while running / decisions"),
        Metric("lost_fraction", "share", "lower", "all tasks lost / decisions: see below"),
        Metric("completion_rate", "share", "higher", "tasks finished by the end / decisions"),
        Metric("latency_mean_s", "s", "lower", "mean from arrival to result, finished tasks"),
        Metric("latency_p50_s", "s", "lower", "median from arrival to result, finished tasks"),
        Metric("latency_p95_s", "s", "lower", "95th percentile of it"),
        Metric("latency_p99_s", "s", "lower", "99th percentile of it"),
        Metric("utilisation", "share", "neither", "capacity in use / capacity, mean over time"),
        Metric("load_imbalance", "ratio", "lower", "std / mean of utilisation over servers"),
        Metric("gateway_fairness", "index", "higher", "Jain's index of completion over gateways"),
        Metric("illegal_actions", "actions", "lower", "actions outside the action mask"),
        Metric("tasks", "tasks", "neither", "decisions: tasks that were to be sent to a server"),
    )
}


def episode_metrics(log: EpisodeLog) -> dict[str, float]:
    """Return the value of every metric for an episode so far; NaN where nothing defines it.

    `utility_per_task` is net of penalties: its sum over tasks is the return. The published code
    reports running tasks lost (`crashed_fraction`) and counts the tasks whose dispatch caused the
    crash nowhere; `lost_fraction` has both, and those dropped by an illegal action.
    """
    tasks = log.tasks[: log.num_decisions]
    count = len(tasks)
    if count == 0:
        return dict.fromkeys(METRICS, math.nan) | {"tasks": 0.0}
    status = tasks[:, k.STATUS]
    finished = log.finished[: log.num_decisions]
    crashed = int((status == k.CRASHED).sum())
    refused, dropped = int((status == k.REFUSED).sum()), int((status == k.DROPPED).sum())
    utility = math.fsum(log.rewards)
    granted = math.fsum(log.rewards[status != k.REFUSED])
    utilisation = _utilisation(log, tasks)
    mean_utilisation = float(np.dot(utilisation, log.capacity) / log.capacity.sum())
    return {
        "utility_per_task": utility / count,
        "utility": utility,
        "granted_utility_per_task": granted / count,
        "server_crash_rate": refused / count,
        "server_crashes": float(refused),
        "crashed_fraction": crashed / count,
        "lost_fraction": (crashed + refused + dropped) / count,
        "completion_rate": int(finished.sum()) / count,
        **_latencies(tasks[finished]),
        "utilisation": mean_utilisation,
        "load_imbalance": _imbalance(utilisation),
        "gateway_fairness": _fairness(tasks[:, k.GATEWAY], finished),
        "illegal_actions": float(log.illegal_actions),
        "tasks": float(count),
    }


def _latencies(finished: npt.NDArray[np.int64]) -> dict[str, float]:
    """Latency metrics of finished tasks; a percentile is the smallest value at or above it."""
    names = {50: "latency_p50_s", 95: "latency_p95_s", 99: "latency_p99_s"}
    latency = np.sort(finished[:, k.END] - finished[:, k.ARRIVAL])
    n = len(latency)
    if n == 0:
        return {"latency_mean_s": math.nan} | dict.fromkeys(names.values(), math.nan)
    ranks = {name: -(-percent * n // 100) - 1 for percent, name in names.items()}
    return {"latency_mean_s": int(latency.sum()) / n / 1000} | {
        name: int(latency[rank]) / 1000 for name, rank in ranks.items()
    }


def _utilisation(log: EpisodeLog, tasks: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Share of each server's capacity in use, averaged over the time so far, (S,)."""
    elapsed = log.clock_ms - int(tasks[0, k.ARRIVAL])
    if elapsed == 0:
        return np.zeros(len(log.capacity))
    until = np.minimum(tasks[:, k.END], log.clock_ms)
    held = tasks[:, k.DEMAND] * (until - tasks[:, k.START])
    ran = np.isin(tasks[:, k.STATUS], (k.ADMITTED, k.CRASHED))
    work = np.zeros(len(log.capacity), dtype=np.int64)
    np.add.at(work, tasks[ran, k.PLACE] // log.num_services, held[ran])
    return work / (log.capacity * elapsed)


def _imbalance(utilisation: npt.NDArray[np.float64]) -> float:
    mean = math.fsum(utilisation) / len(utilisation)
    if mean == 0:
        return math.nan
    return math.sqrt(math.fsum((utilisation - mean) ** 2) / len(utilisation)) / mean


def _fairness(gateway: npt.NDArray[np.int64], finished: npt.NDArray[np.bool_]) -> float:
    """Jain's index of the completion rates of the gateways that had tasks; 1 is all equal."""
    arrived = np.bincount(gateway)
    rates = np.bincount(gateway, weights=finished)[arrived > 0] / arrived[arrived > 0]
    squares = math.fsum(rates**2)
    if squares == 0:
        return math.nan
    return math.fsum(rates) ** 2 / (len(rates) * squares)
