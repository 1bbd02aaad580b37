"""What a task finds at each place, in compiled passes over rows: where it has room, and its worth.

`View` says what each number is; here is how it is worked out, of all places of a row in one go. A
place is a service of a server at a level: `(server * V + service) * L + level`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge_marl.jit import jit, part
from edge_marl.kernel.world import Floats, Ints

__all__ = ["FEATURES", "NUM_ENTRIES", "NUM_ROOMS", "NUM_WORTHS", "find_room", "find_worth"]

Observations = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

# Entries of `spec`: sizes; tasks that may wait at a server; denoising steps of the smallest task;
# device classes, 0 where memory does not count; 1 if run times tell classes of devices.
NUM_SERVERS, NUM_SERVICES, NUM_LEVELS, MAX_WAITING, LEAST_STEPS, NUM_DEVICES, TOLD_BY_SPEED = range(
    7
)
NUM_ENTRIES = 7

FEATURES = (
    "stages after",
    "deadline left",
    "request weight",
    "server has the input",
    "server delay",
    "server backlog",
    "service warm",
    "service duration",
    "service cost",
    "service quality",
)
"""Rows of `where` and `scale` (`Known`); qualities at lower levels stand before the last."""
AFTER, LEFT, WEIGHT, INPUT, DELAY, BACKLOG, WARM, TIME, PRICE, QUALITY = range(10)

# Rows of what `find_room` writes, and of what `find_worth` does: as properties of `View`.
FITS, SAFE, LEAST_BAD, CANDIDATES = range(4)
NUM_ROOMS = 4
DURATION, WAIT, UNTIL_END, VALUE, VALUE_IN_TIME = range(5)
NUM_WORTHS = 5

ENOUGH = np.iinfo(np.int64).max
IS_WARM = np.float32(0.5)


@part
def feature(seen: Observations, row: int, where: Ints, scale: Floats, which: int, at: int) -> float:
    """Return a value of a feature in its own unit."""
    value: float = np.float64(seen[row, where[which, 0] + where[which, 1] * at]) * scale[which]
    return value


@part
def came_from(spec: Ints, where: Ints, seen: Observations, row: int) -> float:
    """Return the stages before this one: one if any was. That there were two is not observed."""
    for server in range(spec[NUM_SERVERS]):
        if seen[row, where[INPUT, 0] + where[INPUT, 1] * server] != 0.0:
            return 1.0
    return 0.0


@part
def least_memory(
    spec: Ints, devices: Ints, speeds: Floats, capacity: int, model: int, takes: float, alone: float
) -> int:
    """Return the least memory (MiB) of a class of devices that a server may be of.

    A class is told by its capacities and by the run time of a model there; where none is like it,
    it is the least of all.
    """
    least = smallest = ENOUGH
    for device in range(spec[NUM_DEVICES]):
        memory = devices[device, 0]
        smallest = min(smallest, memory)
        may_be = False
        for k in range(1, devices.shape[1]):
            may_be = may_be or devices[device, k] == capacity
        if spec[TOLD_BY_SPEED] == 1:
            expected = alone * speeds[device, model]
            may_be = may_be and abs(takes - expected) <= 2.0 + 1e-5 * expected
        if may_be:
            least = min(least, memory)
    return least if least < ENOUGH else smallest


@part
def memory_left(
    spec: Ints,
    where: Ints,
    scale: Floats,
    models: Ints,
    devices: Ints,
    speeds: Floats,
    seen: Observations,
    mask: Bools,
    row: int,
    server: int,
    capacity: int,
    running: int,
    alone: float,
) -> int:
    """Return the memory (MiB) of a server beside all models that so many tasks may be busy with."""
    services, levels = spec[NUM_SERVICES], spec[NUM_LEVELS]
    first = server * services
    hosted = 0
    while hosted < services and not mask[row, (first + hosted) * levels]:
        hosted += 1
    hosted = hosted if hosted < services else 0
    takes = feature(seen, row, where, scale, TIME, first + hosted)
    left: int = least_memory(spec, devices, speeds, capacity, hosted, takes, alone)
    for k in range(services):  # from the largest model on
        model = models[1, k]
        warm = seen[row, where[WARM, 0] + where[WARM, 1] * (first + model)] > IS_WARM
        if warm and running > 0:
            left -= models[0, model]
            running -= 1
    return left


@part
def least_used(
    spec: Ints, mask: Bools, up: Bools, capacity: Ints, free: Ints, row: int, width: int
) -> int:
    """Return the server with legal actions that has the least in use; down is less than nothing."""
    best, least = 0, ENOUGH
    for server in range(spec[NUM_SERVERS]):
        in_use = capacity[row, server] - free[row, server] if up[row, server] else -1
        legal = False
        for place in range(server * width, (server + 1) * width):
            legal = legal or mask[row, place]
        if legal and in_use < least:
            best, least = server, in_use
    return best


def _find_room(
    spec: Ints,
    where: Ints,
    scale: Floats,
    models: Ints,
    devices: Ints,
    speeds: Floats,
    cloud: Bools,
    reserve: Ints,
    seen: Observations,
    mask: Bools,
    up: Bools,
    capacity: Ints,
    free: Ints,
    waiting: Ints,
    steps: Ints,
    run_time: Floats,
    room: Bools,
) -> None:
    """Write where the task of each row may go, and has room as far as is seen.

    Args:
        spec: (NUM_ENTRIES,).
        where: (F, 2) first index of each feature in an observation, and its stride.
        scale: (F,).
        models: (2, V) memory of each model in MiB, and which they are from the largest on.
        devices: (C, 1 + K) memory of each class of devices in MiB, and its capacities.
        speeds: (C, V) run time of each model there over that on the reference device.
        cloud: (N,).
        reserve: (N,) denoising steps besides the task's that are safe.
        seen: (B, D) observations.
        mask: (B, A) what is legal.
        up, capacity, free, waiting: (B, N), as in `View`.
        steps: (B, L) denoising steps at each level.
        run_time: (B,) in ms on the reference device.
        room: (NUM_ROOMS, B, N * V * L), where it writes.
    """
    servers, services, levels = spec[NUM_SERVERS], spec[NUM_SERVICES], spec[NUM_LEVELS]
    lines, memory_counts = spec[MAX_WAITING] > 0, spec[NUM_DEVICES] > 0
    width = services * levels
    for row in range(len(seen)):
        fits = safe = False
        for server in range(servers):
            size, unused, line = capacity[row, server], free[row, server], waiting[row, server]
            left = ENOUGH
            if memory_counts and not cloud[server]:
                running = (size - unused) // spec[LEAST_STEPS] + line
                left = memory_left(
                    *(spec, where, scale, models, devices, speeds, seen, mask),
                    *(row, server, size, running, run_time[row]),
                )
            most = unused
            if lines:  # a place in the line will do
                most = size if line < spec[MAX_WAITING] else -1
            for service in range(services):
                at = server * services + service
                open_to = up[row, server]
                if memory_counts and models[0, service] > left:
                    open_to = open_to and seen[row, where[WARM, 0] + where[WARM, 1] * at] > IS_WARM
                for level in range(levels):
                    place = at * levels + level
                    legal = open_to and mask[row, place]
                    needs = steps[row, level]
                    fit = legal and (needs <= most or cloud[server])
                    kept = lines or needs + reserve[server] <= most
                    sure = fit and (kept or cloud[server])
                    room[FITS, row, place] = fit
                    room[SAFE, row, place] = sure
                    fits, safe = fits or fit, safe or sure
        server = least_used(spec, mask, up, capacity, free, row, width)
        for place in range(servers * width):
            bad = mask[row, place] and place // width == server
            room[LEAST_BAD, row, place] = bad
            found = room[SAFE, row, place] if safe else room[FITS, row, place]
            room[CANDIDATES, row, place] = found if fits else bad


def _find_worth(
    spec: Ints,
    where: Ints,
    scale: Floats,
    share: Floats,
    cloud: Bools,
    load_ms: float,
    seen: Observations,
    capacity: Ints,
    free: Ints,
    waiting: Ints,
    steps: Ints,
    deadline_ms: Floats,
    worth: Floats,
) -> None:
    """Write how long the task of each row takes at each place, and what it pays (extended model).

    Args:
        spec, where, scale, cloud, seen, capacity, free, waiting, steps: as in `find_room`.
        share: (L,) part of the steps that is done.
        load_ms: expected time to load a model that is not resident.
        deadline_ms: (B,) deadline of the type of each row's task; 0: none.
        worth: (NUM_WORTHS, B, N * V * L), where it writes.
    """
    servers, services, levels = spec[NUM_SERVERS], spec[NUM_SERVICES], spec[NUM_LEVELS]
    for row in range(len(seen)):
        after = feature(seen, row, where, scale, AFTER, 0) + 1.0
        stages = after + came_from(spec, where, seen, row)
        left = feature(seen, row, where, scale, LEFT, 0)
        deadline = deadline_ms[row] * stages
        weight = 1.0
        if where[WEIGHT, 1] > 0:
            weight = feature(seen, row, where, scale, WEIGHT, 0) / 1000
        for server in range(servers):
            delay = feature(seen, row, where, scale, DELAY, server)
            backlog, unused = 0.0, free[row, server]
            lines = spec[MAX_WAITING] > 0 and not cloud[server]
            if lines:
                backlog = feature(seen, row, where, scale, BACKLOG, server)
                unused = 0 if waiting[row, server] > 0 else unused
            size = max(capacity[row, server], 1)
            for service in range(services):
                at = server * services + service
                alone = feature(seen, row, where, scale, TIME, at)
                price = feature(seen, row, where, scale, PRICE, at)
                warm = seen[row, where[WARM, 0] + where[WARM, 1] * at] > IS_WARM
                ready = max(delay, 0.0 if warm else load_ms)
                for level in range(levels):
                    place = at * levels + level
                    duration = alone * share[level]
                    missing = max(0, steps[row, level] - unused) / size
                    wait = backlog + missing * duration if lines else 0.0
                    until_end = max(ready, wait) + duration
                    quality = feature(seen, row, where, scale, QUALITY + level, at) / stages
                    in_time = 1.0
                    if deadline > 0.0:
                        in_time = 1.0 - (until_end * after - left) / deadline
                        in_time = min(max(in_time, 0.0), 1.0)
                    cost = price * share[level]
                    worth[DURATION, row, place] = duration
                    worth[WAIT, row, place] = wait
                    worth[UNTIL_END, row, place] = until_end
                    worth[VALUE, row, place] = quality * in_time * weight - cost
                    worth[VALUE_IN_TIME, row, place] = quality * weight - cost


find_room = jit(_find_room, error_model="numpy", nogil=True)
find_worth = jit(_find_worth, error_model="numpy", nogil=True)
