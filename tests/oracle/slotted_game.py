"""The slotted game, slow and plain, on top of the reference simulator's objects.

Written from DESIGN's rules: at each slot's start every gateway with a waiting task acts at once, in
order of (arrival, gateway); a task waits at its gateway, behind earlier ones, for its turn.
"""

from __future__ import annotations

import heapq
from collections import deque

from edge_marl.scenario import Scenario
from edge_marl.workload import Workload
from tests.oracle.reference_sim import Fate, ReferenceSimulator, Task


class SlottedGame(ReferenceSimulator):
    """One episode in slots; `None` as a choice is to do nothing."""

    def __init__(self, scenario: Scenario, workload: Workload) -> None:
        super().__init__(scenario, workload)
        self.slot = round(scenario.clock.slot_s * 1000)
        self.hold = scenario.clock.hold
        self.queues: list[deque[Task]] = [deque() for _ in range(scenario.gateways.count)]
        gateways = workload.tasks[:, 4].tolist()
        assignable = len(self.tasks) - (self.end == "last-task")
        self.future = deque(zip(self.tasks[:assignable], gateways, strict=False))
        self.last_arrival = self.tasks[-1].arrival
        self.turns = 0
        self.illegal = 0
        self.dropped: list[Task] = []
        self.now = self._slot_of(self.tasks[0].arrival)
        self._let_in()

    def _slot_of(self, time: int) -> int:
        """Start of the first slot at or after a time."""
        return ((time + self.slot - 1) // self.slot) * self.slot

    def _let_in(self) -> None:
        while self.future and self.future[0][0].arrival <= self.now:
            task, gateway = self.future.popleft()
            self.queues[gateway].append(task)

    def waiting(self, gateway: int) -> Task | None:
        """The task that a gateway has to decide on now."""
        queue = self.queues[gateway]
        return queue[0] if queue and not (self.terminated or self.truncated) else None

    def play(self, choices: list[tuple[int, int] | None]) -> list[float]:
        """Play a slot: each gateway's (server, service) or None; return what each one's paid."""
        paid = [0.0] * len(choices)
        acting = []
        for gateway, choice in enumerate(choices):
            task = self.waiting(gateway)
            if task is None:
                self.illegal += choice is not None
            elif choice is not None or not self.hold:
                acting.append((task.arrival, gateway))
        for _, gateway in sorted(acting):
            task = self.queues[gateway].popleft()
            choice = choices[gateway]
            if choice is None:
                self.illegal += 1
                self.dropped.append(task)
            else:
                paid[gateway] = self._send(task, *choice)
        self._next_slot()
        return paid

    def _send(self, task: Task, server_index: int, service_index: int) -> float:
        server = self.servers[server_index]
        service = server.services[service_index]
        # The reference measures progress and end from the arrival; here a task starts when sent.
        sent = Task(task.number, self.now, task.run_time, task.demand, task.kind)
        self.tasks[task.number] = sent
        if sent.demand > server.available:
            cost = self._crash(server)
            sent.fate = Fate.DROPPED
            return -cost
        sent.fate = Fate.RUNNING
        sent.turn = self.turns = self.turns + 1
        service.running.append(sent)
        heapq.heappush(self.finish_events, (sent.end, sent.number, sent, service))
        return service.utility(sent)

    def _next_slot(self) -> None:
        self.now += self.slot
        if not any(self.queues):
            if self.future:
                self.now = max(self.now, self._slot_of(self.future[0][0].arrival))
            elif self.end == "last-task":
                self.now = max(self.now, self._slot_of(self.last_arrival))
        if self.end == "last-task":
            self.terminated = self.now >= self.last_arrival
        elif self.now >= self.horizon or not (self.future or any(self.queues)):
            self.now = self.horizon
            self.truncated = True
        self._finish_tasks()
        self._let_in()
