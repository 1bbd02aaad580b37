"""What the bound of the extended model knows of an episode: its facts, its grid of time blocks."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_marl.bound.certificate import FRACTION_BITS
from edge_marl.errors import WorkloadError
from edge_marl.jit import jit
from edge_marl.kernel.world import (
    AFTER,
    ARRIVAL,
    DEADLINE,
    DEMAND,
    DOWNLOAD,
    DURATION,
    FAILS,
    GATEWAY,
    LOAD_TIME,
    LOCATION,
    NUM_DETAILS,
    NUM_LINK_COLUMNS,
    PROPAGATION,
    RUN_TIME,
    SERVER,
    STAGE,
    TIME,
    TYPE,
    UPLOAD,
    US_PER_KB,
    Floats,
    Ints,
)
from edge_marl.scenario import Scenario
from edge_marl.simulator.compiled import compiled, task_utility
from edge_marl.simulator.packing import pack_services
from edge_marl.workload import Workload
from edge_marl.workload.topology import Topology

__all__ = [
    "DEAREST",
    "LARGEST",
    "NEVER",
    "PARTS",
    "PART_BITS",
    "UNIT",
    "WORST",
    "Facts",
    "Floats",
    "Grid",
    "Ints",
    "gather",
    "lay_grid",
    "least_duration",
    "least_times",
    "return_time",
]

UNIT = 2.0**FRACTION_BITS  # multiplying by a power of two is exact
PART_BITS = 12
PARTS = 1 << PART_BITS
"""Parts of a block; places in time are counted in them from the start of the first block."""

NEVER = 2**60
WORST = -(2**60)
"""Worth of what cannot be chosen."""

# What keeps all sums and products within 64 bits.
LARGEST = 2.0 ** (61 - FRACTION_BITS)
"""Utility of all decisions together."""
DEAREST = 2 ** (62 - PART_BITS)
"""Units that a unit of capacity may cost through a block."""

BLOCKS_PER_RUN = 32
"""Blocks that a task of mean run time takes on the reference device."""
MAX_BLOCKS = 2048
MAX_CELLS = 2**20
"""Blocks x servers, for the sake of time and memory."""


class Facts(NamedTuple):
    """What the choices of a stage follow from; N tasks, S servers, V services, G gateways."""

    tasks: Ints
    """(N, 5) of the workload."""
    details: Ints
    """(N, 7) of the workload."""
    quality: Floats
    """(N, L * V) of each service of each of the gateway's links."""
    takes: npt.NDArray[np.bool_]
    """(S, V) whether the server has the model, and the memory for it."""
    slowdown: Ints
    """(S, V) in thousandths."""
    price: Floats
    """(S, V) of a denoising step."""
    room: Ints
    """(S,) capacity; the cloud's is more than anything needs."""
    links: Ints
    """(G, L, 3) of `pack_links`."""
    outages: Ints
    """(F, 3) server failures of the workload, ordered by server."""
    first_outage: Ints
    """(S + 1,) where those of each server begin."""
    cloud: int
    """Its number; -1: there is none."""
    longest_load: int
    """Most that loading a model can delay a task (ms)."""
    end: int
    """When the episode ends (ms)."""


class Grid(NamedTuple):
    """Blocks of time."""

    start: int
    """Beginning of the first block (ms)."""
    length: int
    """Length of each block (ms)."""
    blocks: int


def gather(scenario: Scenario, workload: Workload) -> Facts:
    """Return what the bound knows of an episode.

    Raises:
        WorkloadError: requests of several stages where the episode ends at the last task.
    """
    topology = workload.topology
    per_server = scenario.num_servers, scenario.num_services
    no_details = np.zeros((workload.num_tasks, NUM_DETAILS), dtype=np.int64)
    details = np.array(or_else(workload.details, no_details))
    at_last_task = scenario.episode.end == "last-task"
    if at_last_task and details[:, AFTER].any():
        raise WorkloadError(
            "the workload has requests of several stages: their scenario must have episode.end = "
            "'horizon'"
        )
    decisions = workload.num_decisions(scenario)
    tasks = np.array(workload.tasks[:decisions])
    takes = np.array(or_else(topology.hosted, np.ones(per_server, np.bool_)))
    room = np.array(topology.capacity)
    cloud = scenario.num_servers - 1 if scenario.cloud else -1
    if scenario.residency and topology.memory is not None and topology.model_memory is not None:
        fits = topology.model_memory <= topology.memory[:, None]
        fits[-1] |= scenario.cloud is not None
        takes &= fits
    if scenario.cloud:
        room[cloud] = NEVER
    outages = np.array(or_else(workload.outages, np.zeros((0, 3), np.int64)))
    outages = outages[np.argsort(outages[:, LOCATION], kind="stable")]
    links = pack_links(topology, scenario)
    end = workload.tasks[-1, ARRIVAL] if at_last_task else scenario.arrivals.horizon_ms
    return Facts(
        tasks=tasks,
        details=details[:decisions],
        quality=_link_qualities(pack_services(topology)[None], links, tasks, scenario.num_services),
        takes=takes,
        slowdown=np.array(or_else(topology.slowdown, np.full(per_server, 1000))),
        price=pack_prices(topology, scenario).reshape(per_server),
        room=room,
        links=links,
        outages=outages,
        first_outage=np.searchsorted(outages[:, LOCATION], np.arange(len(room) + 1)),
        cloud=cloud,
        longest_load=int(details[:, LOAD_TIME].max()) if scenario.residency else 0,
        end=int(end),
    )


@compiled
def _link_qualities(services: Floats, links: Ints, tasks: Ints, per_server: int) -> Floats:
    quality = np.empty((len(tasks), links.shape[1] * per_server))
    for k in range(len(tasks)):
        for link in range(links.shape[1]):
            first = links[tasks[k, GATEWAY], link, SERVER] * per_server
            for v in range(per_server):
                quality[k, link * per_server + v] = task_utility(
                    0, first + v, tasks[k, TYPE], tasks[k, DEMAND], services
                )
    return quality


def lay_grid(facts: Facts) -> Grid:
    """Blocks from the first arrival on; the last one ends after the episode."""
    start = int(facts.tasks[0, ARRIVAL])
    time = facts.end - start + 1
    length = float(facts.tasks[:, RUN_TIME].mean()) / BLOCKS_PER_RUN
    most = min(MAX_BLOCKS, max(1, MAX_CELLS // len(facts.room)))
    whole = max(1, math.ceil(length), -(-time // most))
    return Grid(start, whole, -(-time // whole))


# Times, by the rules of `docs/extended_model.md`.


@jit
def _run_time(f: Facts, k: int, server: int, service: int) -> int:
    return int(-(-(f.tasks[k, RUN_TIME] * f.slowdown[server, service]) // 1000))


@jit
def _link_time(f: Facts, k: int, link: int, size: int) -> int:
    gateway = f.tasks[k, GATEWAY]
    sending = -(-(size * f.links[gateway, link, US_PER_KB]) // 1000)
    return int(f.links[gateway, link, PROPAGATION] + sending)


@jit
def _input_time(f: Facts, k: int, link: int) -> int:
    """Least time that the input takes."""
    return _link_time(f, k, link, f.details[k, UPLOAD]) if f.details[k, STAGE] == 0 else 0


@jit
def return_time(f: Facts, k: int, link: int) -> int:
    """Time that the result of stage k takes back over a link (0: others follow it), in ms."""
    return _link_time(f, k, link, f.details[k, DOWNLOAD]) if f.details[k, AFTER] == 0 else 0


@jit
def _survives(f: Facts, server: int, now: int, end: int) -> bool:
    """Whether a server is up at `now` and no failure comes before `end`, but for restarts."""
    if server == f.cloud:
        return True
    for i in range(f.first_outage[server], f.first_outage[server + 1]):
        time = f.outages[i, TIME]
        if time <= now < time + f.outages[i, DURATION] or now < time < min(end, f.end):
            return False
    return True


@jit
def least_duration(f: Facts, k: int, link: int, service: int) -> int:
    """Least time from dispatch to end; NEVER where the task cannot be served."""
    server = f.links[f.tasks[k, GATEWAY], link, SERVER]
    if not f.takes[server, service] or f.tasks[k, DEMAND] > f.room[server]:
        return NEVER
    there, runs = _input_time(f, k, link), _run_time(f, k, server, service)
    if f.details[k, STAGE] == 0:
        now = f.tasks[k, ARRIVAL]
        latest = now + max(there, f.longest_load) + runs
        if f.details[k, FAILS] == 1 and latest < f.end:
            return NEVER
        if not _survives(f, server, now, now + there + runs):
            return NEVER
    return int(there + runs)


@jit
def _must_fail(f: Facts, k: int) -> bool:
    """Whether a task that fails does so for sure if it is a stage of a request of any value."""
    if f.details[k, FAILS] == 0:
        return False
    limit = f.details[k, DEADLINE]
    return bool(f.details[k, AFTER] > 0 or (limit > 0 and f.tasks[k, ARRIVAL] + 2 * limit <= f.end))


@jit
def least_times(f: Facts) -> tuple[Ints, Ints]:
    """Earliest dispatch of each task, and least time from its end to the request's result.

    The dispatch is NEVER for all stages of a request that cannot be of value.
    """
    n = len(f.tasks)
    ready = np.empty(n, dtype=np.int64)
    rest = np.zeros(n, dtype=np.int64)
    least = np.full(n, NEVER)
    for k in range(n):
        for link in range(f.links.shape[1]):
            back = return_time(f, k, link)
            for service in range(f.takes.shape[1]):
                duration = least_duration(f, k, link, service)
                if duration < NEVER:
                    least[k] = min(least[k], duration + back)
        ready[k] = f.tasks[k, ARRIVAL]
        if f.details[k, STAGE] > 0:
            ready[k] = min(NEVER, ready[k - 1] + least[k - 1])
        too_late = f.details[k, STAGE] > 0 and ready[k] >= f.end
        if too_late or least[k] == NEVER or _must_fail(f, k):
            ready[k] = NEVER
    for k in range(n - 2, -1, -1):
        if f.details[k, AFTER] > 0:
            rest[k] = rest[k + 1] + least[k + 1]
            if ready[k + 1] == NEVER:
                ready[k] = NEVER
    return ready, rest


def pack_prices(topology: Topology, scenario: Scenario) -> Floats:
    """Return the price of a denoising step at each place in utility, (S * V,)."""
    s, v, _ = topology.baseline.shape
    price = np.zeros((s, v))
    if topology.energy is not None:
        price += scenario.energy.weight * topology.energy / 1000
    if scenario.cloud is not None:
        price[-1] += scenario.cloud.price_per_step
    return price.reshape(s * v)


def pack_links(topology: Topology, scenario: Scenario) -> Ints:
    """Return the links of a topology, columns SERVER .., (G, N, 3); no times without a network."""
    shape = (scenario.gateways.count, scenario.num_neighbours, NUM_LINK_COLUMNS)
    packed = np.empty(shape, dtype=np.int64)
    packed[..., SERVER] = or_else(topology.neighbours, np.arange(scenario.num_neighbours))
    packed[..., PROPAGATION:] = 0
    if scenario.network is not None:
        packed[..., PROPAGATION] = or_else(topology.propagation, 0)
        packed[..., US_PER_KB] = or_else(topology.us_per_kb, 0)
    return packed


def or_else(array: Any, default: Any) -> Any:
    """Return an array of a topology or a workload, or what stands for one that is not there."""
    return default if array is None else array
