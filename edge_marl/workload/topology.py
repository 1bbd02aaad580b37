"""Which servers and services there are: capacities and qualities, drawn once per world."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl.errors import WorkloadError
from edge_marl.scenario import Scenario, check_scenario
from edge_marl.scenario.servers import DeviceServers, DrawnServers, GivenServers

__all__ = ["Topology", "draw_topology", "offered_load"]

NUM_USERS = 1000
"""Users of the published environments; they have no effect but take draws in AGOD's."""


@dataclass(frozen=True, eq=False)
class Topology:
    """Servers and services as arrays (read-only)."""

    capacity: npt.NDArray[np.int64]
    """(S,) denoising steps that fit on each server at one time."""
    baseline: npt.NDArray[np.float64]
    """(S, V, K) quality of each service for each type of task."""
    curve: npt.NDArray[np.float64]
    """(S, V, 4) quality over denoising steps: ax, ay, bx, by (`kernel.task_utility`)."""
    slowdown: npt.NDArray[np.int64] | None = None
    """(S, V) run time against the reference, in thousandths; None is 1000 everywhere."""
    hosted: npt.NDArray[np.bool_] | None = None
    """(S, V) whether a server has the model; None is everywhere."""
    memory: npt.NDArray[np.int64] | None = None
    """(S,) memory for models in MiB; None is enough for all."""
    model_memory: npt.NDArray[np.int64] | None = None
    """(V,) memory that a model takes in MiB; None is 0."""
    energy: npt.NDArray[np.int64] | None = None
    """(S, V) energy of a denoising step in millijoules; None is 0."""
    neighbours: npt.NDArray[np.int64] | None = None
    """(G, N) servers that each gateway may send to, its own first; None is all in order."""
    propagation: npt.NDArray[np.int64] | None = None
    """(G, N) time one way between gateway and neighbour in ms; None is 0."""
    us_per_kb: npt.NDArray[np.int64] | None = None
    """(G, N) time per kB on that link in microseconds; None is 0."""

    def __post_init__(self) -> None:
        """Check shapes and values, and make the arrays read-only."""
        for name in self.arrays():
            dtype, ndim, low, high = _RULES[name]
            given = getattr(self, name)
            array = np.asarray(given)
            if dtype is np.int64 and array.size and not np.issubdtype(array.dtype, np.integer):
                raise WorkloadError(
                    f"array '{name}' has type {array.dtype}: must hold whole numbers: round "
                    f"them, and give {name}.astype(np.int64)"
                )
            array = np.ascontiguousarray(array, dtype=dtype)
            if array.ndim != ndim:
                raise WorkloadError(f"{name} has shape {array.shape}: must have {ndim} dimensions")
            if not np.isfinite(array).all():
                raise WorkloadError(f"{name} holds NaN or infinity: every value must be finite")
            if array.size and not low <= array.min() <= array.max() <= high:
                raise WorkloadError(
                    f"{name} holds {array.min()} to {array.max()}: must be from {low} to {high}"
                )
            if array is given and array.flags.writeable:
                array = array.copy()
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        self._check()

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays that are given, by name."""
        given = {name: getattr(self, name) for name in _RULES}
        return {name: array for name, array in given.items() if array is not None}

    @property
    def quality_range(self) -> tuple[float, float]:
        """The worst and the best that a service can be for a task of some demand."""
        rise = self.curve[:, :, 3] - self.curve[:, :, 1]
        worst = self.baseline.min(axis=2) + np.minimum(rise, 0.0)
        best = self.baseline.max(axis=2) + np.maximum(rise, 0.0)
        return float(worst.min()), float(best.max())

    def __deepcopy__(self, memo: dict[int, object]) -> Topology:
        """Nothing here can change: a copy is the same object."""
        return self

    def _check(self) -> None:
        s, v, k = self.baseline.shape
        if self.capacity.shape != (s,) or self.curve.shape != (s, v, 4) or 0 in (s, v, k):
            raise WorkloadError(
                f"capacity {self.capacity.shape}, baseline {self.baseline.shape} and curve "
                f"{self.curve.shape}: must be (S,), (S, V, K) and (S, V, 4) with S, V, K >= 1"
            )
        per_service = dict.fromkeys(("slowdown", "hosted", "energy"), (s, v))
        for name, shape in (per_service | {"memory": (s,), "model_memory": (v,)}).items():
            array = getattr(self, name)
            if array is not None and array.shape != shape:
                raise WorkloadError(f"{name} has shape {array.shape}: must be {shape}")
        self._check_links(s)
        ax, bx = self.curve[..., 0], self.curve[..., 2]
        if not (bx > ax).all():
            raise WorkloadError("curve has a service with bx <= ax: bx must be larger than ax")

    def _check_links(self, num_servers: int) -> None:
        if self.neighbours is None:
            if self.propagation is not None or self.us_per_kb is not None:
                raise WorkloadError(
                    "propagation and us_per_kb are of neighbours: give the neighbours of each "
                    "gateway too"
                )
            return
        shape = self.neighbours.shape
        for name in ("propagation", "us_per_kb"):
            array = getattr(self, name)
            if array is not None and array.shape != shape:
                raise WorkloadError(f"{name} has shape {array.shape}: must be {shape}, one a link")
        if self.neighbours.max() >= num_servers:
            raise WorkloadError(
                f"neighbours has server {self.neighbours.max()}: must be below {num_servers}"
            )
        ranked = np.sort(self.neighbours, axis=1)
        if (ranked[:, 1:] == ranked[:, :-1]).any():
            raise WorkloadError("neighbours names a server twice for one gateway")


Rule = tuple[type[np.generic], int, float, float]
_RULES: dict[str, Rule] = {
    "capacity": (np.int64, 1, 1, 2**31 - 1),
    "baseline": (np.float64, 3, -1e9, 1e9),
    "curve": (np.float64, 3, -1e12, 1e12),
    "slowdown": (np.int64, 2, 1, 10**9),
    "hosted": (np.bool_, 2, 0, 1),
    "memory": (np.int64, 1, 0, 2**40),
    "model_memory": (np.int64, 1, 0, 2**31 - 1),
    "energy": (np.int64, 2, 0, 10**12),
    "neighbours": (np.int64, 2, 0, 2**31 - 1),
    "propagation": (np.int64, 2, 0, 10**7),
    "us_per_kb": (np.int64, 2, 0, 10**9),
}
"""Type, dimensions, least and largest value of each array."""


@lru_cache(maxsize=64)
def draw_topology(scenario: Scenario) -> Topology:
    """Return the servers of a scenario; the same object for the same scenario.

    The published laws use NumPy's legacy generator, whose streams are frozen for good
    (`reference: RandomState(world)`, drawn in the order of the published constructors).
    """
    servers = check_scenario(scenario).servers
    if isinstance(servers, GivenServers):
        return Topology(
            capacity=np.array(servers.capacity, dtype=np.int64),
            baseline=np.array(servers.baseline, dtype=np.float64),
            curve=np.array(servers.curve, dtype=np.float64),
            slowdown=_slowdowns(servers),
        )
    if isinstance(servers, DeviceServers):
        raise WorkloadError(
            f"scenario '{scenario.name}' draws its servers anew for each episode: take the "
            "topology of a workload, draw_workload(scenario, seed).topology"
        )
    if servers.law == "adsac":
        return _draw_adsac(servers, scenario.num_types)
    return _draw_agod(servers, scenario.num_types)


def _slowdowns(servers: GivenServers) -> npt.NDArray[np.int64] | None:
    """Return what servers that are written out say of their run times, in thousandths."""
    if not servers.slowdown:
        return None
    rows = [[max(1, round(1000 * factor)) for factor in row] for row in servers.slowdown]
    return np.array(rows, dtype=np.int64)


def offered_load(scenario: Scenario) -> float:
    """Mean capacity in use if no task were ever lost, as a share of the edge's capacity.

    Arrival rate x stages of a request x mean of demand x run time / capacity: 0.41 for `agod`, 0.70
    for `paper`. On devices the run time is that of every server and model it may have alike, and
    the capacity the mean one. Time to send, to load models and on the cloud does not count.
    """
    law = scenario.tasks
    weights = law.demand_share or (1.0,) * len(law.demand)
    work = sum(w * t * law.run_time_ms(t) for w, t in zip(weights, law.demand, strict=True))
    work_s = work / sum(weights) / 1000
    capacity, slowdown = _mean_server(scenario)
    per_server = scenario.arrivals.rate_per_s / scenario.servers.count
    return per_server * law.mean_stages * work_s * slowdown / capacity


def _mean_server(scenario: Scenario) -> tuple[float, float]:
    """Mean capacity of an edge server, and mean slowdown of the models that one may have."""
    servers = scenario.servers
    if not isinstance(servers, DeviceServers):
        own = draw_topology(scenario)
        slowdown = 1.0 if own.slowdown is None else float(own.slowdown.mean()) / 1000
        return float(own.capacity.mean()), slowdown
    capacity = slowdown = 0.0
    for device in servers.devices:
        models = [
            model.slowdown
            for model in servers.models
            if not scenario.residency or model.memory_mib <= device.memory_mib
        ]
        capacity += device.share * sum(device.capacity) / len(device.capacity)
        slowdown += device.share * device.slowdown * sum(models) / len(models)
    shares = sum(device.share for device in servers.devices)
    return capacity / shares, slowdown / shares


def _grid(start: float, stop: float, step: float) -> npt.NDArray[np.float64]:
    """`numpy.arange` of floats, spelled out.

    NumPy computes start + i * ((start + step) - start); a compiler that fuses the multiply and the
    add would change last bits between machines, plain Python floats cannot.
    """
    delta = (start + step) - start
    count = int(np.ceil((stop - start) / step))
    return np.array([start + i * delta for i in range(count)])


def _draw_curve(rng: np.random.RandomState) -> list[float]:
    """ax, ay, bx, by of one service, from the published sets."""
    sets = (_grid(0, 100, 10), _grid(0, 0.5, 0.05), _grid(150, 250, 10), _grid(0.5, 1, 0.05))
    return [float(rng.choice(values)) for values in sets]


def _draw_adsac(servers: DrawnServers, types: int) -> Topology:
    rng = np.random.RandomState(servers.world)
    qualities = _grid(0, 1, 0.1)
    capacity, baseline, curve = [], [], []
    for _ in range(servers.count):
        services = []
        for _ in range(servers.services):
            services.append([float(rng.choice(qualities)) for _ in range(types)])
            curve.append(_draw_curve(rng))
        baseline.append(services)
        capacity.append(int(rng.choice(np.array(servers.capacity))))
    shape = (servers.count, servers.services, 4)
    return Topology(np.array(capacity), np.array(baseline), np.array(curve).reshape(shape))


def _draw_agod(servers: DrawnServers, types: int) -> Topology:
    rng = np.random.RandomState(servers.world)
    for _ in range(NUM_USERS):
        rng.randint((0, 0), (100, 100), size=(1, 2))
    capacity, curve = [], []
    for _ in range(servers.count):
        curve.append(_draw_curve(rng))
        capacity.append(int(rng.choice(np.array(servers.capacity))))
        rng.randint((0, 0), (100, 100), size=(1, 2))
    baseline = np.zeros((servers.count, 1, types))
    return Topology(np.array(capacity), baseline, np.array(curve)[:, None, :])
