"""One decision: where a task goes, and what becomes of it there."""

from __future__ import annotations

from edge_marl.kernel.agenda import TIME_SHIFT, note_ahead
from edge_marl.kernel.losses import crash, crash_cost, lose_unsent
from edge_marl.kernel.network import input_time, return_time, slowed
from edge_marl.kernel.observe import observe_server
from edge_marl.kernel.servers import fits, is_cloud, load_model, note_change, price_of, start
from edge_marl.kernel.value import in_time, task_utility
from edge_marl.kernel.world import (
    ADMITTED,
    AFTER,
    ALIKE,
    CLOCK,
    DEMAND,
    DENIED,
    DOWN_UNTIL,
    DROPPED,
    END,
    EXTENDED,
    FAILS,
    GATEWAY,
    NUM_SERVICES,
    PLACE,
    REFUSED,
    RETURN,
    RUN_TIME,
    SERVER,
    STAGE,
    START,
    STATUS,
    TOPOLOGY,
    TYPE,
    VIA,
    World,
)


def place_of(w: World, e: int, k: int, action: int) -> int:
    """Return the place (server * V + service) of an action of the gateway of task k."""
    if w.spec[EXTENDED] == 0:
        return action
    services = w.spec[NUM_SERVICES]
    link = action // services
    w.details[e, k, VIA] = link
    server = w.links[w.episode[e, TOPOLOGY], w.tasks[e, k, GATEWAY], link, SERVER]
    return int(server * services + action % services)


def schedule(w: World, e: int, k: int, place: int) -> int:
    """Return when task k, admitted now, ends: after its input, its model and its run."""
    services = w.spec[NUM_SERVICES]
    link = w.details[e, k, VIA]
    ready = load_model(w, e, k, place // services, place % services)
    begin = max(w.episode[e, CLOCK] + input_time(w, e, k, link), ready)
    w.details[e, k, RETURN] = return_time(w, e, k, link)
    slowdown = w.slowdowns[w.episode[e, TOPOLOGY], place]
    return int(begin + int(slowed(float(w.tasks[e, k, RUN_TIME]), slowdown)))


def grant(w: World, e: int, k: int, place: int, quality: float) -> float:
    """Grant the value of a request with its last stage; return it less what the stage costs."""
    stage = w.details[e, k, STAGE]
    value = w.values[e, k - 1] + quality if stage > 0 else quality
    granted = 0.0
    if w.details[e, k, AFTER] == 0:
        if stage > 0:
            value = value / (stage + 1)
        value = in_time(w, e, k, value)
        granted = value
    w.values[e, k] = value
    if w.details[e, k, AFTER] > 0 or w.details[e, k, FAILS] == 1:
        note_ahead(w, e, (w.tasks[e, k, END] << TIME_SHIFT) | k)
    return float(granted - w.tasks[e, k, DEMAND] * price_of(w, e, place))


def admit(w: World, e: int, k: int, place: int) -> float:
    """Task k starts at a place; return the reward."""
    server = place // w.spec[NUM_SERVICES]
    topology = w.episode[e, TOPOLOGY]
    extended = w.spec[EXTENDED] == 1
    # Where all servers have the same qualities, those of the first are in the cache.
    alike = extended and w.episode[e, ALIKE] == 1
    judged = place % w.spec[NUM_SERVICES] if alike else place
    quality = task_utility(topology, judged, w.tasks[e, k, TYPE], w.tasks[e, k, DEMAND], w.services)
    end = schedule(w, e, k, place) if extended else w.episode[e, CLOCK] + w.tasks[e, k, RUN_TIME]
    w.tasks[e, k, STATUS] = ADMITTED
    w.tasks[e, k, END] = end
    if not (extended and is_cloud(w, server)):
        start(w, e, k, server, end)
    return grant(w, e, k, place, quality) if extended else quality


def dispatch(w: World, e: int, k: int, action: int) -> float:
    """Send task k to a (server, service) of its gateway; return the reward."""
    place = place_of(w, e, k, action)
    server = place // w.spec[NUM_SERVICES]
    if w.spec[EXTENDED] == 1:
        if w.slowdowns[w.episode[e, TOPOLOGY], place] == 0:
            return lose_unsent(w, e, k, DROPPED)
        if w.sites[e, server, DOWN_UNTIL] > w.episode[e, CLOCK]:
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
