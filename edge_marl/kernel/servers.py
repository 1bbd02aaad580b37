"""What runs on a server, which models it holds, and what still fits."""

from __future__ import annotations

from edge_marl.kernel.world import (
    CAPACITY,
    CLOCK,
    CLOUD,
    COLD,
    DEMAND,
    EXTENDED,
    HOLDS,
    LAST_USE,
    LOAD_TIME,
    NEEDS,
    NEVER,
    NOWHERE,
    NUM_RUNNING,
    NUM_SERVERS,
    NUM_SERVICES,
    PLACE,
    READY,
    RESIDENCY,
    RESIDENT,
    TASK,
    TOPOLOGY,
    USED,
    World,
)


def note_soonest(w: World, e: int, server: int, end: int) -> None:
    """Note when the next task of a server ends (NEVER: none runs), up to the root of the tree."""
    node = (w.soonest.shape[1] >> 1) + server
    w.soonest[e, node] = end
    node >>= 1
    while node > 0:
        w.soonest[e, node] = min(w.soonest[e, 2 * node], w.soonest[e, 2 * node + 1])
        node >>= 1


def find_soonest(w: World, e: int) -> int:
    """Return the server whose task ends first (of equals, the lowest number)."""
    leaves: int = w.soonest.shape[1] >> 1
    node = 1
    while node < leaves:
        node *= 2
        if w.soonest[e, node] > w.soonest[e, node + 1]:
            node += 1
    return node - leaves


def start(w: World, e: int, k: int, server: int, end: int) -> None:
    """Task k takes capacity until its end and becomes the last of its server's list."""
    at = w.servers[e, server, NUM_RUNNING]
    demand = w.tasks[e, k, DEMAND]
    w.running[e, server, at, TASK] = k
    w.ends[e, server, at] = end
    w.running[e, server, at, HOLDS] = demand
    w.servers[e, server, NUM_RUNNING] = at + 1
    w.servers[e, server, USED] += demand
    if end < w.soonest[e, (w.soonest.shape[1] >> 1) + server]:
        note_soonest(w, e, server, end)


def finish_on(w: World, e: int, server: int, now: int) -> None:
    """The tasks of a server that have ended by now leave; the others stay in order."""
    kept = 0
    used = 0
    next_end = NEVER
    for at in range(w.servers[e, server, NUM_RUNNING]):
        end = w.ends[e, server, at]
        if end > now:
            w.running[e, server, kept, TASK] = w.running[e, server, at, TASK]
            w.ends[e, server, kept] = end
            w.running[e, server, kept, HOLDS] = w.running[e, server, at, HOLDS]
            used += w.running[e, server, at, HOLDS]
            next_end = min(next_end, end)
            kept += 1
    w.servers[e, server, NUM_RUNNING] = kept
    w.servers[e, server, USED] = used
    note_soonest(w, e, server, next_end)


def is_cloud(w: World, server: int) -> bool:
    """Whether a server is the cloud: the last one, where there is one."""
    return bool(w.spec[CLOUD] == 1 and server == w.spec[NUM_SERVERS] - 1)


def memory_of(w: World, e: int, server: int, models: int) -> int:
    """Memory that models, given as bits, take on a server."""
    total = 0
    services = w.spec[NUM_SERVICES]
    for service in range(services):
        if models >> service & 1:
            total += w.offers[w.episode[e, TOPOLOGY], server * services + service, NEEDS]
    return total


def busy_models(w: World, e: int, server: int) -> int:
    """Models that a task of a server runs on, as bits."""
    busy = 0
    for at in range(w.servers[e, server, NUM_RUNNING]):
        k = w.running[e, server, at, TASK]
        busy |= 1 << (w.tasks[e, k, PLACE] % w.spec[NUM_SERVICES])
    return busy


def fits(w: World, e: int, k: int, server: int, service: int) -> bool:
    """Whether a server has the capacity, and the memory, that task k needs there."""
    room = w.tasks[e, k, DEMAND] <= w.servers[e, server, CAPACITY] - w.servers[e, server, USED]
    if w.spec[EXTENDED] == 0:
        return bool(room)
    if is_cloud(w, server):
        return True
    if not room or w.spec[RESIDENCY] == 0 or w.sites[e, server, RESIDENT] >> service & 1:
        return bool(room)
    busy = busy_models(w, e, server) | (1 << service)
    return bool(memory_of(w, e, server, busy) <= w.memory[w.episode[e, TOPOLOGY], server])


def make_room(w: World, e: int, server: int, service: int) -> None:
    """Idle models leave, the least recently used first, until there is memory for one more."""
    needs = 1 << service
    busy = busy_models(w, e, server)
    room = w.memory[w.episode[e, TOPOLOGY], server]
    while memory_of(w, e, server, w.sites[e, server, RESIDENT] | needs) > room:
        oldest = NOWHERE
        for model in range(w.spec[NUM_SERVICES]):
            idle = (w.sites[e, server, RESIDENT] & ~busy) >> model & 1
            if idle and (
                oldest == NOWHERE
                or w.models[e, server, model, LAST_USE] < w.models[e, server, oldest, LAST_USE]
            ):
                oldest = model
        w.sites[e, server, RESIDENT] ^= 1 << oldest


def load_model(w: World, e: int, k: int, server: int, service: int) -> int:
    """Have the model of task k in memory; return when it is ready."""
    now = w.episode[e, CLOCK]
    if w.spec[RESIDENCY] == 0 or is_cloud(w, server):
        return int(now)
    if not w.sites[e, server, RESIDENT] >> service & 1:
        make_room(w, e, server, service)
        w.sites[e, server, RESIDENT] |= 1 << service
        w.models[e, server, service, READY] = now + w.details[e, k, LOAD_TIME]
        w.details[e, k, COLD] = 1
    w.models[e, server, service, LAST_USE] = now
    return int(w.models[e, server, service, READY])
