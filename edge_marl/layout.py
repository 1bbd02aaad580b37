"""What is where in an observation, with units, scales and the way back to whole numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_marl.kernel.world import (
    EXTENDED_SERVER_FEATURES,
    EXTENDED_TASK_FEATURES,
    SERVER_FEATURES,
    SERVICE_FEATURES,
    TASK_FEATURES,
)
from edge_marl.scenario import Scenario, check_scenario

__all__ = ["DecodedObservation", "Feature", "ObservationLayout"]


@dataclass(frozen=True)
class Feature:
    """A quantity of an observation: one value, or one per type, server or service."""

    name: str
    start: int
    """First index in the flat observation."""
    count: int
    stride: int
    """Distance between its values (1, or the features per server or service)."""
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
    """(..., N) capacity of each server in denoising steps."""
    free: npt.NDArray[np.int64]
    """(..., N) free capacity of each server in denoising steps, as far as the gateway knows."""


class ObservationLayout:
    """The layout of a scenario's observations: float32 vectors with values in [0, 1].

    First the task that is shown, then each server of the neighbourhood, then, in the extended
    model, each service of each server (`docs/extended_model.md`). Base model: of the task its type
    (one-hot where there are several), demand and run time; of a server its capacity and share of
    free capacity. These are the numbers of the published environments; their constant column is
    left out, and AGOD's servers-first order becomes this one. When no task is left, its part is
    zero.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.extended = check_scenario(scenario).extended
        self.num_servers = scenario.num_neighbours
        """Servers N that are seen: all, or a neighbourhood."""
        self.num_services = scenario.num_services
        self.num_types = scenario.num_types
        self.max_demand = scenario.tasks.max_demand
        self.max_run_time_ms = scenario.tasks.max_run_time_ms
        self.max_capacity = max(scenario.servers.capacity)
        self.max_deadline_ms = max(1, scenario.tasks.max_deadline_ms)
        self.max_duration_ms = -(-self.max_run_time_ms * scenario.max_slowdown // 1000)
        self.max_delay_ms = _max_delay_ms(scenario)
        one_hot = self.num_types if self.num_types > 1 else 0
        self.server_features = EXTENDED_SERVER_FEATURES if self.extended else SERVER_FEATURES
        self.service_features = SERVICE_FEATURES if self.extended else 0
        self.task_size = one_hot + (EXTENDED_TASK_FEATURES if self.extended else TASK_FEATURES)
        self._services_at = self.task_size + self.server_features * self.num_servers
        services = self.num_servers * self.num_services
        self.size = self._services_at + self.service_features * services
        self._one_hot = one_hot

    @property
    def features(self) -> tuple[Feature, ...]:
        """All features in order of their first index."""
        at, servers = self._one_hot, self.task_size
        n, stride = self.num_servers, self.server_features
        task = [
            Feature("task demand", at, 1, 1, "denoising steps", self.max_demand),
            Feature("task run time", at + 1, 1, 1, "ms", self.max_run_time_ms),
        ]
        server = [
            Feature("server capacity", servers, n, stride, "denoising steps", self.max_capacity),
            Feature("server free share", servers + 1, n, stride, "share of capacity", 1.0),
        ]
        service: list[Feature] = []
        if self.extended:
            task += [
                Feature("deadline left", at + 2, 1, 1, "ms", self.max_deadline_ms),
                Feature("stages after", at + 3, 1, 1, "stages", 2.0),
            ]
            server += [
                Feature("server up", servers + 2, n, stride, "0 or 1", 1.0),
                Feature("server delay", servers + 3, n, stride, "ms", self.max_delay_ms),
                Feature("server has the input", servers + 4, n, stride, "0 or 1", 1.0),
            ]
            first, count, stride = self._services_at, n * self.num_services, self.service_features
            service = [
                Feature("service quality", first, count, stride, "utility", 2.0),
                Feature("service duration", first + 1, count, stride, "ms", self.max_duration_ms),
                Feature("service warm", first + 2, count, stride, "0 or 1", 1.0),
                Feature("service cost", first + 3, count, stride, "utility", 1.0),
            ]
        kinds = [Feature("task type", 0, at, 1, "one-hot", 1.0)] if at else []
        return (*kinds, *task, *server, *service)

    def feature(self, name: str, observation: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return a feature of observations in its own unit, (..., count)."""
        found = next(feature for feature in self.features if feature.name == name)
        return np.asarray(observation[..., found.indices], dtype=np.float64) * found.scale

    def unflatten(self, observation: Any) -> tuple[Any, Any, Any]:
        """Split observations into tokens: NumPy arrays or torch tensors, views where possible.

        Args:
            observation: (..., size).

        Returns:
            Task features (..., task_size), server features (..., N, 2 or 5), and features of each
            service (..., N, V, 0 or 4): in the base model a service shows nothing of its own.
        """
        batch = tuple(observation.shape[:-1])
        n, v = self.num_servers, self.num_services
        task = observation[..., : self.task_size]
        servers = observation[..., self.task_size : self._services_at]
        services = observation[..., self._services_at :]
        return (
            task,
            servers.reshape((*batch, n, self.server_features)),
            services.reshape((*batch, n, v, self.service_features)),
        )

    def decode(self, observation: npt.NDArray[np.floating[Any]]) -> DecodedObservation:
        """Return the whole numbers behind observations; float32 holds them exactly.

        Args:
            observation: (..., size).
        """
        task, servers, _ = self.unflatten(np.asarray(observation, dtype=np.float64))
        kind = task[..., : self._one_hot]
        task_type = kind.argmax(-1) if self._one_hot else np.zeros(kind.shape[:-1], dtype=np.int64)
        capacity = np.rint(servers[..., 0] * self.max_capacity)
        return DecodedObservation(
            task_type=task_type.astype(np.int64),
            demand=np.rint(task[..., self._one_hot] * self.max_demand).astype(np.int64),
            capacity=capacity.astype(np.int64),
            free=np.rint(servers[..., 1] * capacity).astype(np.int64),
        )


def _max_delay_ms(scenario: Scenario) -> int:
    """Longest time of input and result over a drawn link; 1 without a network."""
    network, cloud = scenario.network, scenario.cloud
    if network is None:
        return 1
    diagonal = math.hypot(*scenario.gateways.area_km)
    propagation = round(network.latency_ms + network.ms_per_km * diagonal)
    us_per_kb = round(8000 / network.bandwidth_mbit[0])
    if cloud is not None:
        propagation = max(propagation, round(cloud.latency_ms))
        us_per_kb = max(us_per_kb, round(8000 / cloud.bandwidth_mbit))
    size = scenario.tasks.upload_kb[1] + scenario.tasks.download_kb[1]
    return max(1, 2 * propagation + -(-size * us_per_kb // 1000))
