"""Both worlds side by side: errors of the simulator, and whether it ranks agents as they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from edge_marl.agents.base import Agent
from edge_marl.agents.play import play
from edge_marl.benchmarks.calibration.fit import PARTS, Parts, with_parts
from edge_marl.benchmarks.calibration.observe import (
    logs_of,
    place_of,
    read_observed,
    requests_of,
)
from edge_marl.benchmarks.calibration.wishes import Wishes
from edge_marl.scenario import Api, Scenario
from edge_marl.serving.log import History, read_logs
from edge_marl.serving.replay import Course, as_measured, as_simulated

__all__ = [
    "METRICS",
    "Error",
    "Pair",
    "Rank",
    "Run",
    "compare",
    "errors_of",
    "latencies",
    "rank_of",
]

Floats = npt.NDArray[np.float64]

METRICS = {
    "latency": "latency of a request (s)",
    "latency_mean": "mean latency of a run (s)",
    "latency_p95": "p95 of latency of a run (s)",
    "served": "requests served in a run (share)",
    "crashes": "crashes in a run",
    "down_s": "cold starts in a run (s)",
    "utility": "utility per request of a run",
}
"""What is compared: the first over all requests, the others over runs of agents."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Error(_Model):
    """How far what is simulated is from what was measured."""

    metric: str
    count: int
    """Pairs of a measured and a simulated value."""
    mape: float | None
    """Mean of |simulated - measured| / measured where that is above 0; None: nowhere."""
    pearson: float | None
    """Correlation; None where one side does not vary."""
    ks: float | None
    """Largest distance of the distributions, 0 to 1 (Kolmogorov and Smirnov); None: no values."""


class Run(_Model):
    """Utility per request that an agent got in a run, in both worlds."""

    agent: str
    run: int
    measured: float
    simulated: float
    """Its decisions, simulated."""
    played: float
    """Its own decisions in the simulator, on the same requests."""


class Rank(_Model):
    """Whether agents come in the same order in both worlds, by their means over runs."""

    agents: int
    simulated: float | None
    """Kendall's tau-b; None where one side has all alike."""
    played: float | None


@dataclass(frozen=True, eq=False)
class Pair:
    """A run of an agent in both worlds."""

    agent: str
    run: int
    measured: Course
    simulated: Course
    measured_down_s: float
    simulated_down_s: float
    played: float
    """Utility per request where the agent itself decides in the simulator."""

    def both(self, metric: str) -> tuple[float, float]:
        """Return what was measured and what was simulated of a metric of runs; NaN: undefined."""
        if metric == "down_s":
            return self.measured_down_s, self.simulated_down_s
        return _value(self.measured, metric), _value(self.simulated, metric)

    def as_run(self) -> Run:
        """Return what the agent got."""
        measured, simulated = self.both("utility")
        return Run(
            agent=self.agent,
            run=self.run,
            measured=measured,
            simulated=simulated,
            played=self.played,
        )


def _value(course: Course, metric: str) -> float:
    if metric == "crashes":
        return float(course.crashes)
    if metric == "served":
        return float(course.served.mean())
    if metric == "utility":
        return float(course.utility.mean())
    known = course.latency_s[course.served]
    if not len(known):
        return math.nan
    return float(known.mean() if metric == "latency_mean" else np.percentile(known, 95))


def compare(
    wishes: Wishes,
    fitted: Scenario,
    line: int,
    make: Callable[[str, Scenario], Agent],
    folder: Path,
) -> Iterator[tuple[Parts, list[Pair]]]:
    """Yield all finished runs of one kind of servers in both worlds, for each choice of parts.

    Args:
        wishes: of the calibration.
        fitted: the scenario that agents decided in.
        line: tasks that may wait at a server.
        make: an agent of a name for a scenario.
        folder: of the logs.
    """
    measured = [
        (agent, run, *found)
        for agent in wishes.agents
        for run in range(wishes.runs)
        if (found := _measured(place_of(folder, line, run, agent), wishes.gateways))
    ]
    for parts in PARTS:
        scenario = with_parts(fitted, parts, line)
        pairs = []
        for agent, run, course, history, down_s in measured:
            simulated = as_simulated(history, scenario)
            requests = requests_of(wishes, fitted, run)
            api: Api = "parallel" if wishes.gateways > 1 else "single"
            played = play(make(agent, scenario), scenario, [requests], wishes.seed, api=api)
            pairs.append(
                Pair(
                    agent=agent,
                    run=run,
                    measured=course,
                    simulated=simulated,
                    measured_down_s=down_s,
                    simulated_down_s=simulated.crashes * scenario.overload.restart_ms / 1000,
                    played=played.metrics[0]["utility_per_task"],
                )
            )
        yield parts, pairs


def _measured(log: Path, gateways: int) -> tuple[Course, History, float] | None:
    """Return a finished run as measured, what was asked for, and how long servers were gone."""
    observed = read_observed(log)
    if observed is None:
        return None
    history = read_logs(logs_of(log, gateways))
    course = as_measured(history)
    utility = np.where(course.served, observed.quality_of(history), 0.0)
    return replace(course, utility=utility, crashes=observed.crashes), history, observed.down_s


def errors_of(pairs: Sequence[Pair]) -> list[Error]:
    """Return the errors of the simulator over runs, by metric."""
    found = []
    for metric in METRICS:
        if metric == "latency":
            measured, simulated = latencies(pairs)
            all_of = (
                _joined(pair.measured.latency_s[pair.measured.served] for pair in pairs),
                _joined(pair.simulated.latency_s[pair.simulated.served] for pair in pairs),
            )
        else:
            values = np.array([pair.both(metric) for pair in pairs]).reshape(-1, 2)
            measured, simulated = values[np.isfinite(values).all(axis=1)].T
            all_of = measured, simulated
        found.append(_error(metric, measured, simulated, *all_of))
    return found


def latencies(pairs: Sequence[Pair]) -> tuple[Floats, Floats]:
    """Return latencies as measured and as simulated (s), of requests that were served in both."""
    both = [pair.measured.served & pair.simulated.served for pair in pairs]
    return (
        _joined(pair.measured.latency_s[k] for pair, k in zip(pairs, both, strict=True)),
        _joined(pair.simulated.latency_s[k] for pair, k in zip(pairs, both, strict=True)),
    )


def _joined(parts: Iterable[Floats]) -> Floats:
    return np.concatenate([np.zeros(0), *parts])


def _error(
    metric: str, measured: Floats, simulated: Floats, all_measured: Floats, all_simulated: Floats
) -> Error:
    """Return the error of pairs; the last two are the values whose distributions are compared."""
    above = measured > 0
    off = np.abs(simulated - measured)[above] / measured[above]
    varies = len(measured) > 1 and np.ptp(measured) > 0 and np.ptp(simulated) > 0
    return Error(
        metric=metric,
        count=len(measured),
        mape=float(off.mean()) if len(off) else None,
        pearson=float(np.corrcoef(measured, simulated)[0, 1]) if varies else None,
        ks=_apart(all_measured, all_simulated),
    )


def _apart(a: Floats, b: Floats) -> float | None:
    """Return the largest distance of two distributions; None where one has no values."""
    if not len(a) or not len(b):
        return None
    at = np.concatenate([a, b])
    shares = [np.searchsorted(np.sort(one), at, side="right") / len(one) for one in (a, b)]
    return float(np.abs(shares[0] - shares[1]).max())


def rank_of(runs: Sequence[Run]) -> Rank:
    """Return whether agents come in the same order in both worlds."""
    names = list(dict.fromkeys(run.agent for run in runs))
    means = {
        kind: [
            float(np.mean([getattr(run, kind) for run in runs if run.agent == name]))
            for name in names
        ]
        for kind in ("measured", "simulated", "played")
    }
    return Rank(
        agents=len(names),
        simulated=_tau(means["measured"], means["simulated"]),
        played=_tau(means["measured"], means["played"]),
    )


def _tau(measured: Sequence[float], other: Sequence[float]) -> float | None:
    """Return Kendall's tau-b: pairs in the same order less those in the other, over untied ones."""
    first, second = (np.sign(np.subtract.outer(one, one)) for one in (measured, other))
    untied = math.sqrt(np.sum(first**2) * np.sum(second**2))
    return float(np.sum(first * second)) / untied if untied else None
