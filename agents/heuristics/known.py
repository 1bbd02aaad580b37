"""What a heuristic knows of a scenario before it sees anything."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from edge_marl.agents.heuristics import places
from edge_marl.kernel.world import Floats, Ints
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario
from edge_marl.scenario.servers import DeviceServers
from edge_marl.workload.topology import draw_topology

__all__ = ["Known"]

Observations = npt.NDArray[np.float32]


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
        self.levels = np.array(scenario.levels.thousandths if scenario.levels else (1000,))
        """(L,) share of the denoising steps at each level, in thousandths."""
        self.decline = scenario.num_actions - 1 if scenario.decline else -1
        """The action to say no; -1 where there is none."""
        self.max_waiting = self.layout.max_waiting
        """Tasks that may wait at a server; 0: none does."""
        self.mean_steps = _mean_demand(scenario)
        """Denoising steps of a task, on average."""
        self.rivals = _rivals(scenario)
        """Other gateways that decide in the same slot on servers that it sees, on average, as if
        they saw no others; 0 on the event clock."""
        self.deadline_ms = 1000.0 * np.array(
            scenario.tasks.deadline_s or (0.0,) * scenario.num_types
        )
        """(types,) deadline of each type; 0: none."""
        models, devices, speeds = _memory(scenario)
        where, scale = _where(self.layout)
        spec = np.zeros(places.NUM_ENTRIES, dtype=np.int64)
        spec[places.NUM_SERVERS] = scenario.num_neighbours
        spec[places.NUM_SERVICES] = scenario.num_services
        spec[places.NUM_LEVELS] = len(self.levels)
        spec[places.MAX_WAITING] = self.max_waiting
        spec[places.LEAST_STEPS] = scenario.least_steps(min(scenario.tasks.demand))
        spec[places.NUM_DEVICES] = len(devices)
        # Run times tell classes of devices where they do not grow with what runs beside.
        spec[places.TOLD_BY_SPEED] = scenario.concurrency is None
        self.of_room = (
            *(spec, where, scale, models, devices, speeds),
            *(self.cloud, _reserve(scenario)),
        )
        """What `find_room` is told of the scenario."""
        self.of_worth = (spec, where, scale, self.levels / 1000, self.cloud, float(self.load_ms))
        """What `find_worth` is told of the scenario."""

    def read(self, name: str, observation: Observations) -> Floats:
        """Return a feature in its own unit, (B, count), as `ObservationLayout.feature` does."""
        found = self._features[name]
        values = observation[
            :, found.start : found.start + found.stride * found.count : found.stride
        ]
        return values.astype(np.float64) * found.scale


def _where(layout: ObservationLayout) -> tuple[Ints, Floats]:
    """Return where features are and their scales, as `find_room` takes them; 0: there is none."""
    found = {feature.name: feature for feature in layout.features}
    lower = [f"service quality at {share / 10:g} %" for share in layout.lower_levels]
    features = [found.get(name) for name in (*places.FEATURES[:-1], *lower, places.FEATURES[-1])]
    where = [(feature.start, feature.stride) if feature else (0, 0) for feature in features]
    scale = [feature.scale if feature else 0.0 for feature in features]
    return np.array(where, dtype=np.int64), np.array(scale, dtype=np.float64)


def _memory(scenario: Scenario) -> tuple[Ints, Ints, Floats]:
    """Return memory of models and of device classes, and speeds, as `find_room` takes them.

    There are no classes where memory does not count.
    """
    servers = scenario.servers
    if not scenario.residency or not isinstance(servers, DeviceServers):
        return np.zeros((2, 0), np.int64), np.zeros((0, 1), np.int64), np.zeros((0, 0))
    of_model = np.array([model.memory_mib for model in servers.models], dtype=np.int64)
    most = max(len(device.capacity) for device in servers.devices)
    classes = [
        (device.memory_mib, *device.capacity, *[-1] * (most - len(device.capacity)))
        for device in servers.devices
    ]
    speeds = [
        [device.slowdown * model.slowdown for model in servers.models] for device in servers.devices
    ]
    by_size = np.argsort(-of_model, kind="stable")
    return np.stack([of_model, by_size]), np.array(classes, np.int64), np.array(speeds, np.float64)


def _reserve(scenario: Scenario) -> Ints:
    """Steps that gateways around may have sent to a server within a telemetry period.

    As if all that arrives in a period at gateways with the server in their neighbourhood went
    there. A gateway sees its own server, the first, as it is, and the cloud needs none.
    """
    tasks = _task_rate_per_s(scenario) * scenario.telemetry.period_s
    steps = tasks * _mean_demand(scenario) * scenario.num_neighbours / scenario.num_servers
    reserve = np.full(scenario.num_neighbours, math.ceil(steps))
    reserve[0] = 0
    return reserve


def _mean_demand(scenario: Scenario) -> float:
    tasks = scenario.tasks
    weights = tasks.demand_share or (1.0,) * len(tasks.demand)
    return float(np.average(tasks.demand, weights=weights))


def _task_rate_per_s(scenario: Scenario) -> float:
    """Tasks that arrive at all gateways together, those of later stages included."""
    return scenario.arrivals.rate_per_s * scenario.tasks.mean_stages


def _rivals(scenario: Scenario) -> float:
    count = scenario.gateways.count
    around = count * scenario.num_neighbours / scenario.num_servers - 1
    tasks = _task_rate_per_s(scenario) * scenario.clock.slot_s / count
    return max(0.0, around) * min(1.0, tasks)
