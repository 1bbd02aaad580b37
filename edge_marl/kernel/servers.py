"""What runs on a server, which models it holds, what still fits, and what telemetry shows of it."""

from __future__ import annotations

from edge_marl.kernel.agenda import note_soonest
from edge_marl.kernel.terms import begins_now, has_lines, report_line, steps_of
from edge_marl.kernel.world import (
    CAPACITY,
    CHANGED,
    CLOCK,
    CLOUD,
    COLD,
    DOWN,
    DOWN_UNTIL,
    EXTENDED,
    FIRST_LEAF,
    FREE,
    HALF,
    HOLDS,
    LAST_USE,
    LOAD_TIME,
    NEVER,
    NOWHERE,
    NUM_CHANGED,
    NUM_RUNNING,
    NUM_SERVERS,
    NUM_SERVICES,
    PERIOD,
    PLACE,
    PRICED,
    READY,
    RESIDENCY,
    RESIDENT,
    TASK,
    TERMS,
    TOPOLOGY,
    USED,
    WAIT,
    WARM,
    WARM_TOO,
    World,
)


def start(w: World, e: int, k: int, server: int, end: int) -> None:
    """Task k takes capacity until its end, or waits for it; it is the last of its server's list."""
    at = w.servers[e, server, NUM_RUNNING]
    demand = steps_of(w, e, k)
    w.running[e, server, at, TASK] = k
    w.ends[e, server, at] = end
    w.running[e, server, at, HOLDS] = demand
    w.servers[e, server, NUM_RUNNING] = at + 1
    if not has_lines(w) or begins_now(w, e, k, server, at):
        w.servers[e, server, USED] += demand
    if end < w.soonest[e, w.spec[FIRST_LEAF] + server]:
        note_soonest(w, e, server, end)


def finish_on(w: World, e: int, server: int, now: int) -> None:
    """The tasks of a server that have ended by now leave; the others stay in order.

    Those whose turn it is have capacity now: a turn comes when others end.
    """
    in_line = has_lines(w)
    kept = 0
    used = 0
    waiting = 0
    next_end = NEVER
    for at in range(w.servers[e, server, NUM_RUNNING]):
        end = w.ends[e, server, at]
        if end > now:
            w.running[e, server, kept, TASK] = w.running[e, server, at, TASK]
            w.ends[e, server, kept] = end
            w.running[e, server, kept, HOLDS] = w.running[e, server, at, HOLDS]
            turn = w.turns[e, server, at] if in_line else now
            if turn <= now:
                used += w.running[e, server, at, HOLDS]
            else:
                waiting += 1
            if in_line:
                w.turns[e, server, kept] = turn
            next_end = min(next_end, end)
            kept += 1
    w.servers[e, server, NUM_RUNNING] = kept
    w.servers[e, server, USED] = used
    if in_line:
        w.lines[e, server, WAIT] = waiting
    note_soonest(w, e, server, next_end)


def is_cloud(w: World, server: int) -> bool:
    """Whether a server is the cloud: the last one, where there is one."""
    return bool(w.spec[CLOUD] == 1 and server == w.spec[NUM_SERVERS] - 1)


def has_price(w: World, server: int) -> bool:
    """Whether a denoising step may cost something on a server."""
    return bool(w.spec[PRICED] == 1 or is_cloud(w, server))


def price_of(w: World, e: int, place: int) -> float:
    """Price of a denoising step at a place."""
    if not has_price(w, place // w.spec[NUM_SERVICES]):
        return 0.0
    return float(w.prices[w.episode[e, TOPOLOGY], place])


def memory_of(w: World, e: int, models: int) -> int:
    """Memory that models, given as bits, take."""
    total = 0
    for service in range(w.spec[NUM_SERVICES]):
        if models >> service & 1:
            total += w.needs[w.episode[e, TOPOLOGY], service]
    return total


def busy_models(w: World, e: int, server: int) -> int:
    """Models that a task of a server runs on, as bits."""
    busy = 0
    for at in range(w.servers[e, server, NUM_RUNNING]):
        k = w.running[e, server, at, TASK]
        busy |= 1 << (w.tasks[e, k, PLACE] % w.spec[NUM_SERVICES])
    return busy


def fits(w: World, e: int, k: int, server: int, service: int) -> bool:
    """Whether a server has the capacity, and the memory, that task k needs there.

    With a line it need not have the capacity now (`turns_away`).
    """
    room = steps_of(w, e, k) <= w.servers[e, server, CAPACITY] - w.servers[e, server, USED]
    room |= has_lines(w)
    if w.spec[EXTENDED] == 0:
        return bool(room)
    if is_cloud(w, server):
        return True
    if not room or w.spec[RESIDENCY] == 0 or w.sites[e, server, RESIDENT] >> service & 1:
        return bool(room)
    busy = busy_models(w, e, server) | (1 << service)
    return bool(memory_of(w, e, busy) <= w.memory[w.episode[e, TOPOLOGY], server])


def make_room(w: World, e: int, server: int, service: int) -> None:
    """Idle models leave, the least recently used first, until there is memory for one more."""
    needs = 1 << service
    busy = busy_models(w, e, server)
    room = w.memory[w.episode[e, TOPOLOGY], server]
    while memory_of(w, e, w.sites[e, server, RESIDENT] | needs) > room:
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


# What gateways know of servers other than their own: the state at the last tick of telemetry.


def is_up(w: World, e: int, server: int) -> bool:
    """Whether a server takes tasks now."""
    return bool(w.sites[e, server, DOWN_UNTIL] <= w.episode[e, CLOCK])


def free_share(w: World, e: int, server: int) -> float:
    """Share of a server's capacity that is free, or DOWN; the cloud is never full."""
    if not is_up(w, e, server):
        return DOWN
    if is_cloud(w, server):
        return 1.0
    capacity = w.servers[e, server, CAPACITY]
    return float((capacity - w.servers[e, server, USED]) / capacity)


def warm_models(w: World, e: int, server: int) -> int:
    """Models that a server need not load, as bits: all where none has to be loaded."""
    if w.spec[RESIDENCY] == 0 or is_cloud(w, server):
        return (1 << 2 * HALF) - 1
    return int(w.sites[e, server, RESIDENT])


def report(w: World, e: int, server: int) -> None:
    """Telemetry shows a server as it is now."""
    warm = warm_models(w, e, server)
    w.telemetry[e, server, FREE] = free_share(w, e, server)
    w.telemetry[e, server, WARM] = warm & ((1 << HALF) - 1)
    w.telemetry[e, server, WARM_TOO] = warm >> HALF
    if w.spec[TERMS] == 1:
        report_line(w, e, server)


def report_all(w: World, e: int) -> None:
    """Start: telemetry shows all servers as they are now."""
    w.episode[e, NUM_CHANGED] = 0
    for server in range(w.spec[NUM_SERVERS]):
        w.sites[e, server, CHANGED] = 0
        report(w, e, server)


def note_change(w: World, e: int, server: int) -> None:
    """Have the next tick look at a server, which is about to change."""
    if w.spec[PERIOD] > 0 and w.sites[e, server, CHANGED] == 0:
        w.sites[e, server, CHANGED] = 1
        w.changed[e, w.episode[e, NUM_CHANGED]] = server
        w.episode[e, NUM_CHANGED] += 1


def report_changed(w: World, e: int) -> None:
    """Tick: telemetry shows what has changed since the last one.

    A server that is down changes once more, when it comes up again.
    """
    kept = 0
    for at in range(w.episode[e, NUM_CHANGED]):
        server = w.changed[e, at]
        report(w, e, server)
        if is_up(w, e, server):
            w.sites[e, server, CHANGED] = 0
        else:
            w.changed[e, kept] = server
            kept += 1
    w.episode[e, NUM_CHANGED] = kept
