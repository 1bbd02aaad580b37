"""A slow, plain simulator of the model, written from its rules and not from the kernel.

It follows `docs/model/base.md` and `docs/model/extended.md` one by one: tasks, servers, gateways
and links are objects (`world.py`), and time goes from one moment at which something happens to the
next. Nothing here is shared with ``edge_marl`` except the names of a scenario's and a workload's
fields, so that agreement of the two means that both follow the rules.

All times are integer milliseconds. Arithmetic is Python's own, in the published order.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tests.oracle.sight import Sight
from tests.oracle.world import (
    Fate,
    Link,
    Server,
    Service,
    Task,
    divide_up,
    make_gateways,
    make_servers,
    make_tasks,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edge_marl.scenario import Scenario
    from edge_marl.workload import Workload

__all__ = ["Choice", "Fate", "OracleEnv", "ReferenceSimulator", "Task"]


Choice = tuple[int, int, int] | Literal["decline"] | None
"""Neighbour, service and level; or to say no; or to do nothing."""


@dataclass(frozen=True)
class Outage:
    """A server that fails by itself."""

    time: int
    server: Server
    duration: int


@dataclass(frozen=True)
class Report:
    """What telemetry says of a server."""

    used: int
    is_down: bool
    resident: tuple[bool, ...]  # by service
    running: int
    waiting: int
    backlog: int  # ms until the last of those that wait has its turn


class ReferenceSimulator:
    """One episode on the event clock: a task is decided on the moment that it is ready."""

    def __init__(self, scenario: Scenario, workload: Workload) -> None:
        """Start the episode: the first task is shown and nothing runs."""
        self.extended = scenario.extended
        self.penalty = scenario.overload.penalty
        self.loss_sum = scenario.overload.loss_sum
        self.restart = round(scenario.overload.restart_s * 1000)
        self.refund = scenario.overload.refund
        self.ends_at_last_task = scenario.episode.end == "last-task"
        self.horizon = round(scenario.arrivals.horizon_s * 1000)
        self.period = round(scenario.telemetry.period_s * 1000)
        self.num_services = scenario.num_services
        levels = scenario.levels
        self.levels = [1000] if levels is None else [round(1000 * part) for part in levels.shares]
        self.may_decline = scenario.decline is not None
        self.price_of_no = 0.0 if scenario.decline is None else scenario.decline.price

        self.tasks = make_tasks(workload)
        self.servers = make_servers(scenario, workload)
        self.gateways = make_gateways(scenario, workload, self.servers)
        failures = [] if workload.outages is None else workload.outages.tolist()
        self.outages = deque(Outage(t, self.servers[j], length) for t, j, length in failures)
        self.arriving = deque(task for task in self.tasks if task.place == 0)
        self.queue: list[Task] = []  # ready, not decided on
        self.ends: list[tuple[int, int, Task]] = []  # heap; of tasks lost since, too

        self.admitted = 0
        self.decisions = 0
        self.illegal = 0
        self.refunds: list[tuple[int, float]] = []  # gateway and amount, in this step
        self.reports: list[Report] = []
        self.reported_at = -1
        self.now = 0
        self.idle = 0  # ms of all servers of the edge together, since the first arrival
        self.sent_in_step: list[tuple[Server, int, bool]] = []  # to where, by whom, too much for it
        self.terminated = False
        self.truncated = False
        self._start()

    def _start(self) -> None:
        """Let time pass until the first task is there."""
        self._pass_until_ready(self.tasks[0].ready)

    @property
    def over(self) -> bool:
        """Whether the episode has ended."""
        return self.terminated or self.truncated

    @property
    def current_task(self) -> Task | None:
        """The task that is shown, or None when there is none left."""
        return self.queue[0] if self.queue else None

    @property
    def total_crashes(self) -> int:
        """Server crashes so far."""
        return sum(server.crashes for server in self.servers)

    def count(self, fate: Fate) -> int:
        """How many tasks have this fate."""
        return sum(task.fate is fate for task in self.tasks)

    # ------------------------------------------------------------ decisions

    def choice_of(self, action: int) -> Choice:
        """What an action of the Gymnasium environment is."""
        number, level = divmod(action, len(self.levels))
        neighbour, service = divmod(number, self.num_services)
        beyond = neighbour == len(self.gateways[0].links)
        return "decline" if beyond and self.may_decline else (neighbour, service, level)

    def dispatch(self, action: int) -> float:
        """Decide on the shown task, go on to the next one and return the reward."""
        task = self.current_task
        if task is None or self.over:
            raise RuntimeError("the episode is over")
        self.refunds = []
        paid = self.decide(task, self.choice_of(action))
        self._go_on()
        return self.with_refunds(paid, [amount for _, amount in self.refunds])

    def with_refunds(self, paid: float, amounts: list[float]) -> float:
        """What a dispatch paid, less what was taken back since."""
        if not self.extended:
            return paid  # -0.0 stays what it is
        taken_back = 0.0
        for amount in amounts:
            taken_back -= amount
        return paid + taken_back

    def decide(self, task: Task, choice: Choice) -> float:
        """Do with a task what its gateway chose; return what that pays."""
        self.queue.remove(task)
        self.decisions += 1
        if choice is None:
            task.paid = self._drop(task)
        elif choice == "decline":
            task.paid = self._decline(task)
        else:
            task.paid = self._send(task, *choice)
        return task.paid

    def _decline(self, task: Task) -> float:
        task.fate = Fate.DECLINED
        task.sent = task.end = self.now
        return -self.price_of_no * (task.request.weight / 1000)

    def _send(self, task: Task, neighbour: int, number: int, level: int) -> float:
        link = self.gateways[task.gateway].links[neighbour]
        server, service = link.server, link.server.services[number]
        if not service.hosted:
            return self._drop(task)
        task.server, task.service = server, service
        task.sent = task.end = self.now
        task.steps = divide_up(task.demand * self.levels[level], 1000)
        task.work = divide_up(task.run_time * self.levels[level], 1000)
        if server.is_down(self.now):
            self.sent_in_step.append((server, task.gateway, False))
            task.fate = Fate.DENIED
            return -self.penalty
        if server.turns_away(task):
            self.sent_in_step.append((server, task.gateway, task.steps <= server.capacity))
            task.fate = Fate.DENIED
            return -self.penalty
        if not server.has_room(task, service):
            self.sent_in_step.append((server, task.gateway, True))
            task.fate = Fate.REFUSED
            return -self._crash(server)
        self.sent_in_step.append((server, task.gateway, False))
        return self._admit(task, link, service)

    def _drop(self, task: Task) -> float:
        self.illegal += 1
        task.fate = Fate.DROPPED
        task.sent = task.end = self.now
        return -self.penalty

    def _admit(self, task: Task, link: Link, service: Service) -> float:
        gateway = self.gateways[task.gateway]
        link.server.bring_in(service, self.now, task.load_time)
        task.set_out = max(self.now + gateway.way_in(task, link), service.loaded_at)
        task.fate = Fate.RUNNING
        task.order = self.admitted = self.admitted + 1
        link.server.take(task, self.now)
        heapq.heappush(self.ends, (task.end, task.number, task))
        task.request.qualities.append(service.utility(task, task.steps))
        if task.after == 0:
            back = task.end + gateway.way_back(task, link)
            task.granted = task.request.value(back - task.request.arrival)
        return task.granted - task.steps * service.price

    def _crash(self, server: Server) -> float:
        """Lose everything that runs on the server and return the cost."""
        cost = self.penalty
        if self.loss_sum == "by-service":
            for service in server.services:
                part = 0.0
                for task in server.held:
                    if task.service is service:
                        part += (1 - task.progress(self.now)) * self.penalty
                cost += part
        else:
            for task in server.held:
                cost += (1 - task.progress(self.now)) * self.penalty
        self._lose_all(server, Fate.CRASHED)
        server.down_until = self.now + self.restart
        server.crashes += 1
        return cost

    def _lose_all(self, server: Server, fate: Fate) -> None:
        for task in server.lose_all():
            task.end = self.now
            self._lose(task, fate)

    def _lose(self, task: Task, fate: Fate) -> None:
        task.fate = fate
        if self.refund:
            self.refunds.append((task.gateway, task.granted))
            task.paid -= task.granted

    # ------------------------------------------------------------ time

    def _go_on(self) -> None:
        """Go to the next decision; end the episode by the scenario's rule."""
        self._pass_until_ready(self.tasks[-1].ready if self.ends_at_last_task else self.horizon)
        if self.ends_at_last_task:
            self.terminated = self.current_task is self.tasks[-1]
        else:
            self.truncated = self.current_task is None

    def _pass_until_ready(self, latest: int) -> None:
        """Let time pass until a task waits, or to the latest moment."""
        while not self.queue:
            moment = self._next_moment()
            if moment is None or moment > latest:
                self._stand_at(latest)
                return
            self._live_through(moment)

    def _pass_to(self, time: int) -> None:
        """Let time pass, with all that happens on the way."""
        while (moment := self._next_moment()) is not None and moment <= time:
            self._live_through(moment)
        self._stand_at(time)

    def _next_moment(self) -> int | None:
        """When something happens next."""
        while self.ends and self.ends[0][2].fate is not Fate.RUNNING:
            heapq.heappop(self.ends)
        moments = [self.ends[0][0]] if self.ends else []
        moments += [self.outages[0].time] if self.outages else []
        moments += [self.arriving[0].ready] if self.arriving else []
        return min(moments, default=None)

    def _live_through(self, moment: int) -> None:
        """All that happens at one moment: ends, failures, what the ends bring about, arrivals."""
        self._report(moment - 1)
        self._pass(moment)
        ended = self._take_ended()
        while self.outages and self.outages[0].time <= moment:
            self._fail(self.outages.popleft())
        for task in ended:
            if task.fails:
                self._lose(task, Fate.FAILED)
            elif task.next is not None and (self.ends_at_last_task or moment < self.horizon):
                task.next.ready = moment
                self.queue.append(task.next)
        while self.arriving and self.arriving[0].ready <= moment:
            self.queue.append(self.arriving.popleft())
        self.queue.sort(key=lambda task: (task.ready, task.number))
        self._report(moment)

    def _stand_at(self, time: int) -> None:
        self._pass(time)
        self._report(time)

    def _pass(self, time: int) -> None:
        """Go to a time before which nothing happens but that servers come up."""
        for server in self.servers:
            if not server.is_cloud and not server.held:
                from_then = max(self.now, server.down_until, self.tasks[0].ready)
                self.idle += max(0, time - from_then)
        self.now = time

    def _take_ended(self) -> list[Task]:
        """Tasks whose end has come leave their servers; return them by number."""
        ended = []
        while self.ends and self.ends[0][0] <= self.now:
            _, _, task = heapq.heappop(self.ends)
            if task.fate is Fate.RUNNING:  # it may have been lost since
                task.fate = Fate.FINISHED
                task.service.running.remove(task)
                ended.append(task)
        for server in self.servers:
            server.call_up(self.now)
        return ended

    def _fail(self, outage: Outage) -> None:
        server = outage.server
        self._lose_all(server, Fate.OUTAGE)
        server.down_until = max(server.down_until, outage.time + outage.duration)

    # ------------------------------------------------------------ telemetry

    def _report(self, time: int) -> None:
        """Take the last report that is due by ``time``, unless it was taken: all is as it was."""
        if not self.period or time < 0:
            return
        tick = self.period * (time // self.period)
        if tick > self.reported_at:
            self.reported_at = tick
            self.reports = [self._state_of(server, tick) for server in self.servers]

    def _state_of(self, server: Server, time: int) -> Report:
        resident = tuple(service.resident for service in server.services)
        waits = server.line[-1].turn - time if server.line else 0
        counts = len(server.running), len(server.line)
        return Report(server.used, server.is_down(time), resident, *counts, waits)

    def known_of(self, gateway: int, server: Server) -> Report:
        """What a gateway knows of a server now: of its own the present, of others the report."""
        if self.period and server is not self.gateways[gateway].links[0].server:
            return self.reports[server.number]
        return self._state_of(server, self.now)


class OracleEnv:
    """The reference simulator behind Gymnasium's ``reset`` and ``step``."""

    def __init__(self, scenario: Scenario) -> None:
        """Make an environment for workloads of ``scenario``."""
        self.scenario = scenario
        self.sight = Sight(scenario)
        self.sim: ReferenceSimulator

    def reset(self, workload: Workload) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode on ``workload``."""
        self.sim = ReferenceSimulator(self.scenario, workload)
        return self._show()

    def step(self, action: int) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Take an action on the shown task."""
        reward = self.sim.dispatch(action)
        observation, info = self._show()
        return observation, reward, self.sim.terminated, self.sim.truncated, info

    def _show(self) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """What the gateway of the shown task sees; gateway 0 where none is shown."""
        task = self.sim.current_task
        gateway = 0 if task is None else task.gateway
        observation = self.sight.observation(self.sim, gateway, task)
        mask = self.sight.mask(self.sim, gateway)
        return observation, {"action_mask": mask, "agent_index": gateway}
