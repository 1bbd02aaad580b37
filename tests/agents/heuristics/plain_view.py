"""What `View` offers of each place, worked out one place at a time from named features."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario
from edge_marl.scenario.servers import DeviceServers


class Place(NamedTuple):
    """Properties of `View` by their names, of one place."""

    fits: bool
    safe: bool
    duration_ms: float
    wait_ms: float
    until_end_ms: float
    value: float
    value_in_time: float


class PlainView:
    """One observation (D,) with what is legal (A,), in the extended model.

    Args:
        scenario: that they are of.
        reserve: (N,) denoising steps, as the agent has worked out.
    """

    def __init__(
        self,
        scenario: Scenario,
        reserve: npt.NDArray[Any],
        seen: npt.NDArray[np.float32],
        mask: npt.NDArray[np.bool_],
    ) -> None:
        layout = ObservationLayout(scenario)
        self.scenario, self.reserve, self.mask = scenario, reserve, mask
        self.now = {feature.name: layout.feature(feature.name, seen) for feature in layout.features}
        self.whole = layout.decode(seen)
        self.levels = scenario.levels.thousandths if scenario.levels else (1000,)
        self.services = scenario.num_services
        self.servers = range(layout.num_servers)

    def index(self, server: int, service: int, level: int = 0) -> int:
        return (server * self.services + service) * len(self.levels) + level

    def is_cloud(self, server: int) -> bool:
        return self.scenario.cloud is not None and server == self.servers[-1]

    def is_up(self, server: int) -> bool:
        return bool(self.now["server up"][server] > 0.5)

    def is_warm(self, server: int, service: int) -> bool:
        return bool(self.now["service warm"][server * self.services + service] > 0.5)

    def waiting(self, server: int) -> int:
        return round(self.now["server waiting"][server]) if self.scenario.queue else 0

    def steps(self, level: int) -> int:
        return -(-int(self.whole.demand) * self.levels[level] // 1000)

    def in_use(self, server: int) -> int:
        return int(self.whole.capacity[server] - self.whole.free[server])

    def memory_will_do(self, server: int, service: int) -> bool:
        servers = self.scenario.servers
        if not self.scenario.residency or not isinstance(servers, DeviceServers):
            return True
        if self.is_warm(server, service):
            return True
        least = min(self.scenario.least_steps(demand) for demand in self.scenario.tasks.demand)
        running = self.in_use(server) // least + self.waiting(server)
        resident = sorted(
            (model.memory_mib for k, model in enumerate(servers.models) if self.is_warm(server, k)),
            reverse=True,
        )
        busy = sum(resident[: max(0, running)])
        return busy + servers.models[service].memory_mib <= self.least_memory(servers, server)

    def least_memory(self, servers: DeviceServers, server: int) -> int:
        hosted = [k for k in range(self.services) if self.mask[self.index(server, k)]]
        first = hosted[0] if hosted else 0
        takes = self.now["service duration"][server * self.services + first]
        alone = self.now["task run time"][0]
        may_be = []
        for device in servers.devices:
            expected = alone * (device.slowdown * servers.models[first].slowdown)
            told = self.scenario.concurrency is not None
            near = told or abs(takes - expected) <= 2.0 + 1e-5 * expected
            if near and int(self.whole.capacity[server]) in device.capacity:
                may_be.append(device.memory_mib)
        return min(may_be or [device.memory_mib for device in servers.devices])

    def room(self, server: int, service: int, level: int, reserve: int) -> bool:
        if not self.mask[self.index(server, service, level)] or not self.is_up(server):
            return False
        if self.is_cloud(server):
            return True
        steps = self.steps(level)
        if self.scenario.queue:
            short = self.waiting(server) < self.scenario.queue.limit
            enough = short and steps <= self.whole.capacity[server]
        else:
            enough = steps + reserve <= self.whole.free[server]
        return bool(enough) and self.memory_will_do(server, service)

    def wait_ms(self, server: int, level: int, duration: float) -> float:
        if not self.scenario.queue or self.is_cloud(server):
            return 0.0
        free = 0 if self.waiting(server) > 0 else int(self.whole.free[server])
        missing = max(0, self.steps(level) - free) / max(1, int(self.whole.capacity[server]))
        return float(self.now["server backlog"][server] + missing * duration)

    def in_time(self, until_end: float, stages: float) -> float:
        deadlines = self.scenario.tasks.deadline_s
        if not deadlines:
            return 1.0
        takes = until_end * (self.now["stages after"][0] + 1.0)
        late = takes - self.now["deadline left"][0]
        part = 1.0 - late / (1000.0 * deadlines[int(self.whole.task_type)] * stages)
        return float(min(1.0, max(0.0, part)))

    def place(self, server: int, service: int, level: int) -> Place:
        """All of a place."""
        at, share = server * self.services + service, self.levels[level] / 1000
        duration = self.now["service duration"][at] * share
        wait = self.wait_ms(server, level, duration)
        residency = self.scenario.residency
        load = residency.mean_load_ms if residency and not self.is_warm(server, service) else 0.0
        until_end = max(self.now["server delay"][server], load, wait) + duration
        full = level == len(self.levels) - 1
        name = "service quality" + ("" if full else f" at {self.levels[level] / 10:g} %")
        before = 1.0 if self.now["server has the input"].any() else 0.0
        stages = self.now["stages after"][0] + 1.0 + before
        quality = self.now[name][at] / stages
        classes = self.scenario.tasks.classes
        weight = self.now["request weight"][0] / 1000 if classes else 1.0
        cost = self.now["service cost"][at] * share
        reserve = 0 if self.scenario.queue else int(self.reserve[server])
        return Place(
            fits=self.room(server, service, level, 0),
            safe=self.room(server, service, level, reserve),
            duration_ms=duration,
            wait_ms=wait,
            until_end_ms=until_end,
            value=quality * self.in_time(until_end, stages) * weight - cost,
            value_in_time=quality * weight - cost,
        )

    def least_bad(self) -> npt.NDArray[np.bool_]:
        """Legal actions (N, V) on the server with the least in use; down is less than nothing."""
        legal = self.mask[: self.index(len(self.servers), 0)].reshape(len(self.servers), -1)
        found = [server for server in self.servers if legal[server].any()]
        chosen = np.zeros_like(legal)
        if found:
            best = min(found, key=lambda s: self.in_use(s) if self.is_up(s) else -1)
            chosen[best] = legal[best]
        return chosen
