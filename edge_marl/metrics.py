"""The metrics of an episode: one definition each, with unit and direction.

Sums are exact (`math.fsum`), so they are the same in any order and on any machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from edge_marl.kernel import world as k
from edge_marl.scenario import Scenario
from edge_marl.simulator import EpisodeLog

__all__ = ["METRICS", "Metric", "capacity_held", "episode_metrics", "metrics_of", "were_started"]


@dataclass(frozen=True)
class Metric:
    """What a number means."""

    name: str
    unit: str
    better: Literal["higher", "lower", "neither"]
    description: str
    where: Literal["everywhere", "terms", "slots"] = "everywhere"
    """Whether it is defined only where lines, levels, declining or the like are on, or only where
    gateways decide in slots."""

    @property
    def limits(self) -> tuple[float, float]:
        """The lowest and the highest that it can be."""
        if self.unit == "utility":
            return -math.inf, math.inf
        return 0.0, 1.0 if self.unit in ("share", "index") else math.inf


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("utility_per_task", "utility", "higher", "sum of rewards / requests (headline)"),
        Metric("utility", "utility", "higher", "sum of rewards: utility granted less penalties"),
        Metric("granted_utility_per_task", "utility", "higher", "utility granted / requests"),
        Metric("server_crash_rate", "1/task", "lower", "server crashes / decisions"),
        Metric("server_crashes", "crashes", "lower", "server crashes"),
        Metric("crashed_fraction", "share", "lower", "tasks lost while running / decisions"),
        Metric("failed_fraction", "share", "lower", "lost by themselves or in outages / decisions"),
        Metric("lost_fraction", "share", "lower", "all tasks lost / decisions: see below"),
        Metric("completion_rate", "share", "higher", "requests served by the end / requests"),
        Metric(
            "on_time_rate", "share", "higher", "requests served within their deadline / requests"
        ),
        Metric("latency_mean_s", "s", "lower", "mean from arrival to result, served requests"),
        Metric("latency_p50_s", "s", "lower", "median from arrival to result, served requests"),
        Metric("latency_p95_s", "s", "lower", "95th percentile of it"),
        Metric("latency_p99_s", "s", "lower", "99th percentile of it"),
        Metric("cold_start_rate", "share", "lower", "tasks whose model was loaded / tasks started"),
        Metric("cloud_share", "share", "neither", "tasks sent to the cloud / tasks started"),
        Metric("energy_per_task_j", "J", "lower", "energy of the tasks started / requests"),
        Metric("utilisation", "share", "neither", "capacity in use / capacity, mean over time"),
        Metric("load_imbalance", "ratio", "lower", "std / mean of utilisation over servers"),
        Metric("gateway_fairness", "index", "higher", "Jain's index of completion over gateways"),
        Metric("declined_fraction", "share", "neither", "tasks declined / decisions", "terms"),
        Metric("wait_mean_s", "s", "lower", "mean wait for capacity, tasks on a server", "terms"),
        Metric("herding", "share", "lower", "slots with a herd / slots with a dispatch", "slots"),
        Metric(
            "idle_share", "share", "neither", "servers up with no task, mean over time", "slots"
        ),
        Metric("illegal_actions", "actions", "lower", "actions outside the action mask"),
        Metric("tasks", "tasks", "neither", "decisions: tasks that were to be sent to a server"),
        Metric(
            "requests",
            "requests",
            "neither",
            "requests that arrived; of one task each, if no workflows",
        ),
    )
}


UNSENT = (k.REFUSED, k.DROPPED, k.DENIED)
"""Fates of tasks that were lost without having been on a server."""
UNPAID = (*UNSENT, k.DECLINED)
"""Fates of tasks that never were on a server."""


def metrics_of(scenario: Scenario) -> dict[str, Metric]:
    """Return the metrics that a scenario's episodes have, by name."""
    return _defined(scenario.has_terms, bool(scenario.clock.slot_ms))


def _defined(has_terms: bool, in_slots: bool) -> dict[str, Metric]:
    where = {"everywhere", *(["terms"] if has_terms else []), *(["slots"] if in_slots else [])}
    return {name: metric for name, metric in METRICS.items() if metric.where in where}


def episode_metrics(log: EpisodeLog) -> dict[str, float]:
    """Return the value of every metric for an episode so far; NaN where nothing defines it.

    `utility_per_task` is net of penalties, prices and refunds: its sum over requests is the return.
    The published code reports running tasks lost (`crashed_fraction`) and counts the tasks whose
    dispatch caused the crash nowhere; `lost_fraction` has both, and those dropped by an illegal
    action, sent to a server that was down, failed, or lost in an outage.
    """
    shown = log.shown
    tasks, rewards = log.tasks[shown], log.rewards[shown]
    details = None if log.details is None else log.details[shown]
    count = len(tasks)
    if count == 0:
        none = dict.fromkeys(_defined(log.terms is not None, log.in_slots), math.nan)
        return none | {"tasks": 0.0, "requests": 0.0}
    status = tasks[:, k.STATUS]
    finished = log.finished[shown]
    first = np.ones(count, dtype=np.bool_) if details is None else details[:, k.STAGE] == 0
    last = first if details is None else details[:, k.AFTER] == 0
    requests = int(first.sum())
    lost = {fate: int((status == fate).sum()) for fate in (*UNSENT, k.CRASHED, k.FAILED, k.OUTAGE)}
    utility = math.fsum(rewards)
    utilisation = _utilisation(log, shown)
    edge = slice(None, -1) if log.has_cloud else slice(None)
    # Not by np.dot: the last bits of BLAS are the machine's.
    mean_utilisation = math.fsum(utilisation[edge] * log.capacity[edge]) / log.capacity[edge].sum()
    latency, on_time = _latency(log, shown & _served(log))
    return {
        "utility_per_task": utility / requests,
        "utility": utility,
        "granted_utility_per_task": math.fsum(rewards[~np.isin(status, UNPAID)]) / requests,
        "server_crash_rate": lost[k.REFUSED] / count,
        "server_crashes": float(lost[k.REFUSED]),
        "crashed_fraction": lost[k.CRASHED] / count,
        "failed_fraction": (lost[k.FAILED] + lost[k.OUTAGE]) / count,
        "lost_fraction": sum(lost.values()) / count,
        "completion_rate": len(latency) / requests,
        "on_time_rate": on_time / requests,
        **_latencies(latency),
        **_starts(log, shown, details, requests),
        "utilisation": float(mean_utilisation),
        "load_imbalance": _imbalance(utilisation[edge]),
        **_of_terms(log, shown),
        **_of_slots(log, shown),
        "gateway_fairness": _fairness(tasks[first, k.GATEWAY], tasks[finished & last, k.GATEWAY]),
        "illegal_actions": float(log.illegal_actions),
        "tasks": float(count),
        "requests": float(requests),
    }


def _served(log: EpisodeLog) -> npt.NDArray[np.bool_]:
    """(N,) tasks with which a request was served by now."""
    if log.details is None:
        return log.finished
    back = log.tasks[:, k.END] + log.details[:, k.RETURN] <= log.clock_ms
    served: npt.NDArray[np.bool_] = log.finished & (log.details[:, k.AFTER] == 0) & back
    return served


def _latency(log: EpisodeLog, served: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], int]:
    """Time from arrival to result (ms) of served requests, sorted, and how many were on time."""
    rows = np.flatnonzero(served)
    end = log.tasks[rows, k.END]
    if log.details is None:
        return np.sort(end - log.tasks[rows, k.ARRIVAL]), len(rows)
    details = log.details[rows]
    arrival = log.tasks[rows - details[:, k.STAGE], k.ARRIVAL]
    latency = end + details[:, k.RETURN] - arrival
    deadline = details[:, k.DEADLINE]
    return np.sort(latency), int(((deadline == 0) | (latency <= deadline)).sum())


def _starts(
    log: EpisodeLog,
    shown: npt.NDArray[np.bool_],
    details: npt.NDArray[np.int64] | None,
    requests: int,
) -> dict[str, float]:
    """Metrics over the tasks that were on a server."""
    tasks = log.tasks[shown]
    started = were_started(tasks)
    count, place = int(started.sum()), tasks[started, k.PLACE]
    if details is None or count == 0:
        return dict.fromkeys(("cold_start_rate", "cloud_share"), 0.0) | {"energy_per_task_j": 0.0}
    energy = 0.0
    if log.energy_mj is not None:
        # In floats, as 64 bits may be too few; whole numbers below 2^53 are exact in them.
        of_each = log.energy_mj.ravel()[place] * _steps(log)[shown][started].astype(np.float64)
        energy = math.fsum(of_each)
    in_cloud = place // log.num_services == len(log.capacity) - 1
    return {
        "cold_start_rate": int(details[started, k.COLD].sum()) / count,
        "cloud_share": int(in_cloud.sum()) / count if log.has_cloud else 0.0,
        "energy_per_task_j": energy / 1000 / requests,
    }


def _latencies(latency: npt.NDArray[np.int64]) -> dict[str, float]:
    """Metrics of sorted latencies (ms); a percentile is the smallest value at or above it."""
    names = {50: "latency_p50_s", 95: "latency_p95_s", 99: "latency_p99_s"}
    n = len(latency)
    if n == 0:
        return {"latency_mean_s": math.nan} | dict.fromkeys(names.values(), math.nan)
    ranks = {name: -(-percent * n // 100) - 1 for percent, name in names.items()}
    return {"latency_mean_s": int(latency.sum()) / n / 1000} | {
        name: int(latency[rank]) / 1000 for name, rank in ranks.items()
    }


def _steps(log: EpisodeLog) -> npt.NDArray[np.int64]:
    """(N,) denoising steps of tasks that are done."""
    return log.tasks[:, k.DEMAND] if log.terms is None else log.terms[:, k.STEPS]


def _of_terms(log: EpisodeLog, shown: npt.NDArray[np.bool_]) -> dict[str, float]:
    """Metrics of saying no and of lines, where there are any."""
    if log.terms is None:
        return {}
    tasks, turn = log.tasks[shown], log.terms[shown, k.TURN]
    started = were_started(tasks)
    count = int(started.sum())
    # One that was lost before its turn has waited until then.
    waited = np.minimum(turn, tasks[:, k.END])[started] - tasks[started, k.START]
    return {
        "declined_fraction": int((tasks[:, k.STATUS] == k.DECLINED).sum()) / len(tasks),
        "wait_mean_s": int(waited.sum()) / count / 1000 if count else math.nan,
    }


def _of_slots(log: EpisodeLog, shown: npt.NDArray[np.bool_]) -> dict[str, float]:
    """Metrics of coordination, where gateways decide in slots."""
    if not log.in_slots:
        return {}
    return {"herding": _herding(log), "idle_share": _idle_share(log, log.tasks[shown])}


def _herding(log: EpisodeLog) -> float:
    """Share of slots with a dispatch in which dispatches of two gateways meet in one overload.

    Of all that is sent to a server in a slot, one crashes it or finds its line full, and one more
    is of another gateway, whatever becomes of that one: a gateway decides once in a slot. To be
    sent to a server that is down is no overload, and neither is to be larger than any line takes.
    """
    sent = log.tasks[:, k.PLACE] != k.NOWHERE
    tasks = log.tasks[sent]
    if len(tasks) == 0:
        return math.nan
    server, slot, status = (
        tasks[:, k.PLACE] // log.num_services,
        tasks[:, k.START],
        tasks[:, k.STATUS],
    )
    overload = status == k.REFUSED
    if log.terms is not None:
        large = log.terms[sent, k.STEPS] > log.capacity[server]
        overload |= (status == k.DENIED) & ~large & _busy_servers(log, server, slot)
    order = np.lexsort((server, slot))
    server, slot, overload = server[order], slot[order], overload[order]
    first = np.flatnonzero(np.diff(slot, prepend=-1) | np.diff(server, prepend=-1))
    meetings = np.diff(first, append=len(slot))
    herd = np.logical_or.reduceat(overload, first) & (meetings > 1)
    return len(np.unique(slot[first[herd]])) / len(np.unique(slot))


def _busy_servers(
    log: EpisodeLog, server: npt.NDArray[np.int64], time: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """(n,) whether a server holds a task at a time: one that is down does not."""
    ran = log.tasks[were_started(log.tasks)]
    place = ran[:, k.PLACE] // log.num_services
    apart = int(max(ran[:, k.END].max(initial=0), time.max(initial=0))) + 1
    at = server * apart + time
    started, ended = (np.sort(place * apart + ran[:, end]) for end in (k.START, k.END))
    # Of servers before this one, as many have ended as have started.
    count = np.searchsorted(started, at, "right") - np.searchsorted(ended, at, "right")
    busy: npt.NDArray[np.bool_] = count > 0
    return busy


def _idle_share(log: EpisodeLog, tasks: npt.NDArray[np.int64]) -> float:
    """Share of the edge's servers that are up and hold no task, averaged over the time so far.

    Those that hold one, and those that are down, are the rest. A server that is down holds none.
    """
    begin = int(tasks[0, k.ARRIVAL])
    elapsed, servers = log.clock_ms - begin, len(log.capacity) - log.has_cloud
    if elapsed == 0:
        return math.nan
    held, refused = tasks[were_started(tasks)], tasks[tasks[:, k.STATUS] == k.REFUSED]
    at = np.concatenate([held[:, k.PLACE], refused[:, k.PLACE]]) // log.num_services
    at = np.concatenate([at, log.outages[:, k.LOCATION]])
    since = np.concatenate([held[:, k.START], refused[:, k.START], log.outages[:, k.TIME]])
    length = np.concatenate(
        [
            held[:, k.END] - held[:, k.START],
            np.full(len(refused), log.restart_ms),
            log.outages[:, k.DURATION],
        ]
    )
    at, since, length = (each[at < servers] for each in (at, since, length))
    # One server's time after the other's, so that all are on one line.
    starts, ends = (
        at * elapsed + np.clip(time - begin, 0, elapsed) for time in (since, since + length)
    )
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], ends[order]
    counted = np.maximum.accumulate(np.append(0, ends))[:-1]
    taken = int(np.maximum(ends - np.maximum(starts, counted), 0).sum())
    return (servers * elapsed - taken) / (servers * elapsed)


def were_started(tasks: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """(N,) tasks that were on a server."""
    started: npt.NDArray[np.bool_] = ~np.isin(tasks[:, k.STATUS], (*UNPAID, k.WAITING))
    return started


def capacity_held(
    log: EpisodeLog, shown: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return steps of capacity that shown tasks hold, since when and until when in ms, (n,) each.

    A task that was lost in a line has held it for no time.
    """
    tasks = log.tasks[shown]
    since = tasks[:, k.START] if log.terms is None else log.terms[shown, k.TURN]
    return _steps(log)[shown], since, np.maximum(np.minimum(tasks[:, k.END], log.clock_ms), since)


def _utilisation(log: EpisodeLog, shown: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Share of each server's capacity in use, averaged over the time so far, (S,)."""
    tasks = log.tasks[shown]
    elapsed = log.clock_ms - int(tasks[0, k.ARRIVAL])
    if elapsed == 0:
        return np.zeros(len(log.capacity))
    steps, since, until = capacity_held(log, shown)
    held = steps.astype(np.float64) * (until - since)
    ran = were_started(tasks)
    work = np.zeros(len(log.capacity))
    np.add.at(work, tasks[ran, k.PLACE] // log.num_services, held[ran])
    return work / (log.capacity * float(elapsed))


def _imbalance(utilisation: npt.NDArray[np.float64]) -> float:
    mean = math.fsum(utilisation) / len(utilisation)
    if mean == 0:
        return math.nan
    return math.sqrt(math.fsum((utilisation - mean) ** 2) / len(utilisation)) / mean


def _fairness(arrived: npt.NDArray[np.int64], served: npt.NDArray[np.int64]) -> float:
    """Jain's index of the completion rates of gateways, given those of requests; 1 is all equal.

    Jain, Chiu and Hawe, "A quantitative measure of fairness and discrimination for resource
    allocation in shared computer systems", DEC Research Report TR-301 (1984).
    """
    count = np.bincount(arrived)
    rates = np.bincount(served, minlength=len(count))[count > 0] / count[count > 0]
    squares = math.fsum(rates**2)
    if squares == 0:
        return math.nan
    return math.fsum(rates) ** 2 / (len(rates) * squares)
