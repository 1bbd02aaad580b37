"""What a heuristic knows of a scenario before it sees anything."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from edge_marl.kernel.world import Floats, Ints
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario
from edge_marl.scenario.servers import DeviceServers
from edge_marl.workload.topology import draw_topology

__all__ = ["Known", "Memory"]

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
        self.least_steps = scenario.least_steps(min(scenario.tasks.demand))
        """Denoising steps of the smallest task."""
        self.levels = np.array(scenario.levels.thousandths if scenario.levels else (1000,))
        """(L,) share of the denoising steps at each level, in thousandths."""
        self.decline = scenario.num_actions - 1 if scenario.decline else -1
        """The action to say no; -1 where there is none."""
        self.max_waiting = self.layout.max_waiting
        """Tasks that may wait at a server; 0: none does."""
        self.reserve = _reserve(scenario)
        """(N,) denoising steps that may have been sent to a server since telemetry showed it."""
        servers = scenario.servers
        self.memory = (
            Memory(servers, told_by_speed=scenario.concurrency is None)
            if scenario.residency and isinstance(servers, DeviceServers)
            else None
        )
        """Where it counts."""

    def read(self, name: str, observation: Observations) -> Floats:
        """Return a feature in its own unit, (B, count), as `ObservationLayout.feature` does."""
        found = self._features[name]
        values = observation[
            :, found.start : found.start + found.stride * found.count : found.stride
        ]
        return values.astype(np.float64) * found.scale


class Memory:
    """Memory of servers that a gateway works out from what it sees of them, and that of models.

    Args:
        servers: of the scenario.
        told_by_speed: whether run times tell classes of devices: they are seen beside what runs.
    """

    def __init__(self, servers: DeviceServers, *, told_by_speed: bool) -> None:
        self._told_by_speed = told_by_speed
        self.of_model = np.array([model.memory_mib for model in servers.models])
        """(V,) memory of each model in MiB."""
        self._devices = servers.devices
        self._speeds = np.array(
            [
                [device.slowdown * model.slowdown for model in servers.models]
                for device in servers.devices
            ]
        )

    def of_server(self, capacity: Ints, hosted: Bools, duration: Floats, run_time: Floats) -> Ints:
        """Return the least memory of a device class that a server may be of, in MiB, (B, N).

        A class is told by its capacities and by the run time of the first model that is hosted.

        Args:
            capacity: (B, N) denoising steps.
            hosted: (B, N, V).
            duration: (B, N, V) ms of the task there, alone.
            run_time: (B,) ms of the task on the reference device.
        """
        model = hosted.argmax(-1)
        takes = np.take_along_axis(duration, model[..., None], -1)[..., 0]
        least = np.full(takes.shape, np.iinfo(np.int64).max)
        for device, speed in zip(self._devices, self._speeds, strict=True):
            may_be = (capacity[..., None] == device.capacity).any(-1)
            if self._told_by_speed:
                expected = run_time[:, None] * speed[model]
                may_be &= np.abs(takes - expected) <= 2.0 + 1e-5 * expected
            least = np.where(may_be, np.minimum(least, device.memory_mib), least)
        smallest = min(device.memory_mib for device in self._devices)
        known: Ints = np.where(least < np.iinfo(np.int64).max, least, smallest)
        return known


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
