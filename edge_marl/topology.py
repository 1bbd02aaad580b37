"""Which servers and services there are: capacities and qualities, drawn once per world."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from edge_marl.errors import WorkloadError
from edge_marl.scenario import DrawnServers, GivenServers, Scenario

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

    def __post_init__(self) -> None:
        """Check shapes and values, and make the arrays read-only."""
        rules = {"capacity": (np.int64, 1), "baseline": (np.float64, 3), "curve": (np.float64, 3)}
        for name, (dtype, ndim) in rules.items():
            array = np.ascontiguousarray(getattr(self, name), dtype=dtype)
            if array.ndim != ndim:
                raise WorkloadError(f"{name} has shape {array.shape}: must have {ndim} dimensions")
            if not np.isfinite(array).all():
                raise WorkloadError(f"{name} holds NaN or infinity: every value must be finite")
            if array is getattr(self, name) and array.flags.writeable:
                array = array.copy()
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        self._check()

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
        if self.capacity.min() < 1 or self.capacity.max() >= 2**31:
            raise WorkloadError(
                f"capacity {self.capacity.min()} to {self.capacity.max()}: must be 1 to 2**31 - 1"
            )
        ax, bx = self.curve[..., 0], self.curve[..., 2]
        if not (bx > ax).all():
            raise WorkloadError("curve has a service with bx <= ax: bx must be larger than ax")


@lru_cache(maxsize=64)
def draw_topology(scenario: Scenario) -> Topology:
    """Return the servers of a scenario; the same object for the same scenario.

    The published laws use NumPy's legacy generator, whose streams are frozen for good
    (`reference: RandomState(world)`, drawn in the order of the published constructors).
    """
    servers = scenario.servers
    if isinstance(servers, GivenServers):
        return Topology(
            capacity=np.array(servers.capacity, dtype=np.int64),
            baseline=np.array(servers.baseline, dtype=np.float64),
            curve=np.array(servers.curve, dtype=np.float64),
        )
    if servers.law == "adsac":
        return _draw_adsac(servers, scenario.num_types)
    return _draw_agod(servers, scenario.num_types)


def offered_load(scenario: Scenario) -> float:
    """Mean capacity in use if no task were ever lost, as a share of all capacity.

    Arrival rate x mean of demand x run time / capacity: 0.41 for `agod`, 0.70 for `paper`.
    """
    demand = scenario.tasks.demand
    work_s = sum(t * scenario.tasks.run_time_ms(t) / 1000 for t in demand) / len(demand)
    return scenario.arrivals.rate_per_s * work_s / int(draw_topology(scenario).capacity.sum())


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
