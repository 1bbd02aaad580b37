"""A slow, plain simulator of the base model, written from its rules and not from the kernel.

It follows the rules of the published environments one by one: tasks and servers are objects, finish
times sit on a heap, and what a server uses is the sum over the tasks that run on it. Nothing here
is shared with ``edge_marl`` except the names of a scenario's and a workload's fields, so that
agreement of the two means that both follow the rules.

All times are integer milliseconds. Arithmetic is Python's own, in the published order.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_marl.scenario import Scenario
    from edge_marl.workload import Workload


class Fate(Enum):
    """What has become of a task."""

    WAITING = auto()  # not dispatched yet
    RUNNING = auto()
    FINISHED = auto()
    CRASHED = auto()  # was running on a server that crashed
    DROPPED = auto()  # its own dispatch made the server crash


@dataclass(eq=False)
class Task:
    """One task of the workload."""

    number: int  # place in the workload
    arrival: int  # ms
    run_time: int  # ms
    demand: int  # denoising steps, the unit of capacity
    kind: int  # task type
    fate: Fate = Fate.WAITING
    turn: int = 0  # how many tasks were assigned before it

    @property
    def end(self) -> int:
        """When the task finishes if nothing crashes, in ms."""
        return self.arrival + self.run_time

    def progress(self, now: int) -> float:
        """Fraction of the run time that has passed at ``now``."""
        return (now - self.arrival) / self.run_time


@dataclass(eq=False)
class Service:
    """One service of a server: how good what it makes is, and the tasks that run on it."""

    baseline: list[float]  # by task type
    ax: float
    ay: float
    bx: float
    by: float
    running: list[Task] = field(default_factory=list)  # in order of dispatch

    def quality(self, demand: int) -> float:
        """Quality gained by ``demand`` denoising steps: zero, then a ramp, then flat."""
        if demand < self.ax:
            return 0.0
        if demand > self.bx:
            return self.by - self.ay
        return (self.by - self.ay) / (self.bx - self.ax) * (demand - self.ax)

    def utility(self, task: Task) -> float:
        """What the user of ``task`` gets from this service."""
        return self.baseline[task.kind] + self.quality(task.demand)


@dataclass(eq=False)
class Server:
    """An edge server; its services share its capacity."""

    capacity: int
    services: list[Service]
    crashes: int = 0

    @property
    def running(self) -> list[Task]:
        """Tasks that run on any of the services, service by service."""
        return [task for service in self.services for task in service.running]

    @property
    def used(self) -> int:
        """Capacity taken by the running tasks."""
        return sum(task.demand for task in self.running)

    @property
    def available(self) -> int:
        """Capacity that is left."""
        return self.capacity - self.used


class ReferenceSimulator:
    """One episode of the base model."""

    def __init__(self, scenario: Scenario, workload: Workload) -> None:
        """Start the episode: the first task is shown and nothing runs."""
        self.unit_penalty = scenario.overload.penalty
        self.loss_sum = scenario.overload.loss_sum
        self.end = scenario.episode.end
        self.horizon = round(scenario.arrivals.horizon_s * 1000)

        self.tasks = [
            Task(number, arrival, run_time, demand, kind)
            for number, (arrival, run_time, demand, kind, _gateway) in enumerate(
                workload.tasks.tolist()
            )
        ]
        topology = workload.topology
        self.servers = []
        for j, capacity in enumerate(topology.capacity.tolist()):
            baselines, curves = topology.baseline[j].tolist(), topology.curve[j].tolist()
            services = [
                Service(baseline, *curve) for baseline, curve in zip(baselines, curves, strict=True)
            ]
            self.servers.append(Server(capacity, services))

        self.shown = 0
        self.now = self.tasks[0].arrival
        self.finish_events: list[tuple[int, int, Task, Service]] = []
        self.terminated = False
        self.truncated = False

    @property
    def current_task(self) -> Task | None:
        """The task to dispatch, or None when all have been dispatched."""
        return self.tasks[self.shown] if self.shown < len(self.tasks) else None

    @property
    def total_crashes(self) -> int:
        """Server crashes so far."""
        return sum(server.crashes for server in self.servers)

    def count(self, fate: Fate) -> int:
        """How many tasks have this fate."""
        return sum(task.fate is fate for task in self.tasks)

    def dispatch(self, server_index: int, service_index: int) -> float:
        """Give the shown task to a service, go on to the next arrival and return the reward."""
        task = self.current_task
        if task is None or self.terminated or self.truncated:
            raise RuntimeError("the episode is over")
        server = self.servers[server_index]
        service = server.services[service_index]
        if task.demand > server.available:
            reward = -self._crash(server)
            task.fate = Fate.DROPPED
        else:
            reward = service.utility(task)
            task.fate = Fate.RUNNING
            task.turn = self.shown
            service.running.append(task)
            heapq.heappush(self.finish_events, (task.end, task.number, task, service))
        self._advance()
        return reward

    def _crash(self, server: Server) -> float:
        """Lose everything that runs on the server and return the penalty."""
        penalty = self.unit_penalty
        if self.loss_sum == "by-service":
            for service in server.services:
                part = 0.0
                for task in service.running:
                    part += (1 - task.progress(self.now)) * self.unit_penalty
                penalty += part
        else:
            for task in sorted(server.running, key=lambda task: task.turn):
                penalty += (1 - task.progress(self.now)) * self.unit_penalty
        for service in server.services:
            for task in service.running:
                task.fate = Fate.CRASHED
            service.running.clear()
        server.crashes += 1
        return penalty

    def _advance(self) -> None:
        """Show the next task; end the episode by the scenario's rule."""
        self.shown += 1
        task = self.current_task
        self.now = self.horizon if task is None else task.arrival
        self._finish_tasks()
        if self.end == "last-task":
            self.terminated = self.shown == len(self.tasks) - 1
        else:
            self.truncated = task is None

    def _finish_tasks(self) -> None:
        """Remove every task that ends by now."""
        while self.finish_events and self.finish_events[0][0] <= self.now:
            _, _, task, service = heapq.heappop(self.finish_events)
            if task.fate is Fate.RUNNING:  # it may have crashed since
                task.fate = Fate.FINISHED
                service.running.remove(task)


class OracleEnv:
    """The reference simulator behind Gymnasium's ``reset`` and ``step``."""

    def __init__(self, scenario: Scenario) -> None:
        """Make an environment for workloads of ``scenario``."""
        self.scenario = scenario
        self.num_services = scenario.num_services
        self.num_actions = scenario.num_servers * scenario.num_services
        self.num_types = scenario.num_types
        self.max_demand = max(scenario.tasks.demand)
        a, b, c = scenario.tasks.run_time_minutes
        self.max_run_time = max(
            round((a * t**2 + b * t + c) * 60 * 1000) for t in scenario.tasks.demand
        )
        self.max_capacity = max(scenario.servers.capacity)
        self.sim: ReferenceSimulator

    def reset(self, workload: Workload) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode on ``workload``."""
        self.sim = ReferenceSimulator(self.scenario, workload)
        return self._observation(), self._info()

    def step(self, action: int) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Dispatch the shown task to server ``action // V``, service ``action % V``."""
        server, service = divmod(action, self.num_services)
        reward = self.sim.dispatch(server, service)
        return (
            self._observation(),
            reward,
            self.sim.terminated,
            self.sim.truncated,
            self._info(),
        )

    def _task_features(self) -> list[float]:
        task = self.sim.current_task
        one_hot = [0.0] * self.num_types if self.num_types > 1 else []
        if task is None:
            return [*one_hot, 0.0, 0.0]
        if one_hot:
            one_hot[task.kind] = 1.0
        return [*one_hot, task.demand / self.max_demand, task.run_time / self.max_run_time]

    def _observation(self) -> NDArray[np.float32]:
        features = self._task_features()
        for server in self.sim.servers:
            features.append(server.capacity / self.max_capacity)
            features.append(server.available / server.capacity)
        return np.array(features, dtype=np.float32)

    def _info(self) -> dict[str, Any]:
        return {"action_mask": np.ones(self.num_actions, dtype=np.int8)}
