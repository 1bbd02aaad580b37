"""One decision: where a task goes, and what becomes of it there."""

from __future__ import annotations

from edge_marl.kernel.agenda import TIME_SHIFT, note_ahead
from edge_marl.kernel.losses import crash, crash_cost, lose_unsent
from edge_marl.kernel.network import input_time, return_time, slowed, stretched
from edge_marl.kernel.observe import observe_server
from edge_marl.kernel.servers import fits, is_cloud, load_model, note_change, price_of, start
from edge_marl.kernel.terms import (
    beside,
    choose_level,
    decline,
    declines,
    has_lines,
    number_of,
    of_level,
    steps_of,
    turn_of,
    turns_away,
)
from edge_marl.kernel.value import in_time, task_utility
from edge_marl.kernel.world import (
    ADMITTED,
    AFTER,
    ALIKE,
    CLOCK,
    DENIED,
    DOWN_UNTIL,
    DROPPED,
    END,
    EXTENDED,
    FAILS,
    GATEWAY,
    LEVEL,
    NUM_SERVICES,
    PLACE,
    REFUSED,
    RETURN,
    RUN_TIME,
    SERVER,
    STAGE,
    START,
    STATUS,
    TERMS,
    TOPOLOGY,
    TURN,
    TYPE,
    VIA,
    WEIGHT,
    World,
)


def place_of(w: World, e: int, k: int, action: int) -> int:
    """Return the place (server * V + service) of an action of the gateway of task k."""
    if w.spec[EXTENDED] == 0:
        return action
    services = w.spec[NUM_SERVICES]
    number = number_of(w, action)
    link = number // services
    w.details[e, k, VIA] = link
    server = w.links[w.episode[e, TOPOLOGY], w.tasks[e, k, GATEWAY], link, SERVER]
    return int(server * services + number % services)


def schedule(w: World, e: int, k: int, place: int) -> int:
    """Return when task k, admitted now, ends: after its input, its model, its turn and its run."""
    services = w.spec[NUM_SERVICES]
    link = w.details[e, k, VIA]
    ready = load_model(w, e, k, place // services, place % services)
    begin = max(w.episode[e, CLOCK] + input_time(w, e, k, link), ready)
    w.details[e, k, RETURN] = return_time(w, e, k, link)
    if w.spec[TERMS] == 1:
        return schedule_by_terms(w, e, k, place, begin)
    slowdown = w.slowdowns[w.episode[e, TOPOLOGY], place]
    return int(begin + int(slowed(float(w.tasks[e, k, RUN_TIME]), slowdown)))


def schedule_by_terms(w: World, e: int, k: int, place: int, begin: int) -> int:
    """Give task k its turn, from which on it begins at `begin`; return when it ends."""
    services = w.spec[NUM_SERVICES]
    server = place // services
    others = 0
    turn = w.episode[e, CLOCK]
    if not is_cloud(w, server):
        turn = turn_of(w, e, k, server)
        others = beside(w, e, server, turn)
    w.terms[e, k, TURN] = turn
    growth = w.growth[place % services] * others
    slowdown = w.slowdowns[w.episode[e, TOPOLOGY], place]
    work = of_level(w, w.tasks[e, k, RUN_TIME], w.terms[e, k, LEVEL])
    return int(max(begin, turn) + stretched(work, slowdown, growth))


def grant(w: World, e: int, k: int, place: int, quality: float) -> float:
    """Grant the value of a request with its last stage; return it less what the stage costs."""
    stage = w.details[e, k, STAGE]
    value = w.values[e, k - 1] + quality if stage > 0 else quality
    granted = 0.0
    if w.details[e, k, AFTER] == 0:
        if stage > 0:
            value = value / (stage + 1)
        value = in_time(w, e, k, value)
        if w.spec[TERMS] == 1:
            value = value * (w.terms[e, k, WEIGHT] / 1000)
        granted = value
    w.values[e, k] = value
    if w.details[e, k, AFTER] > 0 or w.details[e, k, FAILS] == 1:
        note_ahead(w, e, (w.tasks[e, k, END] << TIME_SHIFT) | k)
    return float(granted - steps_of(w, e, k) * price_of(w, e, place))


def admit(w: World, e: int, k: int, place: int) -> float:
    """Task k starts at a place; return the reward."""
    server = place // w.spec[NUM_SERVICES]
    topology = w.episode[e, TOPOLOGY]
    extended = w.spec[EXTENDED] == 1
    # Where all servers have the same qualities, those of the first are in the cache.
    alike = extended and w.episode[e, ALIKE] == 1
    judged = place % w.spec[NUM_SERVICES] if alike else place
    quality = task_utility(topology, judged, w.tasks[e, k, TYPE], steps_of(w, e, k), w.services)
    end = schedule(w, e, k, place) if extended else w.episode[e, CLOCK] + w.tasks[e, k, RUN_TIME]
    w.tasks[e, k, STATUS] = ADMITTED
    w.tasks[e, k, END] = end
    if not (extended and is_cloud(w, server)):
        start(w, e, k, server, end)
    return grant(w, e, k, place, quality) if extended else quality


def is_closed(w: World, e: int, k: int, server: int) -> bool:
    """Whether a server does not take task k: it is down, or there is no place in its line."""
    if w.sites[e, server, DOWN_UNTIL] > w.episode[e, CLOCK]:
        return True
    if w.spec[TERMS] == 0:
        return False
    has_line = has_lines(w) and not is_cloud(w, server)
    return bool(has_line and turns_away(w, e, k, server))


def dispatch(w: World, e: int, k: int, action: int) -> float:
    """Send task k to a (server, service) of its gateway; return the reward."""
    if declines(w, action):
        return decline(w, e, k)
    place = place_of(w, e, k, action)
    server = place // w.spec[NUM_SERVICES]
    if w.spec[EXTENDED] == 1:
        if w.slowdowns[w.episode[e, TOPOLOGY], place] == 0:
            return lose_unsent(w, e, k, DROPPED)
        if w.spec[TERMS] == 1:
            choose_level(w, e, k, action)
        if is_closed(w, e, k, server):
            w.tasks[e, k, PLACE] = place
            return lose_unsent(w, e, k, DENIED)
        note_change(w, e, server)
    w.tasks[e, k, PLACE] = place
    w.tasks[e, k, START] = w.episode[e, CLOCK]
    if fits(w, e, k, server, place % w.spec[NUM_SERVICES]):
        reward = admit(w, e, k, place)
    else:
        reward = -crash_cost(w, e, server)
        crash(w, e, server)
        w.tasks[e, k, STATUS] = REFUSED
        w.tasks[e, k, END] = w.episode[e, CLOCK]
    observe_server(w, e, server)
    return reward
