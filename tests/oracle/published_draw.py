"""Redraws the published topologies and workloads from NumPy's frozen legacy stream.

The published code draws from the global generator, seeded by ``numpy.random.seed(k)``; a private
``RandomState(k)`` gives the same numbers, and NumPy has frozen its streams for good. The results
are plain arrays, in seconds, in the recorded traces' form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_marl.kernel.world import ARRIVAL, DEMAND, NUM_TASK_FIELDS, RUN_TIME, TYPE
from edge_marl.workload import Workload
from edge_marl.workload.topology import Topology

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUM_USERS = 1000
HORIZON_S = 1e6


@dataclass(frozen=True)
class PublishedLaw:
    """The constants of one published environment."""

    num_servers: int
    num_services: int
    num_types: int  # 0: no types, none drawn
    capacity: range
    demand: range
    arrival_rate: float  # tasks per second
    draws_users: bool  # AGOD draws a place for each user and server


PAPER = PublishedLaw(10, 4, 4, range(600, 1401, 100), range(100, 241, 10), 0.0015, False)
AGOD = PublishedLaw(20, 1, 0, range(400, 901, 100), range(100, 251, 10), 0.001, True)
LAWS = {"paper": PAPER, "agod": AGOD}


@dataclass(frozen=True)
class PublishedTopology:
    """Servers as the published code draws them."""

    cap: NDArray[np.int64]  # (S,)
    base: NDArray[np.float64]  # (S, V, K)
    coef: NDArray[np.float64]  # (S, V, 4): ax, ay, bx, by


@dataclass(frozen=True)
class PublishedTasks:
    """Tasks as the published code draws them; the last one is never dispatched."""

    arrival: NDArray[np.int64]  # (N,) s
    ttype: NDArray[np.int64]  # (N,)
    t: NDArray[np.int64]  # (N,) denoising steps


def _stream(seed: int) -> np.random.RandomState:
    return np.random.RandomState(seed)  # legacy on purpose: these are the published numbers


def draw_topology(law: PublishedLaw, seed: int) -> PublishedTopology:
    """Draw what the published constructor draws after ``numpy.random.seed(seed)``."""
    stream = _stream(seed)
    axes = (
        np.arange(0, 100, 10),
        np.arange(0, 0.5, 0.05),
        np.arange(150, 250, 10),
        np.arange(0.5, 1, 0.05),
    )
    cap = np.zeros(law.num_servers, np.int64)
    base = np.zeros((law.num_servers, law.num_services, max(law.num_types, 1)))
    coef = np.zeros((law.num_servers, law.num_services, 4))
    if law.draws_users:
        for _ in range(NUM_USERS):
            stream.randint((0, 0), (100, 100), size=(1, 2))
    for j in range(law.num_servers):
        for v in range(law.num_services):
            for k in range(law.num_types):
                base[j, v, k] = stream.choice(np.arange(0, 1, 0.1))
            for column, axis in enumerate(axes):
                coef[j, v, column] = stream.choice(axis)
        cap[j] = stream.choice(law.capacity)
        if law.draws_users:
            stream.randint((0, 0), (100, 100), size=(1, 2))
    return PublishedTopology(cap, base, coef)


def draw_tasks(law: PublishedLaw, seed: int) -> PublishedTasks:
    """Draw what the published ``reset`` and steps draw after ``numpy.random.seed(seed)``."""
    stream = _stream(seed)
    count = stream.poisson(law.arrival_rate * HORIZON_S)
    times = np.sort(stream.uniform(0, 1, count) * HORIZON_S)
    arrival = np.concatenate([[0.0], times]).astype(np.int64)
    ttype = np.zeros(count + 1, np.int64)
    t = np.zeros(count + 1, np.int64)
    for i in range(count + 1):
        stream.choice(NUM_USERS)  # the task's user, who has no effect
        if law.num_types:
            ttype[i] = stream.choice(law.num_types)
        t[i] = stream.choice(law.demand)
    return PublishedTasks(arrival, ttype, t)


def published_workload(law: PublishedLaw, topology_seed: int, workload_seed: int) -> Workload:
    """Return the published servers and tasks of two seeds as a workload of this project."""
    drawn = draw_tasks(law, workload_seed)
    columns = np.zeros((len(drawn.t), NUM_TASK_FIELDS), np.int64)
    columns[:, ARRIVAL] = drawn.arrival * 1000
    columns[:, RUN_TIME] = [run_time_ms(t) for t in drawn.t.tolist()]
    columns[:, DEMAND] = drawn.t
    columns[:, TYPE] = drawn.ttype
    servers = draw_topology(law, topology_seed)
    return Workload(
        topology=Topology(capacity=servers.cap, baseline=servers.base, curve=servers.coef),
        tasks=columns,
    )


def run_time_ms(t: int) -> int:
    """Published run time of ``t`` denoising steps."""
    return round((0.001 * t**2 + 2.5 * t - 14) * 60) * 1000
