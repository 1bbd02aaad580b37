"""The multi-agent game, slow and plain, on top of the reference simulator.

On the event clock the gateway of the shown task decides alone. On the slotted clock every gateway
with a waiting task acts at a slot's start, all at once, in order of (time since it waits, gateway);
a task waits at its gateway, behind earlier ones, for its turn. A gateway that is asleep at a slot's
start does not act in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.oracle.reference_sim import Choice, ReferenceSimulator, Task

if TYPE_CHECKING:
    from edge_marl.scenario import Scenario
    from edge_marl.workload import Workload


class EventGame(ReferenceSimulator):
    """One episode on the event clock, as a game: one gateway decides at a time."""

    hold = False

    def waiting(self, gateway: int) -> Task | None:
        """The task that a gateway has to decide on now."""
        task = None if self.over else self.current_task
        return task if task is not None and task.gateway == gateway else None

    def play(self, choices: list[Choice]) -> list[float]:
        """Take each gateway's choice, go on, and return what each one gets."""
        self.refunds = []
        paid = [0.0] * len(choices)
        acting = []
        for gateway, choice in enumerate(choices):
            task = self.waiting(gateway)
            if task is None:
                self.illegal += choice is not None
            elif choice is not None or not self.hold:
                acting.append(task)
        for task in sorted(acting, key=lambda task: (task.ready, task.gateway)):
            paid[task.gateway] = self.decide(task, choices[task.gateway])
        self._go_on()
        return [
            self.with_refunds(own, [amount for owner, amount in self.refunds if owner == gateway])
            for gateway, own in enumerate(paid)
        ]


class SlottedGame(EventGame):
    """One episode in slots."""

    def __init__(self, scenario: Scenario, workload: Workload) -> None:
        self.slot = round(scenario.clock.slot_s * 1000)
        self.hold = scenario.clock.hold
        self.slots = self.herds = 0  # in which something was sent; in which two met in an overload
        sleeps = [] if workload.sleeps is None else workload.sleeps.tolist()
        self.sleeps = [(g, begin, begin + length) for begin, g, length in sleeps]
        super().__init__(scenario, workload)

    def _start(self) -> None:
        if self.ends_at_last_task:
            self.arriving.pop()  # it is never assigned
        self._pass_to(self._slot_of(self.tasks[0].ready))
        if not self._someone_acts():
            self._go_on()

    def _slot_of(self, time: int) -> int:
        """Start of the first slot at or after a time."""
        return ((time + self.slot - 1) // self.slot) * self.slot

    def waiting(self, gateway: int) -> Task | None:
        """The task that a gateway has to decide on now: the first one that waits there."""
        own = [task for task in self.queue if task.gateway == gateway]
        acts = own and not self.over and not self._is_asleep(gateway)
        return own[0] if acts else None

    def _is_asleep(self, gateway: int) -> bool:
        return any(g == gateway and begin <= self.now < end for g, begin, end in self.sleeps)

    def _someone_acts(self) -> bool:
        return any(self.waiting(gateway) for gateway in range(len(self.gateways)))

    def play(self, choices: list[Choice]) -> list[float]:
        """Take a slot, and count whether gateways met where it was too much."""
        self.sent_in_step = []
        paid = super().play(choices)
        self.slots += bool(self.sent_in_step)
        too_much = [server for server, _, more_than_fits in self.sent_in_step if more_than_fits]
        senders = [{g for at, g, _ in self.sent_in_step if at is server} for server in too_much]
        self.herds += any(len(gateways) >= 2 for gateways in senders)
        return paid

    def _go_on(self) -> None:
        """Slot after slot, until somebody has something to decide on."""
        next_slot = self.now + self.slot
        last_arrival = self.tasks[-1].ready
        latest = last_arrival if self.ends_at_last_task else self.horizon
        while True:
            if not self.queue:
                self._pass_until_ready(latest)
                next_slot = max(next_slot, self._slot_of(self.now))
            if self.ends_at_last_task:
                self.terminated = next_slot >= last_arrival
            elif next_slot >= self.horizon or not self.queue:
                next_slot = self.horizon
                self.truncated = True
            self._pass_to(next_slot)
            if self.over or self._someone_acts():
                return
            next_slot += self.slot
