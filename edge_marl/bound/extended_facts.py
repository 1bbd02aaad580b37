"""What the bound of the extended model knows of an episode: its facts, its grid of time blocks."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_marl.bound.certificate import FRACTION_BITS
from edge_marl.errors import WorkloadError
from edge_marl.kernel.world import (
    AFTER,
    ARRIVAL,
    DEADLINE,
    DEMAND,
    GATEWAY,
    LOAD_TIME,
    LOCATION,
    NUM_DETAILS,
    NUM_LINK_COLUMNS,
    PROPAGATION,
    RUN_TIME,
    SERVER,
    TYPE,
    UPLOAD,
    US_PER_KB,
    Floats,
    Ints,
)
from edge_marl.scenario import Scenario
from edge_marl.simulator.compiled import compiled, task_utility
from edge_marl.simulator.packing import pack_growth, pack_levels, pack_services
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
    weights: Ints
    """(N,) of the workload, in thousandths."""
    quality: Floats
    """(N, L * V * Q) of each service of each of the gateway's links, at each of Q levels."""
    takes: npt.NDArray[np.bool_]
    """(S, V) whether the server has the model, and the memory for it."""
    levels: Ints
    """(Q,) shares of steps and run time, in thousandths."""
    slowdown: Ints
    """(S, V) in thousandths."""
    stretch: Ints
    """(S, V) most that a run time grows by what runs beside it, in thousandths."""
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
    queued: bool
    """Whether tasks wait at servers for capacity."""
    longest_wait: Ints
    """(S,) most that a task waits for its turn (ms); 0 without a queue, and on the cloud."""
    in_slots: bool
    """Whether the game is in slots."""
    last_sent: int
    """When the last task can be sent that need not be sent the moment it is ready (ms)."""
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
    links, levels = pack_links(topology, scenario), pack_levels(scenario)
    services = pack_services(topology)[None]
    end = int(workload.tasks[-1, ARRIVAL] if at_last_task else scenario.arrivals.horizon_ms)
    facts = Facts(
        tasks=tasks,
        details=details[:decisions],
        weights=np.array(or_else(workload.weights, np.full(workload.num_tasks, 1000)))[:decisions],
        quality=_link_qualities(services, links, tasks, scenario.num_services, levels),
        takes=takes,
        levels=levels,
        slowdown=np.array(or_else(topology.slowdown, np.full(per_server, 1000))),
        stretch=np.zeros(per_server, dtype=np.int64),
        price=pack_prices(topology, scenario).reshape(per_server),
        room=room,
        links=links,
        outages=outages,
        first_outage=np.searchsorted(outages[:, LOCATION], np.arange(len(room) + 1)),
        cloud=cloud,
        longest_load=int(details[:, LOAD_TIME].max()) if scenario.residency else 0,
        queued=scenario.queue is not None,
        longest_wait=np.zeros(len(room), dtype=np.int64),
        in_slots=scenario.clock.slot_ms > 0,
        last_sent=_last_sent(scenario, tasks, end),
        end=end,
    )
    facts = facts._replace(stretch=_stretch(scenario, facts))
    return facts._replace(longest_wait=_longest_wait(scenario, facts))


def _last_sent(scenario: Scenario, tasks: Ints, end: int) -> int:
    """Return when the last task can be sent: before the end, or in the only slot there is."""
    slot = scenario.clock.slot_ms
    if slot == 0 or scenario.episode.end == "horizon":
        return end - 1
    return max(end - 1, -(-int(tasks[0, ARRIVAL]) // slot) * slot)


def _stretch(scenario: Scenario, f: Facts) -> Ints:
    """Return the most that what runs beside a task adds to its run time, (S, V) thousandths."""
    least = -(-int(f.tasks[:, DEMAND].min()) * int(f.levels[0]) // 1000)
    beside = np.minimum(f.room // least, len(f.tasks)) - 1
    if f.cloud >= 0:
        beside[f.cloud] = 0
    stretch: Ints = np.outer(np.maximum(beside, 0), pack_growth(scenario))
    return stretch


def _longest_wait(scenario: Scenario, f: Facts) -> Ints:
    """Return the most that a task waits for its turn at each server, (S,) ms.

    All that runs has ended when the longest input, or load, and run time have passed; then each of
    those ahead in the line takes a run time at most.
    """
    if scenario.queue is None:
        return np.zeros(len(f.room), dtype=np.int64)
    run_time = float(f.tasks[:, RUN_TIME].max())
    longest = np.where(f.takes, run_time * f.slowdown / 1000 + 1, 0.0)
    longest = (longest * (1000 + f.stretch) / 1000 + 1).max(axis=1)
    sent = f.links[..., PROPAGATION] + f.links[..., US_PER_KB] * (f.details[:, UPLOAD].max() / 1000)
    wait = max(2 * (float(sent.max()) + 1), f.longest_load) + scenario.queue.limit * longest
    wait = np.ceil(wait * (1 + 2.0**-40))  # whatever was rounded down
    if f.cloud >= 0:
        wait[f.cloud] = 0.0
    longest_wait: Ints = wait.astype(np.int64)
    return longest_wait


@compiled
def _link_qualities(
    services: Floats, links: Ints, tasks: Ints, per_server: int, levels: Ints
) -> Floats:
    quality = np.empty((len(tasks), links.shape[1] * per_server * len(levels)))
    for k in range(len(tasks)):
        at = 0
        for link in range(links.shape[1]):
            first = links[tasks[k, GATEWAY], link, SERVER] * per_server
            for v in range(per_server):
                for level in range(len(levels)):
                    steps = -(-(tasks[k, DEMAND] * levels[level]) // 1000)
                    quality[k, at] = task_utility(0, first + v, tasks[k, TYPE], steps, services)
                    at += 1
    return quality


def lay_grid(facts: Facts) -> Grid:
    """Blocks from the first arrival on; the last one ends after the episode.

    Where all tasks may be late, after the longest wait or run time, or when nothing is of value any
    more, or after the time of another episode: else they would all be sent at the end.
    """
    start, until = int(facts.tasks[0, ARRIVAL]), facts.end
    if facts.queued or facts.in_slots:
        deadline = facts.details[:, DEADLINE]
        in_time = np.where(deadline > 0, facts.tasks[:, ARRIVAL] + 2 * deadline, NEVER).max()
        longest = int(facts.tasks[:, RUN_TIME].max()) * int(facts.slowdown.max()) // 1000
        longest = max(longest, int(facts.longest_wait.max()))
        until = max(until, min(int(in_time), until + longest, 2 * until - start))
    time = until - start + 1
    length = float(facts.tasks[:, RUN_TIME].mean()) / BLOCKS_PER_RUN
    most = min(MAX_BLOCKS, max(1, MAX_CELLS // len(facts.room)))
    whole = max(1, math.ceil(length), -(-time // most))
    return Grid(start, whole, -(-time // whole))


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
