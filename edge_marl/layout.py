"""What is where in an observation, with units, scales and the way back to whole numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_marl.kernel.world import (
    CLASS_FEATURES,
    EXTENDED_SERVER_FEATURES,
    EXTENDED_TASK_FEATURES,
    QUEUE_FEATURES,
    SERVER_FEATURES,
    SERVICE_FEATURES,
    TASK_FEATURES,
)
from edge_marl.scenario import Scenario, check_scenario
from edge_marl.tables import Shown, Table

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


class ObservationLayout(Shown):
    """The layout of a scenario's observations: float32 vectors with values in [0, 1].

    First the task that is shown, then each server of the neighbourhood, then, in the extended
    model, each service of each server, and last what lines at servers, levels and classes of
    service add to each of the three (`docs/model/extended.md`). Base model: of the task its type
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
        self.num_choices = scenario.num_services * scenario.num_levels
        """What may be chosen on a server: each service, at each level."""
        self.num_actions = scenario.num_actions
        self.may_decline = scenario.decline is not None
        """Whether the last action is to say no."""
        self.num_types = scenario.num_types
        self.max_demand = scenario.tasks.max_demand
        self.max_run_time_ms = scenario.tasks.max_run_time_ms
        self.max_capacity = max(scenario.servers.capacity)
        self.max_deadline_ms = max(1, scenario.tasks.max_deadline_ms)
        self.max_duration_ms = scenario.max_duration_ms
        self.max_delay_ms = _max_delay_ms(scenario)
        self.max_weight = scenario.tasks.max_weight
        self.lower_levels = scenario.levels.thousandths[:-1] if scenario.levels else ()
        """Levels below all steps, in thousandths of them."""
        self.max_waiting = scenario.queue.limit if scenario.queue else 0
        """Tasks that may wait at a server."""
        self._one_hot = self.num_types if self.num_types > 1 else 0
        base = (TASK_FEATURES, SERVER_FEATURES, 0)
        with_parts = (EXTENDED_TASK_FEATURES, EXTENDED_SERVER_FEATURES, SERVICE_FEATURES)
        task, server, service = with_parts if self.extended else base
        more = (
            CLASS_FEATURES if scenario.tasks.classes else 0,
            QUEUE_FEATURES if scenario.queue else 0,
            len(self.lower_levels),
        )
        counts = (1, self.num_servers, self.num_servers * self.num_services)
        blocks = _lay_out((self._one_hot + task, server, service), counts, 0)
        self._blocks = blocks + _lay_out(more, counts, blocks[-1].stop)
        self.size = self._blocks[-1].stop
        self.task_size = blocks[0].width + more[0]
        """Features of the task, as `unflatten` gives them."""
        self.server_features = blocks[1].width + more[1]
        """Features of each server, likewise."""
        self.service_features = blocks[2].width + more[2]
        """Features of each service, likewise."""
        self._scattered = any(more)

    @property
    def features(self) -> tuple[Feature, ...]:
        """All features in order of their first index."""
        task, server, service, *more = self._blocks
        at = self._one_hot
        known = [
            Feature("task type", 0, at, 1, "one-hot", 1.0),
            task.feature("task demand", at, "denoising steps", self.max_demand),
            task.feature("task run time", at + 1, "ms", self.max_run_time_ms),
            task.feature("deadline left", at + 2, "ms", self.max_deadline_ms),
            task.feature("stages after", at + 3, "stages", 2.0),
            server.feature("server capacity", 0, "denoising steps", self.max_capacity),
            server.feature("server free share", 1, "share of capacity", 1.0),
            server.feature("server up", 2, "0 or 1", 1.0),
            server.feature("server delay", 3, "ms", self.max_delay_ms),
            server.feature("server has the input", 4, "0 or 1", 1.0),
            service.feature("service quality", 0, "utility", 2.0),
            service.feature("service duration", 1, "ms", self.max_duration_ms),
            service.feature("service warm", 2, "0 or 1", 1.0),
            service.feature("service cost", 3, "utility", 1.0),
            more[0].feature("request weight", 0, "thousandths", self.max_weight),
            more[1].feature("server waiting", 0, "tasks", max(1, self.max_waiting)),
            more[1].feature("server backlog", 1, "ms", self.max_duration_ms),
        ]
        for level, share in enumerate(self.lower_levels):
            name = f"service quality at {share / 10:g} %"
            known.append(more[2].feature(name, level, "utility", 2.0))
        return tuple(feature for feature in known if feature.count)

    def as_table(self) -> Table:
        """Return a row per feature: where its values are, their unit, and what they are shares of.

        Values lie `apart` from each other: feature i of n is at `first + i * apart`.
        """
        rows = [
            (f.name, f"{f.start}", f"{f.count}", f"{f.stride}", f.unit, f"{f.scale:g}")
            for f in self.features
        ]
        names = ("feature", "first", "values", "apart", "unit", "divided by")
        return Table(f"observation of {self.size} numbers from 0 to 1", [names, *rows], True)

    def feature(self, name: str, observation: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return a feature of observations in its own unit, (..., count)."""
        found = next(feature for feature in self.features if feature.name == name)
        return np.asarray(observation[..., found.indices], dtype=np.float64) * found.scale

    def unflatten(self, observation: Any) -> tuple[Any, Any, Any]:
        """Split observations into tokens: NumPy arrays or torch tensors, views where possible.

        Args:
            observation: (..., size).

        Returns:
            Task features (..., task_size), server features (..., N, server_features), and features
            of each service (..., N, V, service_features): none in the base model.
        """
        batch = tuple(observation.shape[:-1])
        n, v = self.num_servers, self.num_services
        shapes: tuple[tuple[int, ...], ...] = ((), (n,), (n, v))
        sizes = (self.task_size, self.server_features, self.service_features)
        if self._scattered:
            parts = [observation[..., index] for index in self._tokens]
        else:
            parts = [observation[..., block.start : block.stop] for block in self._blocks[:3]]
        task, servers, services = (
            part.reshape((*batch, *shape, size))
            for part, shape, size in zip(parts, shapes, sizes, strict=True)
        )
        return task, servers, services

    @cached_property
    def _tokens(self) -> list[npt.NDArray[np.int64]]:
        """Where the features of the task, of each server and of each service are."""
        return [
            np.concatenate([first.indices, more.indices], axis=1).ravel()
            for first, more in zip(self._blocks[:3], self._blocks[3:], strict=True)
        ]

    def decode(self, observation: npt.NDArray[np.floating[Any]]) -> DecodedObservation:
        """Return the whole numbers behind observations; float32 holds them exactly.

        Args:
            observation: (..., size).
        """
        servers = self._blocks[1]
        kind = observation[..., : self._one_hot]
        task_type = kind.argmax(-1) if self._one_hot else np.zeros(kind.shape[:-1], dtype=np.int64)
        of_servers = observation[..., servers.start : servers.stop]
        size = of_servers[..., :: servers.width].astype(np.float64)
        share = of_servers[..., 1 :: servers.width].astype(np.float64)
        demand = observation[..., self._one_hot].astype(np.float64)
        capacity = np.rint(size * self.max_capacity)
        return DecodedObservation(
            task_type=task_type.astype(np.int64),
            demand=np.rint(demand * self.max_demand).astype(np.int64),
            capacity=capacity.astype(np.int64),
            free=np.rint(share * capacity).astype(np.int64),
        )


class _Block(NamedTuple):
    """Equal parts of an observation that lie one after the other: of the task, or of servers."""

    start: int
    items: int
    width: int
    """Features of each."""

    @property
    def stop(self) -> int:
        """First index after it."""
        return self.start + self.items * self.width

    @property
    def indices(self) -> npt.NDArray[np.int64]:
        """(items, width) where its values are in the flat observation."""
        return np.arange(self.start, self.stop).reshape(self.items, self.width)

    def feature(self, name: str, at: int, unit: str, scale: float) -> Feature:
        """One of its features; of no values if the block does not go so far."""
        count = self.items if at < self.width else 0
        return Feature(name, self.start + at, count, max(1, self.width), unit, scale)


def _lay_out(widths: tuple[int, ...], counts: tuple[int, ...], start: int) -> list[_Block]:
    blocks = []
    for width, count in zip(widths, counts, strict=True):
        blocks.append(_Block(start, count, width))
        start = blocks[-1].stop
    return blocks


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
