"""The live world: what is known of real servers, in the simulator's arrays, seen by its kernel.

It is one row of a simulator whose clock is the wall's. Requests come and end, and servers fail,
when somebody says so; between that the kernel's own rules expect what will happen (when a task
ends, whose turn it is, which model leaves), and its own code writes the observation and the mask.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from edge_marl.kernel import world as k
from edge_marl.kernel.decision import admit, is_closed, place_of
from edge_marl.kernel.network import input_time, return_time, slowed
from edge_marl.kernel.observe import observe, observe_server
from edge_marl.kernel.servers import finish_on, fits, is_cloud, note_change, report_changed, start
from edge_marl.kernel.terms import choose_level, declines, has_lines, steps_of, turn_of
from edge_marl.scenario import Scenario
from edge_marl.simulator import Simulator
from edge_marl.workload import Workload
from edge_marl.workload.topology import Topology

__all__ = ["Choice", "LiveWorld", "Other", "Request"]


@dataclass(frozen=True)
class Request:
    """What a request asks for, in the simulator's terms; one stage."""

    type: int
    demand: int
    """Denoising steps."""
    run_time_ms: int
    """On the reference device."""
    deadline_ms: int = 0
    """After its arrival; 0 is none."""
    upload_kb: int = 0
    download_kb: int = 0
    load_ms: int = 0
    """To load its model, if that has to be done."""
    weight: int = 1000
    """Of its class of service, in thousandths."""


@dataclass(frozen=True)
class Choice:
    """Where an action sends a task."""

    server: int
    service: int
    steps: int
    """Denoising steps that are to be done."""


@dataclass(frozen=True)
class Other:
    """A task of somebody else's that a server reports."""

    service: int
    steps: int
    left_ms: int
    """Time that it still runs."""
    waits: bool
    """Whether it has yet to take its capacity."""


class LiveWorld(Simulator):
    """Servers as far as one gateway knows them; times are ms since it began, never falling.

    What it is told applies at once; what it shows of servers other than the gateway's own is as old
    as the scenario's telemetry makes it.

    Args:
        scenario: the world that the policy decides in; of a game in slots, its event clock.
        topology: the servers that there really are, with the links of every gateway.
        gateway: the gateway by whose eyes it sees.
        room: requests that may be there at one time.

    Raises:
        WorkloadError: if the servers do not fit the scenario, or cannot be shown in it.
    """

    def __init__(
        self, scenario: Scenario, topology: Topology, gateway: int = 0, room: int = 256
    ) -> None:
        super().__init__(scenario.on_events(), num_threads=1)
        self.gateway, self._extended = gateway, scenario.extended
        rows = 2 * room + 1  # as many of others' tasks
        nobody = np.zeros((rows, k.NUM_TASK_FIELDS), dtype=np.int64)
        nobody[:, [k.RUN_TIME, k.DEMAND]] = 1
        nobody[:, k.GATEWAY] = gateway
        workload = Workload(topology, nobody)
        workload.check_fits(self.scenario)
        workload.check_observable(self.scenario)
        self.make_room(rows, rows, 0, 0)
        self.load(0, workload)
        self._free, self._room = list(range(rows))[::-1], room + 1
        self._others: list[list[int]] = [[] for _ in range(scenario.num_servers)]
        self._closed = np.zeros(scenario.num_servers, dtype=np.bool_)  # of the base model

    @property
    def now(self) -> int:
        """The time of the last thing that happened."""
        return int(self._world.episode[0, k.CLOCK])

    # What happens.

    def arrive(self, request: Request, now: int) -> int:
        """A request arrives; return its number, which is its own until `leave`."""
        w = self._world
        self._pass(now - 1, now)
        row = self._free.pop()
        asked = (self.now, request.run_time_ms, request.demand, request.type, self.gateway)
        w.tasks[0, row, : k.NUM_TASK_FIELDS] = asked
        w.tasks[0, row, k.PLACE :] = (k.NOWHERE, k.WAITING, 0, 0)
        if self._extended:
            w.details[0, row] = 0
            w.details[0, row, k.DEADLINE] = request.deadline_ms
            w.details[0, row, k.LOAD_TIME] = request.load_ms
            w.details[0, row, k.UPLOAD] = request.upload_kb
            w.details[0, row, k.DOWNLOAD] = request.download_kb
        if self.scenario.has_terms:
            w.terms[0, row] = 0
            w.terms[0, row, k.WEIGHT] = request.weight
        return row

    def look(self, number: int, now: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int8]]:
        """Return what the gateway sees with a request to decide on.

        Returns:
            Observation (D,) and mask (A,), copies.
        """
        self._pass(now, now)
        self._world.episode[0, k.SHOWN] = number
        if numba.config.DISABLE_JIT:
            observe(self._world, 0)
        else:
            self._look()
        return self.observations[0].copy(), self.feasible[0].copy()

    def without(self, mask: npt.NDArray[np.int8], servers: Collection[int]) -> npt.NDArray[np.int8]:
        """Return a mask (A,) that forbids some servers as well; to decline stays as it was."""
        mask, choices = mask.copy(), self.layout.num_choices
        for link in range(self.layout.num_servers):
            if self._server_of(link) in servers:
                mask[link * choices : (link + 1) * choices] = 0
        return mask

    def send(self, number: int, action: int, now: int) -> float:
        """A request is sent by an action that is not closed; return the utility expected of it.

        Where there is no room for it the server decides what happens: here it is on top.
        """
        w = self._world
        self._pass(now - 1, now)
        place = place_of(w, 0, number, action)
        server = place // self.scenario.num_services
        if self.scenario.has_terms:
            choose_level(w, 0, number, action)
        if self._extended:
            note_change(w, 0, server)
        w.tasks[0, number, k.PLACE] = place
        w.tasks[0, number, k.START] = self.now
        room = fits(w, 0, number, server, place % self.scenario.num_services)
        value = admit(w, 0, number, place) if room else self._put_on_top(number, place)
        self._show(server)
        return value

    def take_back(self, number: int, now: int) -> None:
        """A request is no longer where it was sent: it ended there, or is lost."""
        w = self._world
        self._pass(now - 1, now)
        place = w.tasks[0, number, k.PLACE]
        server = place // self.scenario.num_services
        if place != k.NOWHERE and not is_cloud(w, server):
            self._end(server, (number,))
        w.tasks[0, number, k.PLACE] = k.NOWHERE

    def leave(self, number: int, now: int) -> None:
        """A request is over: answered, lost, or never sent; its number is free."""
        self.take_back(number, now)
        self._free.append(number)

    def fail(self, server: int, now: int, until: int = k.NEVER) -> None:
        """A server does not answer, and is up again at `until`; a model has to be loaded then.

        What was sent there still counts, for it may only be slow: each request is taken back by
        itself when it is known to be lost.
        """
        w = self._world
        self._pass(now - 1, now)
        if self._extended:
            note_change(w, 0, server)
            w.sites[0, server, k.RESIDENT] = 0
            w.sites[0, server, k.DOWN_UNTIL] = max(w.sites[0, server, k.DOWN_UNTIL], until)
        self._closed[server] = until > now
        self._show(server)

    def recover(self, server: int, now: int) -> None:
        """A server that was down is up."""
        self._pass(now - 1, now)
        if self._extended:
            note_change(self._world, 0, server)
            self._world.sites[0, server, k.DOWN_UNTIL] = self.now
        self._closed[server] = False
        self._end(server, ())

    def hear(
        self, server: int, models: Sequence[int] | None, others: Sequence[Other], now: int
    ) -> None:
        """A server reports what it has.

        Args:
            server: which one.
            models: services whose models it has in memory; None if it does not say.
            others: tasks that it has from others than this gateway, first come first; of very many
                the first.
            now: when.
        """
        w = self._world
        self._pass(now - 1, now)
        if self._extended:
            note_change(w, 0, server)
            if models is not None:
                w.sites[0, server, k.RESIDENT] = sum(1 << model for model in set(models))
        self._end(server, self._others[server])
        self._free += self._others[server]
        self._others[server] = []
        spare = max(0, len(self._free) - self._room)
        for other in others[:spare]:
            self._put_other(server, other)
        self._show(server)

    # What is asked of it.

    def is_down(self, server: int) -> bool:
        """Whether a server is known to be down."""
        if not self._extended:
            return bool(self._closed[server])
        return bool(self._world.sites[0, server, k.DOWN_UNTIL] > self.now)

    def declines(self, action: int) -> bool:
        """Whether an action is to say no."""
        return declines(self._world, action)

    def chosen(self, number: int, action: int) -> Choice:
        """Return where an action would send a request."""
        w, services = self._world, self.scenario.num_services
        place = place_of(w, 0, number, action)
        if self.scenario.has_terms:
            choose_level(w, 0, number, action)
        return Choice(place // services, place % services, steps_of(w, 0, number))

    def is_closed(self, number: int, action: int) -> bool:
        """Whether a request would not be taken: not hosted there, a server that is down, no line.

        A server without a line that has no room takes it, and may crash.
        """
        if self.declines(action):
            return False
        choice = self.chosen(number, action)
        if self.is_down(choice.server) or not self.feasible[0, action]:
            return True
        return self._extended and is_closed(self._world, 0, number, choice.server)

    def has_room(self, number: int, action: int) -> bool:
        """Whether a request would not make the server of an action crash, as far as is known."""
        choice = self.chosen(number, action)
        return fits(self._world, 0, number, choice.server, choice.service)

    # How it is kept.

    def _server_of(self, link: int) -> int:
        """Return the server that the actions of a link lead to."""
        if not self._extended:
            return link
        w = self._world
        return int(w.links[w.episode[0, k.TOPOLOGY], self.gateway, link, k.SERVER])

    def _pass(self, told: int, now: int) -> None:
        """The clock goes on; telemetry shows what was there at its last tick up to `told`."""
        w = self._world
        period = self.scenario.telemetry.period_ms
        tick = told // period * period if period else 0
        if self._extended and tick > w.episode[0, k.TICK]:
            w.episode[0, k.CLOCK] = max(self.now, tick)
            report_changed(w, 0)
            w.episode[0, k.TICK] = tick
        w.episode[0, k.CLOCK] = max(self.now, now)

    def _end(self, server: int, numbers: Sequence[int]) -> None:
        """Tasks leave a server; those that are late stay, and may end at any moment."""
        w, now = self._world, self.now
        if self._extended:
            note_change(w, 0, server)
        for at in range(w.servers[0, server, k.NUM_RUNNING]):
            if w.running[0, server, at, k.TASK] in numbers:
                w.ends[0, server, at] = now
            elif w.ends[0, server, at] <= now:
                w.ends[0, server, at] = now + 1
        finish_on(w, 0, server, now)
        if has_lines(w):
            self._take_turns(server)
            if w.servers[0, server, k.NUM_RUNNING] == 0:
                w.lines[0, server, k.LAST_TURN] = 0
        self._show(server)

    def _take_turns(self, server: int) -> None:
        """Tasks that wait take the capacity that has become free earlier than was expected."""
        w, now = self._world, self.now
        for at in range(w.servers[0, server, k.NUM_RUNNING]):
            early = w.turns[0, server, at] - now
            if early <= 0:
                continue
            holds = w.running[0, server, at, k.HOLDS]
            if w.servers[0, server, k.USED] + holds > w.servers[0, server, k.CAPACITY]:
                return
            w.turns[0, server, at] = now
            w.ends[0, server, at] -= early
            w.servers[0, server, k.USED] += holds
            w.lines[0, server, k.WAIT] -= 1

    def _put_on_top(self, number: int, place: int) -> float:
        """A task is on a server that has no room for it; nothing is expected of it."""
        w = self._world
        server = place // self.scenario.num_services
        duration = int(w.tasks[0, number, k.RUN_TIME])
        if self._extended:
            link = w.details[0, number, k.VIA]
            w.details[0, number, k.RETURN] = return_time(w, 0, number, link)
            slowdown = w.slowdowns[w.episode[0, k.TOPOLOGY], place]
            duration = int(slowed(float(duration), slowdown)) + input_time(w, 0, number, link)
        self._hold(number, server, self.now, duration)
        return 0.0

    def _put_other(self, server: int, other: Other) -> None:
        """A task of somebody else's is on a server."""
        w, number = self._world, self._free.pop()
        self._others[server].append(number)
        asked = (self.now, max(1, other.left_ms), other.steps, 0, self.gateway)
        w.tasks[0, number, : k.NUM_TASK_FIELDS] = asked
        w.tasks[0, number, k.PLACE] = server * self.scenario.num_services + other.service
        w.tasks[0, number, k.START] = self.now
        turn = self.now
        if self.scenario.has_terms:
            w.terms[0, number] = (1000, self.scenario.num_levels - 1, other.steps, turn)
            waits = other.waits and other.steps <= w.servers[0, server, k.CAPACITY]
            if waits and has_lines(w):
                turn = turn_of(w, 0, number, server)
        self._hold(number, server, turn, other.left_ms)

    def _hold(self, number: int, server: int, turn: int, duration: int) -> None:
        """A task is on a server from its turn on, for a time."""
        w = self._world
        w.tasks[0, number, k.STATUS] = k.ADMITTED
        w.tasks[0, number, k.END] = turn + max(1, duration)
        if self.scenario.has_terms:
            w.terms[0, number, k.TURN] = turn
        if not is_cloud(w, server):
            start(w, 0, number, server, int(w.tasks[0, number, k.END]))

    def _show(self, server: int) -> None:
        """Have what is seen of a server be a share; in the base model one that is down is full."""
        w = self._world
        capacity = w.servers[0, server, k.CAPACITY]
        full = self._closed[server] and not self._extended
        used = capacity if full else min(capacity, w.servers[0, server, k.USED])
        w.servers[0, server, k.USED] = used
        observe_server(w, 0, server)
