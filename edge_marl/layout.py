"""What is where in an observation, with units, scales and the way back to whole numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_marl.kernel import SERVER_FEATURES, TASK_FEATURES
from edge_marl.scenario import Scenario

__all__ = ["DecodedObservation", "Feature", "ObservationLayout"]


@dataclass(frozen=True)
class Feature:
    """One feature, or one per server, of an observation."""

    name: str
    start: int
    """First index in the flat observation."""
    count: int
    stride: int
    """Distance between its values (1, or the features per server)."""
    unit: str
    scale: float
    """The observed value is the quantity divided by this."""

    @property
    def indices(self) -> npt.NDArray[np.int64]:
        """Where its values are in the flat observation."""
        return self.start + self.stride * np.arange(self.count)


class DecodedObservation(NamedTuple):
    """Observed quantities in their own units, exact (batch dimensions first)."""

    task_type: npt.NDArray[np.int64]
    """(...,) type of the task shown; 0 where none is."""
    demand: npt.NDArray[np.int64]
    """(...,) its demand in denoising steps; 0 where none is shown."""
    capacity: npt.NDArray[np.int64]
    """(..., S) capacity of each server in denoising steps."""
    free: npt.NDArray[np.int64]
    """(..., S) free capacity of each server in denoising steps."""


class ObservationLayout:
    """The layout of a scenario's observations: float32 vectors with values in [0, 1].

    First the task that is shown (its type one-hot where there are several types, its demand, its
    run time), then each server (its capacity, its share of free capacity). These are the numbers of
    the published environments; their constant column is left out, and AGOD's servers-first order
    becomes this one. When no task is left, the task's part is zero.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.num_servers = scenario.num_servers
        self.num_services = scenario.num_services
        self.num_types = scenario.num_types
        self.max_demand = max(scenario.tasks.demand)
        self.max_run_time_ms = max(scenario.tasks.run_time_ms(t) for t in scenario.tasks.demand)
        self.max_capacity = max(scenario.servers.capacity)
        one_hot = self.num_types if self.num_types > 1 else 0
        self.task_size = one_hot + TASK_FEATURES
        self.size = self.task_size + SERVER_FEATURES * self.num_servers
        self._one_hot = one_hot

    @property
    def features(self) -> tuple[Feature, ...]:
        """All features in order of their first index."""
        at, servers = self._one_hot, self.task_size
        s, stride = self.num_servers, SERVER_FEATURES
        task = (
            Feature("task demand", at, 1, 1, "denoising steps", self.max_demand),
            Feature("task run time", at + 1, 1, 1, "ms", self.max_run_time_ms),
        )
        server = (
            Feature("server capacity", servers, s, stride, "denoising steps", self.max_capacity),
            Feature("server free share", servers + 1, s, stride, "share of capacity", 1.0),
        )
        kinds = (Feature("task type", 0, at, 1, "one-hot", 1.0),) if at else ()
        return (*kinds, *task, *server)

    def unflatten(self, observation: Any) -> tuple[Any, Any, Any]:
        """Split observations into tokens: NumPy arrays or torch tensors, views where possible.

        Args:
            observation: (..., size).

        Returns:
            Task features (..., task_size), server features (..., S, 2), and features of each
            service (..., S, V, 0): in these tiers a service shows nothing of its own.
        """
        batch = tuple(observation.shape[:-1])
        task = observation[..., : self.task_size]
        shape = (*batch, self.num_servers, SERVER_FEATURES)
        servers = observation[..., self.task_size :].reshape(shape)
        services = observation[..., :0].reshape((*batch, self.num_servers, self.num_services, 0))
        return task, servers, services

    def decode(self, observation: npt.NDArray[np.floating[Any]]) -> DecodedObservation:
        """Return the whole numbers behind observations; float32 holds them exactly.

        Args:
            observation: (..., size).
        """
        task = np.asarray(observation[..., : self.task_size], dtype=np.float64)
        servers = np.asarray(observation[..., self.task_size :], dtype=np.float64)
        kind = task[..., : self._one_hot]
        task_type = kind.argmax(-1) if self._one_hot else np.zeros(kind.shape[:-1], dtype=np.int64)
        capacity = np.rint(servers[..., 0::2] * self.max_capacity)
        return DecodedObservation(
            task_type=task_type.astype(np.int64),
            demand=np.rint(task[..., self._one_hot] * self.max_demand).astype(np.int64),
            capacity=capacity.astype(np.int64),
            free=np.rint(servers[..., 1::2] * capacity).astype(np.int64),
        )
