"""What a world consists of: requests and their tasks, servers and their services, gateways, links.

Written from `docs/model.md` and `docs/extended_model.md`, for the reader: every rule that concerns
one object alone is here, in Python's own arithmetic. Times are integer milliseconds.
"""

from __future__ import annotations

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


@dataclass(eq=False)
class Request:
    """What a user asks for: one or several tasks, one after the other."""

    arrival: int
    gateway: int
    deadline: int  # ms after the arrival; 0 is none
    tasks: list[Task] = field(default_factory=list)
    qualities: list[float] = field(default_factory=list)  # of the tasks admitted so far

    def value(self, latency: int) -> float:
        """What the request is worth if its result is back ``latency`` ms after its arrival."""
        value = self.qualities[0]
        for quality in self.qualities[1:]:
            value += quality
        if len(self.qualities) > 1:
            value /= len(self.qualities)
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
    end: int = 0  # when it ends if nothing goes wrong; once it is lost, when that was
    turn: int = 0  # how many tasks were admitted before it
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
    running: list[Task] = field(default_factory=list)  # in order of assignment

    def quality(self, demand: int) -> float:
        """Quality gained by ``demand`` denoising steps: zero, then a ramp, then flat."""
        if demand < self.ax:
            return 0.0
        if demand > self.bx:
            return self.by - self.ay
        return (self.by - self.ay) / (self.bx - self.ax) * (demand - self.ax)

    def utility(self, task: Task) -> float:
        """Quality of what this service makes of ``task``."""
        return self.baseline[task.kind] + self.quality(task.demand)

    def duration(self, task: Task) -> int:
        """Time that ``task`` runs here."""
        return divide_up(task.run_time * self.slowdown, 1000)

    def cost(self, task: Task) -> float:
        """What it costs to have ``task`` here."""
        return task.demand * self.price


@dataclass(eq=False)
class Server:
    """A server; its services share its capacity and its memory."""

    number: int
    capacity: int
    services: list[Service]
    memory: int | None = None  # MiB; None: every model is always resident
    is_cloud: bool = False
    down_until: int = 0
    crashes: int = 0

    @property
    def running(self) -> list[Task]:
        """Tasks that run on any of the services, service by service."""
        return [task for service in self.services for task in service.running]

    @property
    def running_in_order(self) -> list[Task]:
        """The same in order of assignment."""
        return sorted(self.running, key=lambda task: task.turn)

    @property
    def used(self) -> int:
        """Capacity taken by the running tasks."""
        return 0 if self.is_cloud else sum(task.demand for task in self.running)

    @property
    def available(self) -> int:
        """Capacity that is left."""
        return self.capacity - self.used

    def is_down(self, now: int) -> bool:
        """Whether it takes nothing."""
        return now < self.down_until

    def has_room(self, task: Task, service: Service) -> bool:
        """Whether ``task`` fits: its demand, and its model beside those in use."""
        if self.is_cloud:
            return True
        if task.demand > self.available:
            return False
        if service.resident or self.memory is None:
            return True
        busy = sum(other.memory for other in self.services if other.running)
        return service.memory + busy <= self.memory

    def bring_in(self, service: Service, now: int, load_time: int) -> None:
        """Have the model in memory, where that counts, and note its use."""
        if self.memory is not None and not service.resident:
            while self._resident_memory() + service.memory > self.memory:
                idle = [s for s in self.services if s.resident and not s.running]
                min(idle, key=lambda s: (s.last_use, s.number)).resident = False
            service.resident = True
            service.loaded_at = now + load_time
        service.last_use = now

    def lose_all(self) -> list[Task]:
        """Empty the server, memory too; return what ran on it, in order of assignment."""
        lost = self.running_in_order
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
    tasks: list[Task] = []
    request: Request | None = None
    for number, (row, detail) in enumerate(zip(rows, details, strict=True)):
        arrival, run_time, demand, kind, gateway = row
        place, after, deadline, load_time, upload, download, fails = detail
        if place == 0 or request is None:
            request = Request(arrival, gateway, deadline)
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
            services.append(service)
        servers.append(Server(j, capacity, services, memory[j] if counts else None, is_cloud))
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
