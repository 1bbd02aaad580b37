"""What a gateway sees and may do: the table at the end of `docs/model/extended.md`, row by row."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tests.oracle.world import Link, Service, Task, divide_up

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_marl.scenario import Scenario
    from tests.oracle.reference_sim import ReferenceSimulator


def largest_slowdown(scenario: Scenario) -> int:
    """The largest slowdown that a service may have, in thousandths."""
    if scenario.servers.law != "devices":
        models, devices = [1.0], [1.0]
    else:
        models = [model.slowdown for model in scenario.servers.models]
        devices = [device.slowdown for device in scenario.servers.devices]
    known = [round(1000 * device * model) for device in devices for model in models]
    if scenario.cloud is not None:
        known += [round(1000 * scenario.cloud.slowdown * model) for model in models]
    return max(known)


def largest_delay(scenario: Scenario) -> int:
    """The longest way of an input there and of its result back, in ms."""
    network, cloud = scenario.network, scenario.cloud
    if network is None:
        return 1
    diagonal = math.hypot(*scenario.gateways.area_km)
    propagation = [round(network.latency_ms + network.ms_per_km * diagonal)]
    us_per_kb = [round(8000 / network.bandwidth_mbit[0])]
    if cloud is not None:
        propagation.append(round(cloud.latency_ms))
        us_per_kb.append(round(8000 / cloud.bandwidth_mbit))
    kilobytes = scenario.tasks.upload_kb[1] + scenario.tasks.download_kb[1]
    return max(1, 2 * max(propagation) + divide_up(kilobytes * max(us_per_kb), 1000))


def longest_duration(scenario: Scenario, run_time: int, lowest_level: int) -> int:
    """The longest time that a task may run, beside as many others as fit, in ms."""
    slowed = divide_up(run_time * largest_slowdown(scenario), 1000)
    if scenario.concurrency is None:
        return slowed
    least = min(divide_up(demand * lowest_level, 1000) for demand in scenario.tasks.demand)
    beside = max(max(scenario.servers.capacity) // least, 1) - 1
    growth = max(round(1000 * part) for part in scenario.concurrency.growth)
    return divide_up(slowed * (1000 + growth * beside), 1000)


class Sight:
    """How a scenario's gateways see their world."""

    def __init__(self, scenario: Scenario) -> None:
        self.extended = scenario.extended
        self.num_types = scenario.num_types
        a, b, c = scenario.tasks.run_time_minutes
        run_times = [round((a * t**2 + b * t + c) * 60 * 1000) for t in scenario.tasks.demand]
        self.max_demand = max(scenario.tasks.demand)
        self.max_run_time = max(run_times)
        self.max_capacity = max(scenario.servers.capacity)
        self.max_deadline = max(1, scenario.tasks.max_deadline_ms)
        levels = scenario.levels
        self.levels = [1000] if levels is None else [round(1000 * part) for part in levels.shares]
        self.max_duration = longest_duration(scenario, self.max_run_time, self.levels[0])
        self.limit = None if scenario.queue is None else scenario.queue.limit
        self.weights = [round(1000 * each.weight) for each in scenario.tasks.classes]
        self.may_decline = scenario.decline is not None
        self.max_delay = largest_delay(scenario)

    def observation(
        self, sim: ReferenceSimulator, gateway: int, task: Task | None
    ) -> NDArray[np.float32]:
        """What a gateway sees that is shown ``task``."""
        features = self._of_task(sim, task)
        links = sim.gateways[gateway].links
        for link in links:
            features += self._of_server(sim, gateway, link, task)
        if self.extended:
            for link in links:
                for service in link.server.services:
                    features += self._of_service(sim, gateway, link, service, task)
            features += self._more(sim, gateway, task)
        return np.array(features, dtype=np.float64).astype(np.float32)

    def mask(self, sim: ReferenceSimulator, gateway: int) -> NDArray[np.int8]:
        """Which actions a gateway's neighbours host, at any level; and that it may say no."""
        services = [s for link in sim.gateways[gateway].links for s in link.server.services]
        hosted = [service.hosted for service in services for _ in self.levels]
        return np.array(hosted + [True] * self.may_decline, dtype=np.int8)

    def _more(self, sim: ReferenceSimulator, gateway: int, task: Task | None) -> list[float]:
        """What parts show that came later than the rest."""
        features = []
        if self.weights:
            features.append(0.0 if task is None else task.request.weight / max(self.weights))
        links = sim.gateways[gateway].links
        if self.limit is not None:
            for link in links:
                known = sim.known_of(gateway, link.server)
                features.append(known.waiting / self.limit)
                features.append(min(1.0, known.backlog / self.max_duration))
        for link in links:
            for service in link.server.services:
                for level in self.levels[:-1]:
                    quality = 0.0
                    if task is not None and service.hosted:
                        quality = service.utility(task, divide_up(task.demand * level, 1000)) / 2
                    features.append(quality)
        return features

    def _of_task(self, sim: ReferenceSimulator, task: Task | None) -> list[float]:
        one_hot = [0.0] * self.num_types if self.num_types > 1 else []
        if task is None:
            return [*one_hot, 0.0, 0.0] + ([0.0, 0.0] if self.extended else [])
        if one_hot:
            one_hot[task.kind] = 1.0
        features = [*one_hot, task.demand / self.max_demand, task.run_time / self.max_run_time]
        if not self.extended:
            return features
        left = 0.0
        if task.request.deadline:
            until = task.request.arrival + task.request.deadline
            left = min(1.0, max(0.0, (until - sim.now) / self.max_deadline))
        return [*features, left, task.after / 2]

    def _of_server(
        self, sim: ReferenceSimulator, gateway: int, link: Link, task: Task | None
    ) -> list[float]:
        server = link.server
        capacity = server.capacity / self.max_capacity
        if not self.extended:
            return [capacity, server.available / server.capacity]
        known = sim.known_of(gateway, server)
        free = (server.capacity - known.used) / server.capacity
        if server.is_cloud:
            free = 1.0
        elif known.is_down:
            free = 0.0
        delay = source = 0.0
        if task is not None:
            at = sim.gateways[gateway]
            delay = min(1.0, (at.way_in(task, link) + at.way_back(task, link)) / self.max_delay)
            source = float(task.came_from is server)
        return [capacity, free, float(not known.is_down), delay, source]

    def _of_service(
        self,
        sim: ReferenceSimulator,
        gateway: int,
        link: Link,
        service: Service,
        task: Task | None,
    ) -> list[float]:
        if not service.hosted:
            return [0.0, 0.0, 0.0, 0.0]
        warm = float(sim.known_of(gateway, link.server).resident[service.number])
        if task is None:
            return [0.0, 0.0, warm, 0.0]
        known = sim.known_of(gateway, link.server)
        beside = 0 if link.server.is_cloud else known.running
        return [
            service.utility(task, task.demand) / 2,
            min(1.0, service.duration(task.run_time, beside) / self.max_duration),
            warm,
            min(1.0, task.demand * service.price),
        ]
