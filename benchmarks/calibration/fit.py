"""A scenario is fitted to what was measured of the servers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edge_marl.benchmarks.calibration.profile import Profile
from edge_marl.benchmarks.calibration.wishes import SERVICES, TYPES, Wishes
from edge_marl.errors import ServingError
from edge_marl.files import write_file
from edge_marl.scenario import Scenario
from edge_marl.scenario.parts import Concurrency, Queue
from edge_marl.scenario.writing import as_toml

__all__ = ["MOST_WAITING", "PARTS", "Parts", "fit", "with_parts", "write_files"]

FLAT = (0.0, 0.0, 1.0, 0.0)
"""Quality over steps, from the smallest demand on: more steps make no better digits."""
LEAST_HORIZON_S = 60
FIRST_PORT = 9001
LEAST_GROWTH, MOST_GROWTH = 0.001, 1.0
"""Of a scenario's section `concurrency`."""


class Parts(NamedTuple):
    """Which of two parts of the extended model are on."""

    queue: bool
    concurrency: bool

    def __str__(self) -> str:
        named = [name for name, on in zip(self._fields, self, strict=True) if on]
        return " + ".join(named) or "neither"


PARTS = tuple(Parts(queue, growth) for queue in (False, True) for growth in (False, True))


def fit(wishes: Wishes, profile: Profile | None, line: int) -> Scenario:
    """Return the scenario of servers that were measured.

    Its run times are those of service 0, a straight line over the steps; other services have them
    times their slowdown. A task that is lost costs what it would have been worth, and nothing
    besides: that is counted alike in both worlds.

    Args:
        wishes: of the calibration.
        profile: of the servers; None: not measured yet, with round numbers in their place.
        line: tasks that may wait at a server.
    """
    fixed, per_step, slowdown = _run_times(profile) if profile else (0.01, 0.001, [1.0, 2.0])
    growth = _growths(profile) if profile else [0.5, 0.5]
    quality = profile.quality if profile else [[0.5] * TYPES] * len(SERVICES)
    restart = float(np.median(profile.restart_s)) if profile else 1.0
    count = len(wishes.capacity)
    mean_s = float(np.mean(slowdown)) * (fixed + per_step * float(np.mean(wishes.demand)))
    rate = wishes.load * count / mean_s
    facts: dict[str, Any] = {
        "name": "calibrated",
        "version": 1,
        "summary": f"{count} model servers, as they were measured",
        "servers": {
            "law": "given",
            "capacity": wishes.capacity,
            "baseline": [[[round(q, 3) for q in row] for row in quality]] * count,
            "curve": [[FLAT] * len(SERVICES)] * count,
            "slowdown": [[round(factor, 3) for factor in slowdown]] * count,
        },
        "tasks": {
            "types": TYPES,
            "demand": wishes.demand,
            "run_time_minutes": (0.0, round(per_step / 60, 9), round(fixed / 60, 9)),
        },
        "arrivals": {
            "rate_per_s": round(rate, 3),
            "horizon_s": max(LEAST_HORIZON_S, math.ceil(1.5 * wishes.requests / rate)),
        },
        "overload": {
            "penalty": 0.0,
            "loss_sum": "in-order",
            "restart_s": round(restart, 3),
            "refund": True,
        },
        "concurrency": {"growth": [round(one, 3) for one in growth]},
        "episode": {"end": "horizon"},
    }
    if line:
        facts["queue"] = {"limit": line}
    if wishes.gateways > 1:
        facts["gateways"] = {"count": wishes.gateways}
    return Scenario.model_validate(facts)


def with_parts(scenario: Scenario, parts: Parts, line: int) -> Scenario:
    """Return a fitted scenario with other parts on.

    Args:
        scenario: `fit`'s.
        parts: that are to be on.
        line: tasks that may wait at a server, where they may; 0 is as many as a line has at most.
    """
    growth = scenario.concurrency
    assert isinstance(growth, Concurrency)
    changes = {
        "queue": Queue(limit=line or MOST_WAITING) if parts.queue else None,
        "concurrency": growth if parts.concurrency else None,
    }
    return scenario.model_copy(update=changes)


MOST_WAITING = 64
"""Of a line where the servers have none: no task is turned away."""


def write_files(scenario: Scenario, wishes: Wishes, folder: Path, line: int) -> None:
    """Write a fitted scenario, that agents can be trained on, and a gateway's file for it.

    Args:
        scenario: `fit`'s.
        wishes: of the calibration.
        folder: of `line-LINE.toml` and `serve-LINE.toml`.
        line: tasks that may wait at a server.
    """
    commands = [
        f"    edge-marl backend --port {FIRST_PORT + k} --capacity {capacity} --line {line} "
        f"--tiles {wishes.tiles}"
        for k, capacity in enumerate(wishes.capacity)
    ]
    comment = (
        "Model servers of one machine, measured and fitted by `edge-marl calibrate`: run times,\n"
        "growth, quality and restart are its own. The servers are\n" + "\n".join(commands)
    )
    name = f"line-{line}.toml"
    write_file(folder / name, as_toml(scenario, comment), ServingError)
    backends = [
        f'[[backends]]\nname = "server-{k}"\naddress = "http://127.0.0.1:{FIRST_PORT + k}"\n'
        f'models = {json.dumps(SERVICES)}\nreport = "/report"\n'
        for k in range(len(wishes.capacity))
    ]
    head = f'# A gateway in front of the servers of {name}.\nscenario = "{name}"\n'
    write_file(folder / f"serve-{line}.toml", "\n".join([head, *backends]), ServingError)


def _run_times(profile: Profile) -> tuple[float, float, list[float]]:
    """Return time for no steps and for each step of service 0 (s), and slowdowns of services.

    Least squares of relative errors, over the medians of each demand.
    """
    medians = [(one.service, one.demand, float(np.median(one.seconds))) for one in profile.alone]
    steps = np.array([demand for service, demand, _ in medians if service == 0], dtype=np.float64)
    took = np.array([seconds for service, _, seconds in medians if service == 0])
    columns = np.stack([1 / took, steps / took], axis=1)
    (fixed, per_step), *_ = np.linalg.lstsq(columns, np.ones(len(took)), rcond=None)
    fixed, per_step = max(0.0, float(fixed)), max(1e-6, float(per_step))
    slowdown = []
    for service in range(len(SERVICES)):
        ratios = [s / (fixed + per_step * t) for one, t, s in medians if one == service]
        slowdown.append(float(np.mean(ratios)))
    slowdown[0] = 1.0
    return fixed, per_step, slowdown


def _growths(profile: Profile) -> list[float]:
    """Return by which part of its time a task of each service grows with each one beside it."""
    alone = {(one.service, one.demand): float(np.median(one.seconds)) for one in profile.alone}
    second = sorted({one.demand for one in profile.alone})[1]
    growths = []
    for service in range(len(SERVICES)):
        slopes = [
            (float(np.median(one.seconds)) / alone[service, second] - 1) / (one.count - 1)
            for one in profile.beside
            if one.service == service
        ]
        growths.append(float(np.clip(np.mean(slopes), LEAST_GROWTH, MOST_GROWTH)))
    return growths
