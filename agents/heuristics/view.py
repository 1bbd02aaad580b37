"""What heuristics decide on: a batch of observations as arrays of servers and services.

One form for both models. In the base model qualities are not observed and come from the scenario's
topology; in the extended model all comes from the observation (`docs/extended_model.md`), and
everything that is stale there is stale here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl.agents.base import legal_actions
from edge_marl.kernel.world import Floats, Ints
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario
from edge_marl.scenario.servers import DeviceServers
from edge_marl.simulator.utility import task_utilities
from edge_marl.workload.topology import draw_topology

__all__ = ["Known", "View", "best_action", "first_that_has_any", "pick"]

Observations = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


class Known:
    """What an agent knows of a scenario before it sees anything."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.layout = ObservationLayout(scenario)
        self._features = {feature.name: feature for feature in self.layout.features}
        self.topology = None if scenario.extended else draw_topology(scenario)
        """Servers and services of the base model, whose qualities are not observed."""
        self.cloud = np.zeros(scenario.num_neighbours, dtype=np.bool_)
        """(N,) which neighbour is the cloud."""
        self.cloud[-1:] = scenario.cloud is not None
        self.load_ms = scenario.residency.mean_load_ms if scenario.residency else 0.0
        """Expected time to load a model that is not resident."""
        self.least_demand = min(scenario.tasks.demand)
        self.reserve = _reserve(scenario)
        """(N,) denoising steps that may have been sent to a server since telemetry showed it."""
        servers = scenario.servers
        self.memory = (
            Memory(servers) if scenario.residency and isinstance(servers, DeviceServers) else None
        )
        """Where it counts."""

    def read(self, name: str, observation: Observations) -> Floats:
        """Return a feature in its own unit, (B, count), as `ObservationLayout.feature` does."""
        found = self._features[name]
        values = observation[
            :, found.start : found.start + found.stride * found.count : found.stride
        ]
        return values.astype(np.float64) * found.scale

    def view(self, observation: Observations, info: Mapping[str, Any]) -> View:
        """Return what a batch of observations says."""
        return View(self, observation, info)


class Memory:
    """Memory of servers that a gateway works out from what it sees of them, and that of models."""

    def __init__(self, servers: DeviceServers) -> None:
        self.of_model = np.array([model.memory_mib for model in servers.models])
        """(V,) memory of each model in MiB."""
        self._devices = servers.devices
        self._speeds = np.array(
            [
                [device.slowdown * model.slowdown for model in servers.models]
                for device in servers.devices
            ]
        )

    def of_server(self, view: View) -> Ints:
        """Return the least memory of a device class that a server may be of, in MiB, (B, N).

        A class is told by its capacities and by the run time of the first model that is hosted.
        """
        model = view.legal.argmax(-1)
        run_time = np.take_along_axis(view.duration_ms, model[..., None], -1)[..., 0]
        least = np.full(run_time.shape, np.iinfo(np.int64).max)
        for device, speed in zip(self._devices, self._speeds, strict=True):
            expected = view.run_time_ms[:, None] * speed[model]
            may_be = (view.capacity[..., None] == device.capacity).any(-1)
            may_be &= np.abs(run_time - expected) <= 2.0 + 1e-5 * expected
            least = np.where(may_be, np.minimum(least, device.memory_mib), least)
        smallest = min(device.memory_mib for device in self._devices)
        known: Ints = np.where(least < np.iinfo(np.int64).max, least, smallest)
        return known


class View:
    """A batch of observations: B rows, N servers, V services.

    Args:
        known: what is known besides.
        observation: (B, D).
        info: what came with it; see `Agent.act`.
    """

    def __init__(self, known: Known, observation: Observations, info: Mapping[str, Any]) -> None:
        self._known = known
        self._observation = observation
        self._layout = known.layout
        self.rows = len(observation)
        self._grid = (self.rows, known.layout.num_servers, known.layout.num_services)
        self.legal = legal_actions(info, self.rows, known.scenario).reshape(self._grid)
        """(B, N, V) what the mask allows."""
        self._seen = known.layout.decode(observation)

    @property
    def cloud(self) -> Bools:
        """(N, 1) which server is the cloud, to combine with (B, N, V)."""
        return self._known.cloud[:, None]

    @property
    def edge(self) -> Bools:
        """(N, 1) which servers are not the cloud."""
        return ~self.cloud

    @property
    def demand(self) -> Ints:
        """(B,) demand of the task in denoising steps; 0 where none is shown."""
        return self._seen.demand

    @property
    def capacity(self) -> Ints:
        """(B, N) capacity of each server in denoising steps."""
        return self._seen.capacity

    @property
    def free(self) -> Ints:
        """(B, N) free capacity of each server in denoising steps, as far as the gateway knows."""
        return self._seen.free

    @cached_property
    def free_share(self) -> Floats:
        """(B, N) free capacity over capacity."""
        return self._read("server free share")

    @cached_property
    def up(self) -> Bools:
        """(B, N) servers that are not down."""
        if not self._layout.extended:
            return np.ones(self._grid[:2], dtype=np.bool_)
        return self._read("server up") > 0.5

    @cached_property
    def usable(self) -> Bools:
        """(B, N, V) legal actions on servers that are up; all legal ones where none of them is."""
        usable = self.legal & self.up[..., None]
        return np.where(usable.any((1, 2), keepdims=True), usable, self.legal)

    @cached_property
    def fits(self) -> Bools:
        """(B, N, V) legal actions on servers that are up and have room, as far as is seen.

        Room is free capacity, and memory whatever models the server is busy with: which they are
        is not observed. The cloud always has room.
        """
        return self._fits(self.demand[:, None])

    @cached_property
    def safe(self) -> Bools:
        """(B, N, V) those of `fits` that have a reserve for what may have been sent since.

        Where telemetry is old, a server that fits for one gateway fits for all around, and they
        meet there. All is safe that is seen as it is now.
        """
        return self._fits(self.demand[:, None] + self._known.reserve)

    @cached_property
    def candidates(self) -> Bools:
        """(B, N, V) what is safe; where nothing is, what fits; where nothing does, `least_bad`."""
        return first_that_has_any(self.safe, self.fits, self.least_bad)

    @cached_property
    def least_bad(self) -> Bools:
        """(B, N, V) legal actions on the server where a task without room does the least harm.

        One that is down only denies the task, or is up again by now. Else that with the least in
        use: a crash costs the penalty for what runs there too.
        """
        in_use = np.where(self.up, self.capacity - self.free, -1)
        in_use = np.where(self.legal.any(-1), in_use, np.iinfo(np.int64).max)
        return self.legal & self.of_server(in_use.argmin(1))

    @cached_property
    def warm(self) -> Bools:
        """(B, N, V) models that are resident; all in the base model."""
        if not self._layout.extended:
            return np.ones(self._grid, dtype=np.bool_)
        return self._service("service warm") > 0.5

    @cached_property
    def run_time_ms(self) -> Floats:
        """(B,) run time of the task on the reference device."""
        return self._read("task run time")[:, 0]

    @cached_property
    def duration_ms(self) -> Floats:
        """(B, N, V) run time at each place, without input, loading and result."""
        if not self._layout.extended:
            return np.broadcast_to(self.run_time_ms[:, None, None], self._grid)
        return self._service("service duration")

    @cached_property
    def until_end_ms(self) -> Floats:
        """(B, N, V) expected time from now until the stage has ended and its result is back.

        A model that is not resident is loaded while the input is on its way.
        """
        if not self._layout.extended:
            return self.duration_ms
        delay = self._read("server delay")[..., None]
        load = np.where(self.warm, 0.0, self._known.load_ms)
        return np.maximum(delay, load) + self.duration_ms

    @cached_property
    def value(self) -> Floats:
        """(B, N, V) expected reward of each place if the task fits there.

        Base model: the very utility. Extended: the stage's share of its request's value, after the
        lateness that it can expect, less its cost.
        """
        known = self._known
        if known.topology is not None:
            utility = task_utilities(known.topology, self._seen.task_type, self.demand)
            return utility.reshape(self._grid)
        share = self._service("service quality") / self._stages[:, None, None]
        return share * self._lateness - self._service("service cost")

    def _fits(self, steps: Ints) -> Bools:
        """Legal actions on servers that are up, with so many free steps (B, N) and memory."""
        room = self.up & ((self.free >= steps) | self._known.cloud)
        allowed = self.legal & room[..., None]
        if self._known.memory is None:
            return allowed
        return allowed & (self.warm | self.cloud | self._has_memory)

    @cached_property
    def _has_memory(self) -> Bools:
        """(B, N, V) whether a model that is not resident fits beside all that may be busy."""
        memory = self._known.memory
        assert memory is not None
        resident = -np.sort(-np.where(self.warm, memory.of_model, 0), axis=-1)
        running = (self.capacity - self.free) // self._known.least_demand
        in_use = (resident * (np.arange(self._grid[2]) < running[..., None])).sum(-1)
        enough: Bools = in_use[..., None] + memory.of_model <= memory.of_server(self)[..., None]
        return enough

    @cached_property
    def _stages(self) -> Floats:
        """(B,) stages of the request: those after this one, this one, and one before if any was.

        That there were two before is not observed; then this is one too low.
        """
        after = self._read("stages after")[:, 0]
        before = self._read("server has the input").any(1)
        return after + 1.0 + before

    @cached_property
    def _lateness(self) -> Floats | float:
        """(B, N, V) part of the value that is left if later stages take as long as this one.

        The deadline of a request is taken to be that of this stage's type, times its stages.
        """
        deadlines = self._known.scenario.tasks.deadline_s
        if not deadlines:
            return 1.0
        after = self._read("stages after")[:, 0]
        left = self._read("deadline left")[:, 0]
        of_type = 1000.0 * np.array(deadlines)[self._seen.task_type]
        takes = self.until_end_ms * (after + 1.0)[:, None, None]
        late = takes - left[:, None, None]
        return np.clip(1.0 - late / (of_type * self._stages)[:, None, None], 0.0, 1.0)

    def of_server(self, server: Ints) -> Bools:
        """Return (B, N, 1): the services of a server of each row, (B,)."""
        chosen: Bools = np.arange(self._grid[1]) == server[:, None]
        return chosen[..., None]

    def _read(self, name: str) -> Floats:
        return self._known.read(name, self._observation)

    def _service(self, name: str) -> Floats:
        return self._read(name).reshape(self._grid)


def best_action(allowed: Bools, worth: Floats) -> Ints:
    """Return the allowed action of the largest worth, (B,); the first of equals.

    Args:
        allowed: (B, N, V); where a row has none, its action is 0.
        worth: (B, N, V), or with a 1 for what is the same for all servers or services.
    """
    action: Ints = np.where(allowed, worth, -np.inf).reshape(len(allowed), -1).argmax(1)
    return action


def first_that_has_any(*choices: Bools) -> Bools:
    """Return, row by row, the first of several choices (B, N, V) that has any; else the last."""
    found = choices[-1]
    for choice in reversed(choices[:-1]):
        found = np.where(choice.any((1, 2), keepdims=True), choice, found)
    return found


def pick(weights: Ints | Bools, share: Floats) -> Ints:
    """Return an index of each row, drawn in proportion to whole weights (B, N); 0 where all are 0.

    Args:
        weights: (B, N), 0 or more.
        share: (B,) uniform in [0, 1).
    """
    rank = np.floor(share * weights.sum(1)).astype(np.int64)
    index: Ints = (weights.cumsum(1) > rank[:, None]).argmax(1)
    return index


def _reserve(scenario: Scenario) -> Ints:
    """Steps that gateways around may have sent to a server within a telemetry period.

    As if all that arrives in a period at gateways with the server in their neighbourhood went
    there. A gateway sees its own server, the first, as it is, and the cloud needs none.
    """
    tasks, servers = scenario.tasks, scenario.num_servers
    weights = tasks.demand_share or (1.0,) * len(tasks.demand)
    demand = float(np.average(tasks.demand, weights=weights))
    stages = float(np.average(range(1, len(tasks.stages) + 1), weights=tasks.stages))
    requests = scenario.arrivals.rate_per_s * scenario.telemetry.period_s
    steps = requests * stages * demand * scenario.num_neighbours / servers
    reserve = np.full(scenario.num_neighbours, math.ceil(steps))
    reserve[0] = 0
    return reserve
