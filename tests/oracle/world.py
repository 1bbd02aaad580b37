"""What a world consists of: requests and their tasks, servers and their services, gateways, links.

Written from `docs/model/base.md` and `docs/model/extended.md`, for the reader: every rule that
concerns one object alone is here, in Python's own arithmetic. Times are integer milliseconds.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_marl.scenario import Scenario
    from edge_marl.workload import Workload


def divide_up(number: int, by: int) -> int:
    """Smallest whole number that is at least ``number / by``."""
    return -(-number // by)


class Fate(Enum):
    """What has become of a task."""

    WAITING = auto()  # not decided on yet, or never: its request was lost before
    RUNNING = auto()
    FINISHED = auto()
    CRASHED = auto()  # was running on a server that crashed
    REFUSED = auto()  # its own dispatch made the server crash
    DROPPED = auto()  # its gateway took no legal action for it
    DENIED = auto()  # was sent to a server that was down
    FAILED = auto()  # failed by itself at its end
    OUTAGE = auto()  # was running on a server that failed
    DECLINED = auto()  # its gateway said no to it


@dataclass(eq=False)
class Request:
    """What a user asks for: one or several tasks, one after the other."""

    arrival: int
    gateway: int
    deadline: int  # ms after the arrival; 0 is none
    weight: int = 1000  # thousandths
    tasks: list[Task] = field(default_factory=list)
    qualities: list[float] = field(default_factory=list)  # of the tasks admitted so far

    def value(self, latency: int) -> float:
        """What the request is worth if its result is back ``latency`` ms after its arrival."""
        value = self.qualities[0]
        for quality in self.qualities[1:]:
            value += quality
        if len(self.qualities) > 1:
            value /= len(self.qualities)
        return self.kept(value, latency) * (self.weight / 1000)

    def kept(self, value: float, latency: int) -> float:
        """What is left of a value after so long."""
        if not self.deadline or latency <= self.deadline:
            return value
        if latency >= 2 * self.deadline:
            return 0.0
        return value * ((2 * self.deadline - latency) / self.deadline)


@dataclass(eq=False)
class Task:
    """One stage of a request: a row of the workload."""

    number: int  # row
    request: Request
    run_time: int  # ms on the reference device
    demand: int  # denoising steps, the unit of capacity
    kind: int  # task type
    place: int = 0  # in its request
    after: int = 0  # stages after it
    load_time: int = 0  # ms
    upload: int = 0  # kB
    download: int = 0  # kB
    fails: bool = False
    fate: Fate = Fate.WAITING
    ready: int = 0  # when it can be sent
    sent: int = 0
    steps: int = 0  # denoising steps that are done, at its level
    work: int = 0  # ms on the reference device, at its level
    set_out: int = 0  # when its input and its model are at the server
    turn: int = 0  # when it takes its capacity: before, it waits at its server
    end: int = 0  # when it ends if nothing goes wrong; once it is lost, when that was
    order: int = 0  # how many tasks were admitted before it
    granted: float = 0.0
    paid: float = 0.0  # for its dispatch, less its refund
    server: Server = field(init=False)  # where it was sent
    service: Service = field(init=False)

    @property
    def gateway(self) -> int:
        """Number of the gateway that it waits at."""
        return self.request.gateway

    @property
    def next(self) -> Task | None:
        """The stage after it."""
        return self.request.tasks[self.place + 1] if self.after else None

    @property
    def came_from(self) -> Server | None:
        """The server where the stage before it ended."""
        return self.request.tasks[self.place - 1].server if self.place else None

    def progress(self, now: int) -> float:
        """Fraction of the time from sending to end that has passed at ``now``."""
        return (now - self.sent) / (self.end - self.sent)


@dataclass(eq=False)
class Service:
    """One model on one server: what its results are worth, what it takes, what runs on it."""

    number: int
    baseline: list[float]  # by task type
    ax: float
    ay: float
    bx: float
    by: float
    slowdown: int = 1000  # thousandths
    hosted: bool = True
    memory: int = 0  # MiB
    price: float = 0.0  # per denoising step
    resident: bool = True
    loaded_at: int = 0  # when the model is (or will be) in memory
    last_use: int = 0
    growth: int = 0  # thousandths that each task beside one of its own adds to the run time
    running: list[Task] = field(default_factory=list)  # in order of assignment

    def quality(self, demand: int) -> float:
        """Quality gained by ``demand`` denoising steps: zero, then a ramp, then flat."""
        if demand < self.ax:
            return 0.0
        if demand > self.bx:
            return self.by - self.ay
        return (self.by - self.ay) / (self.bx - self.ax) * (demand - self.ax)

    def utility(self, task: Task, steps: int) -> float:
        """Quality of what this service makes of ``task`` in so many steps."""
        return self.baseline[task.kind] + self.quality(steps)

    def duration(self, work: int, beside: int) -> int:
        """Time that so much work takes here, beside so many other tasks."""
        slowed = divide_up(work * self.slowdown, 1000)
        return divide_up(slowed * (1000 + self.growth * beside), 1000)


@dataclass(eq=False)
class Server:
    """A server; its services share its capacity and its memory."""

    number: int
    capacity: int
    services: list[Service]
    memory: int | None = None  # MiB; None: every model is always resident
    limit: int | None = None  # tasks that may wait; None: none does
    is_cloud: bool = False
    down_until: int = 0
    crashes: int = 0

    line: deque[Task] = field(default_factory=deque)  # tasks that wait for capacity

    @property
    def running(self) -> list[Task]:
        """Tasks that run on any of the services, service by service."""
        return [task for service in self.services for task in service.running]

    @property
    def held(self) -> list[Task]:
        """Tasks that run or wait here, in order of assignment."""
        return sorted([*self.running, *self.line], key=lambda task: task.order)

    @property
    def used(self) -> int:
        """Capacity taken by the running tasks."""
        return 0 if self.is_cloud else sum(task.steps for task in self.running)

    @property
    def available(self) -> int:
        """Capacity that is left."""
        return self.capacity - self.used

    def is_down(self, now: int) -> bool:
        """Whether it takes nothing."""
        return now < self.down_until

    def must_wait(self, task: Task) -> bool:
        """Whether ``task`` has to wait for others."""
        return not self.is_cloud and (bool(self.line) or task.steps > self.available)

    def turns_away(self, task: Task) -> bool:
        """Whether ``task`` would wait for ever, or where there is no place to wait."""
        if self.limit is None or self.is_cloud:
            return False
        full = len(self.line) >= self.limit
        return task.steps > self.capacity or (full and self.must_wait(task))

    def has_room(self, task: Task, service: Service) -> bool:
        """Whether ``task`` fits: its demand, if it cannot wait, and its model beside those in use.

        Models are in use from the assignment of a task on.
        """
        if self.is_cloud:
            return True
        if self.limit is None and task.steps > self.available:
            return False
        if service.resident or self.memory is None:
            return True
        return service.memory + sum(other.memory for other in self._in_use()) <= self.memory

    def _in_use(self) -> list[Service]:
        waited_for = {task.service.number for task in self.line}
        return [s for s in self.services if s.running or s.number in waited_for]

    def take(self, task: Task, now: int) -> None:
        """Have an admitted task run or wait, and find out when it will begin and end."""
        if not self.must_wait(task):
            self.begin(task, now, len(self.running))
            task.service.running.append(task)
            return
        self.line.append(task)
        ends = sorted((other.end, other.steps) for other in self.running)
        ahead = list(self.line)
        while ahead:  # nothing that comes later changes what is to come
            now = max(now, ends[0][0])
            ends = [(end, steps) for end, steps in ends if end > now]
            while ahead and ahead[0].steps + sum(steps for _, steps in ends) <= self.capacity:
                first = ahead.pop(0)
                end = self.begin(first, now, len(ends)) if first is task else first.end
                ends = sorted([*ends, (end, first.steps)])

    def begin(self, task: Task, now: int, beside: int) -> int:
        """Have a task take its capacity now; return when it ends."""
        beside = 0 if self.is_cloud else beside
        task.turn = now
        task.end = max(now, task.set_out) + task.service.duration(task.work, beside)
        return task.end

    def call_up(self, now: int) -> None:
        """Let those run that have waited, as far as there is capacity: as was foreseen."""
        while self.line and self.line[0].steps <= self.available:
            task = self.line.popleft()
            foreseen = task.turn, task.end
            self.begin(task, now, len(self.running))
            assert foreseen == (task.turn, task.end), f"{foreseen}, now {task.turn, task.end}"
            task.service.running.append(task)

    def bring_in(self, service: Service, now: int, load_time: int) -> None:
        """Have the model in memory, where that counts, and note its use."""
        if self.memory is not None and not service.resident:
            while self._resident_memory() + service.memory > self.memory:
                in_use = self._in_use()
                idle = [s for s in self.services if s.resident and s not in in_use]
                min(idle, key=lambda s: (s.last_use, s.number)).resident = False
            service.resident = True
            service.loaded_at = now + load_time
        service.last_use = now

    def lose_all(self) -> list[Task]:
        """Empty the server, memory too; return what ran on it, in order of assignment."""
        lost = self.held
        self.line.clear()
        for service in self.services:
            service.running.clear()
            service.resident = self.memory is None
            service.loaded_at = 0
        return lost

    def _resident_memory(self) -> int:
        return sum(service.memory for service in self.services if service.resident)


@dataclass(frozen=True)
class Link:
    """A gateway's way to one server."""

    server: Server
    propagation: int = 0  # ms one way
    us_per_kb: int = 0

    def time_of(self, kilobytes: int) -> int:
        """Time that so much takes to get across."""
        return self.propagation + divide_up(kilobytes * self.us_per_kb, 1000)


@dataclass(eq=False)
class Gateway:
    """Where requests arrive, and which servers they can be sent to from there."""

    number: int
    links: list[Link]  # its neighbours, nearest first; the first is its own

    def way_in(self, task: Task, link: Link) -> int:
        """Time until the input of ``task`` is at the server."""
        source = task.came_from
        if source is None:
            return link.time_of(task.upload)
        if source is link.server:
            return 0
        back = next(other for other in self.links if other.server is source)
        return back.time_of(task.upload) + link.time_of(task.upload)

    def way_back(self, task: Task, link: Link) -> int:
        """Time until the result of a request is back; other stages' results are not sent."""
        return 0 if task.after else link.time_of(task.download)


def make_tasks(workload: Workload) -> list[Task]:
    """Tasks of a workload, row by row, with their requests."""
    rows = workload.tasks.tolist()
    details = [[0] * 7] * len(rows) if workload.details is None else workload.details.tolist()
    weights = [1000] * len(rows) if workload.weights is None else workload.weights.tolist()
    tasks: list[Task] = []
    request: Request | None = None
    for number, (row, detail) in enumerate(zip(rows, details, strict=True)):
        arrival, run_time, demand, kind, gateway = row
        place, after, deadline, load_time, upload, download, fails = detail
        if place == 0 or request is None:
            request = Request(arrival, gateway, deadline, weights[number])
        sizes = (load_time, upload, download, bool(fails))
        task = Task(number, request, run_time, demand, kind, place, after, *sizes)
        task.ready = arrival  # of a later stage: put right when the one before has ended
        request.tasks.append(task)
        tasks.append(task)
    return tasks


def make_servers(scenario: Scenario, workload: Workload) -> list[Server]:
    """Servers of a workload, the cloud among them."""
    topology = workload.topology
    s, v, _ = topology.baseline.shape

    def table(array: Any, otherwise: Any) -> list[list[Any]]:
        return [[otherwise] * v] * s if array is None else array.tolist()

    slowdown, hosted = table(topology.slowdown, 1000), table(topology.hosted, True)
    energy = table(topology.energy, 0)
    models = [0] * v if topology.model_memory is None else topology.model_memory.tolist()
    memory: list[int] = [sum(models)] * s if topology.memory is None else topology.memory.tolist()
    servers = []
    for j, capacity in enumerate(topology.capacity.tolist()):
        is_cloud = scenario.cloud is not None and j == s - 1
        counts = scenario.residency is not None and not is_cloud
        services = []
        for i in range(v):
            price = scenario.energy.weight * energy[j][i] / 1000
            if is_cloud and scenario.cloud is not None:
                price = scenario.cloud.price_per_step + price
            service = Service(i, topology.baseline[j, i].tolist(), *topology.curve[j, i].tolist())
            service.slowdown, service.hosted = slowdown[j][i], hosted[j][i]
            service.memory, service.price, service.resident = models[i], price, not counts
            if scenario.concurrency is not None:
                growth = scenario.concurrency.growth
                service.growth = round(1000 * growth[i if len(growth) > 1 else 0])
            services.append(service)
        limit = None if scenario.queue is None else scenario.queue.limit
        server = Server(j, capacity, services, memory[j] if counts else None, limit, is_cloud)
        servers.append(server)
    return servers


def make_gateways(scenario: Scenario, workload: Workload, servers: list[Server]) -> list[Gateway]:
    """Gateways with their links; without a network the ways take no time."""
    topology = workload.topology
    count = scenario.gateways.count
    if topology.neighbours is None:
        return [Gateway(g, [Link(server) for server in servers]) for g in range(count)]
    neighbours = topology.neighbours.tolist()
    none = [[0] * scenario.num_neighbours] * count
    propagation, us_per_kb = topology.propagation, topology.us_per_kb
    fixed = none if scenario.network is None or propagation is None else propagation.tolist()
    by_size = none if scenario.network is None or us_per_kb is None else us_per_kb.tolist()
    return [
        Gateway(
            g,
            [Link(servers[j], fixed[g][n], by_size[g][n]) for n, j in enumerate(neighbours[g])],
        )
        for g in range(count)
    ]
