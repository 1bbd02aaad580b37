"""Terms of service: levels, lines at servers, what runs beside, weights, and saying no.

First come, first served, and run times that are fixed when a task takes its capacity: so all that a
server will do with the tasks that it has follows when they are sent, and nothing that comes later
changes it, but for a crash or a failure, which ends them all. A task is given its turn and its end
at once.
"""

from __future__ import annotations

from edge_marl.kernel.network import stretched, thousandths
from edge_marl.kernel.value import task_utility
from edge_marl.kernel.world import (
    ALIKE,
    CAPACITY,
    CLOCK,
    CONCURRENCY,
    DECLINE_PRICE,
    DECLINED,
    DEMAND,
    END,
    EXTENDED_SERVER_FEATURES,
    EXTENDED_TASK_FEATURES,
    HOLDS,
    LAST_TURN,
    LEVEL,
    MAX_DURATION,
    MAX_WAITING,
    MAX_WEIGHT,
    MAY_DECLINE,
    NEVER,
    NOWHERE,
    NUM_LEVELS,
    NUM_LINKS,
    NUM_RUNNING,
    NUM_SERVICES,
    NUM_TYPES,
    PERIOD,
    RUN_TIME,
    SEEN_LAST_TURN,
    SEEN_RUNNING,
    SEEN_WAITING,
    SERVER,
    SERVICE_FEATURES,
    START,
    STATUS,
    STEPS,
    TERMS,
    TICK,
    TOPOLOGY,
    TURN,
    TYPE,
    USED,
    WAIT,
    WEIGHT,
    WEIGHTED,
    Masks,
    Observations,
    World,
)


def has_lines(w: World) -> bool:
    """Whether tasks may wait at servers."""
    return bool(w.spec[TERMS] == 1 and w.spec[MAX_WAITING] > 0)


def num_actions(w: World) -> int:
    """Return the number of actions."""
    places = w.spec[NUM_LINKS] * w.spec[NUM_SERVICES]
    return int(places * w.spec[NUM_LEVELS] + w.spec[MAY_DECLINE])


def number_of(w: World, action: int) -> int:
    """Return the (neighbour, service) of an action, as neighbour * V + service.

    Past the last, where the action is to say no.
    """
    if w.spec[TERMS] == 0:
        return action
    return int(action // w.spec[NUM_LEVELS])


def declines(w: World, action: int) -> bool:
    """Whether an action is to say no."""
    if w.spec[TERMS] == 0:
        return False
    return bool(w.spec[MAY_DECLINE] == 1 and action == num_actions(w) - 1)


def decline(w: World, e: int, k: int) -> float:
    """The gateway of task k says no to it; return the reward."""
    w.tasks[e, k, STATUS] = DECLINED
    w.tasks[e, k, START] = w.episode[e, CLOCK]
    w.tasks[e, k, END] = w.episode[e, CLOCK]
    return float(-w.rates[DECLINE_PRICE] * (w.terms[e, k, WEIGHT] / 1000))


def of_level(w: World, amount: int, level: int) -> int:
    """Return an amount of steps, or of run time, at a level."""
    return int(thousandths(float(amount * w.levels[level])))


def choose_level(w: World, e: int, k: int, action: int) -> None:
    """Note the level of task k that an action takes, and its denoising steps."""
    level = action % w.spec[NUM_LEVELS]
    w.terms[e, k, LEVEL] = level
    w.terms[e, k, STEPS] = of_level(w, w.tasks[e, k, DEMAND], level)


def steps_of(w: World, e: int, k: int) -> int:
    """Return the denoising steps of task k that are done, once that is chosen."""
    if w.spec[TERMS] == 0:
        return int(w.tasks[e, k, DEMAND])
    return int(w.terms[e, k, STEPS])


def must_wait(w: World, e: int, k: int, server: int) -> bool:
    """Whether others come before task k on a server."""
    free = w.servers[e, server, CAPACITY] - w.servers[e, server, USED]
    return bool(w.lines[e, server, WAIT] > 0 or w.terms[e, k, STEPS] > free)


def turns_away(w: World, e: int, k: int, server: int) -> bool:
    """Whether task k would wait for ever on a server with a line, or finds no place in it."""
    if w.terms[e, k, STEPS] > w.servers[e, server, CAPACITY]:
        return True
    return bool(w.lines[e, server, WAIT] >= w.spec[MAX_WAITING] and must_wait(w, e, k, server))


def turn_of(w: World, e: int, k: int, server: int) -> int:
    """Return when task k takes its capacity: when there is enough, after all that wait already."""
    now = w.episode[e, CLOCK]
    if not must_wait(w, e, k, server):
        return int(now)
    capacity = w.servers[e, server, CAPACITY]
    turn = max(now, w.lines[e, server, LAST_TURN])
    while True:
        used = 0
        next_end = NEVER
        for at in range(w.servers[e, server, NUM_RUNNING]):
            if w.ends[e, server, at] > turn:
                used += w.running[e, server, at, HOLDS]
                next_end = min(next_end, w.ends[e, server, at])
        if w.terms[e, k, STEPS] <= capacity - used:
            return int(turn)
        turn = next_end


def beside(w: World, e: int, server: int, turn: int) -> int:
    """Return how many tasks of a server will still run at the turn of one that is sent now."""
    count = 0
    for at in range(w.servers[e, server, NUM_RUNNING]):
        if w.ends[e, server, at] > turn:
            count += 1
    return count


def begins_now(w: World, e: int, k: int, server: int, at: int) -> bool:
    """Note the turn of task k, the one at a place in its server's list; return whether it is now.

    If not, it joins the line.
    """
    turn = w.terms[e, k, TURN]
    w.turns[e, server, at] = turn
    if turn <= w.episode[e, CLOCK]:
        return True
    w.lines[e, server, WAIT] += 1
    w.lines[e, server, LAST_TURN] = turn
    return False


# What gateways see of it, after all else of an observation.


def report_line(w: World, e: int, server: int) -> None:
    """Telemetry shows what runs and waits at a server as it is now."""
    waiting = w.lines[e, server, WAIT]
    w.lines[e, server, SEEN_RUNNING] = w.servers[e, server, NUM_RUNNING] - waiting
    w.lines[e, server, SEEN_WAITING] = waiting
    w.lines[e, server, SEEN_LAST_TURN] = w.lines[e, server, LAST_TURN]


def is_stale(w: World, link: int) -> bool:
    """Whether a gateway sees the server of a link as telemetry shows it."""
    return bool(link > 0 and w.spec[PERIOD] > 0)


def observe_terms(
    w: World, e: int, g: int, k: int, seen: Observations, masks: Masks, row: int
) -> None:
    """Write what gateway g, with task k or NOWHERE, sees of terms, and the mask of all levels."""
    types = w.spec[NUM_TYPES] if w.spec[NUM_TYPES] > 1 else 0
    links, services = w.spec[NUM_LINKS], w.spec[NUM_SERVICES]
    service_at = types + EXTENDED_TASK_FEATURES + EXTENDED_SERVER_FEATURES * links
    at = service_at + SERVICE_FEATURES * links * services
    if w.spec[WEIGHTED] == 1:
        seen[row, at] = 0.0 if k == NOWHERE else w.terms[e, k, WEIGHT] / w.rates[MAX_WEIGHT]
        at += 1
    if w.spec[MAX_WAITING] > 0:
        observe_lines(w, e, g, seen, row, at)
        at += 2 * links
    if w.spec[CONCURRENCY] == 1 and k != NOWHERE:
        observe_stretched(w, e, g, k, seen, row, service_at)
    if w.spec[NUM_LEVELS] > 1:
        observe_levels(w, e, g, k, seen, row, at)
        allow_levels(w, e, g, masks, row)
    if w.spec[MAY_DECLINE] == 1:
        masks[row, num_actions(w) - 1] = 1


def observe_lines(w: World, e: int, g: int, seen: Observations, row: int, at: int) -> None:
    """Write how many tasks wait at each server, and how long until the last of them has its turn.

    Telemetry keeps when that is, not how long: that changes by itself.
    """
    topology = w.episode[e, TOPOLOGY]
    for link in range(w.spec[NUM_LINKS]):
        server = w.links[topology, g, link, SERVER]
        if is_stale(w, link):
            waiting, turn = w.lines[e, server, SEEN_WAITING], w.lines[e, server, SEEN_LAST_TURN]
            time = w.episode[e, TICK]
        else:
            waiting, turn = w.lines[e, server, WAIT], w.lines[e, server, LAST_TURN]
            time = w.episode[e, CLOCK]
        backlog = (turn - time) / w.rates[MAX_DURATION] if waiting > 0 else 0.0
        seen[row, at] = waiting / w.spec[MAX_WAITING]
        seen[row, at + 1] = min(backlog, 1.0)
        at += 2


def observe_stretched(
    w: World, e: int, g: int, k: int, seen: Observations, row: int, at: int
) -> None:
    """Write how long task k takes on each service beside what is seen to run there."""
    topology = w.episode[e, TOPOLOGY]
    services = w.spec[NUM_SERVICES]
    run_time = w.tasks[e, k, RUN_TIME]
    for link in range(w.spec[NUM_LINKS]):
        server = w.links[topology, g, link, SERVER]
        running = w.lines[e, server, SEEN_RUNNING]
        if not is_stale(w, link):
            running = w.servers[e, server, NUM_RUNNING] - w.lines[e, server, WAIT]
        for service in range(services):
            slowdown = w.slowdowns[topology, server * services + service]
            duration = stretched(run_time, slowdown, w.growth[service] * running)
            seen[row, at + 1] = min(duration / w.rates[MAX_DURATION], 1.0)
            at += SERVICE_FEATURES


def judge_levels(w: World, e: int, server: int, k: int) -> None:
    """Note half the quality of task k on each service of a server at each level but the last."""
    services = w.spec[NUM_SERVICES]
    kind, demand = w.tasks[e, k, TYPE], w.tasks[e, k, DEMAND]
    for level in range(w.spec[NUM_LEVELS] - 1):
        steps = of_level(w, demand, level)
        for service in range(services):
            place = server * services + service
            quality = task_utility(w.episode[e, TOPOLOGY], place, kind, steps, w.services)
            w.judged[e, service, level] = quality / 2


def observe_levels(w: World, e: int, g: int, k: int, seen: Observations, row: int, at: int) -> None:
    """Write half the quality of task k on each service at each level but the last."""
    topology = w.episode[e, TOPOLOGY]
    services, lower = w.spec[NUM_SERVICES], w.spec[NUM_LEVELS] - 1
    alike = w.episode[e, ALIKE] == 1
    if alike and k != NOWHERE:
        judge_levels(w, e, 0, k)
    for link in range(w.spec[NUM_LINKS]):
        server = w.links[topology, g, link, SERVER]
        if not alike and k != NOWHERE:
            judge_levels(w, e, server, k)
        for service in range(services):
            shown = w.slowdowns[topology, server * services + service] > 0 and k != NOWHERE
            for level in range(lower):
                seen[row, at + level] = w.judged[e, service, level] if shown else 0.0
            at += lower


def allow_levels(w: World, e: int, g: int, masks: Masks, row: int) -> None:
    """Allow all levels of the services that each server hosts."""
    topology = w.episode[e, TOPOLOGY]
    services, levels = w.spec[NUM_SERVICES], w.spec[NUM_LEVELS]
    at = 0
    for link in range(w.spec[NUM_LINKS]):
        server = w.links[topology, g, link, SERVER]
        for service in range(services):
            hosted = w.slowdowns[topology, server * services + service] > 0
            for level in range(levels):
                masks[row, at + level] = 1 if hosted else 0
            at += levels
