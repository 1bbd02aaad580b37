"""What is seen."""

from __future__ import annotations

from edge_marl.kernel.network import input_time, return_time, slowed
from edge_marl.kernel.servers import is_cloud
from edge_marl.kernel.value import task_utility
from edge_marl.kernel.world import (
    AFTER,
    ALIKE,
    ARRIVAL,
    CAPACITY,
    CLOCK,
    DEADLINE,
    DEMAND,
    DOWN_UNTIL,
    EXTENDED,
    EXTENDED_SERVER_FEATURES,
    EXTENDED_TASK_FEATURES,
    GATEWAY,
    MAX_CAPACITY,
    MAX_DEADLINE,
    MAX_DELAY,
    MAX_DEMAND,
    MAX_DURATION,
    MAX_RUN_TIME,
    NOTED_AT,
    NOWHERE,
    NUM_LINKS,
    NUM_SERVICES,
    NUM_TASKS,
    NUM_TYPES,
    PERIOD,
    RESIDENCY,
    RESIDENT,
    RUN_TIME,
    SEEN_DOWN,
    SEEN_RESIDENT,
    SEEN_USED,
    SERVER,
    SERVER_FEATURES,
    SERVICE_FEATURES,
    SHOWN,
    SLOWDOWN,
    STAGE,
    TASK_FEATURES,
    TICK,
    TOPOLOGY,
    TYPE,
    USED,
    VIA,
    Masks,
    Observations,
    World,
)


def note_change(w: World, e: int, server: int) -> None:
    """Keep what telemetry shows of a server that is about to change: its state at the last tick."""
    if w.spec[PERIOD] > 0 and w.sites[e, server, NOTED_AT] != w.episode[e, TICK]:
        w.sites[e, server, NOTED_AT] = w.episode[e, TICK]
        w.sites[e, server, SEEN_USED] = w.servers[e, server, USED]
        w.sites[e, server, SEEN_RESIDENT] = w.sites[e, server, RESIDENT]
        w.sites[e, server, SEEN_DOWN] = w.sites[e, server, DOWN_UNTIL]


def observe_server(w: World, e: int, server: int) -> None:
    """Base model: write a server's share of free capacity in place; `layout.py` says where."""
    if w.spec[EXTENDED] == 0:
        types = w.spec[NUM_TYPES] if w.spec[NUM_TYPES] > 1 else 0
        at = types + TASK_FEATURES + SERVER_FEATURES * server + 1
        capacity = w.servers[e, server, CAPACITY]
        w.observations[e, at] = (capacity - w.servers[e, server, USED]) / capacity


def observe_task(w: World, e: int, k: int, seen: Observations, row: int) -> None:
    """Write the type, demand and run time of task k into a row of `seen`.

    Zeros where there is no such task: k is NOWHERE, or past the last.
    """
    types = w.spec[NUM_TYPES] if w.spec[NUM_TYPES] > 1 else 0
    for at in range(types + TASK_FEATURES):
        seen[row, at] = 0.0
    if 0 <= k < w.episode[e, NUM_TASKS]:
        if types > 1:
            seen[row, w.tasks[e, k, TYPE]] = 1.0
        seen[row, types] = w.tasks[e, k, DEMAND] / w.spec[MAX_DEMAND]
        seen[row, types + 1] = w.tasks[e, k, RUN_TIME] / w.spec[MAX_RUN_TIME]


def observe_request(w: World, e: int, k: int, seen: Observations, row: int, at: int) -> None:
    """Write the deadline left of the request of task k, and the stages after it."""
    left = 0.0
    stages = 0.0
    if k != NOWHERE:
        deadline = w.details[e, k, DEADLINE]
        if deadline > 0:
            arrival = w.tasks[e, k - w.details[e, k, STAGE], ARRIVAL]
            left = (arrival + deadline - w.episode[e, CLOCK]) / w.rates[MAX_DEADLINE]
        stages = w.details[e, k, AFTER] / 2
    seen[row, at] = min(max(left, 0.0), 1.0)
    seen[row, at + 1] = stages


def observe_site(
    w: World, e: int, g: int, link: int, k: int, seen: Observations, row: int, at: int
) -> int:
    """Write what gateway g sees of the server of a link; return the models it sees resident."""
    server = w.links[w.episode[e, TOPOLOGY], g, link, SERVER]
    used = w.servers[e, server, USED]
    resident = w.sites[e, server, RESIDENT]
    down_until = w.sites[e, server, DOWN_UNTIL]
    as_of = w.episode[e, CLOCK]
    if w.spec[PERIOD] > 0 and link > 0:
        as_of = w.episode[e, TICK]
        if w.sites[e, server, NOTED_AT] == as_of:
            used = w.sites[e, server, SEEN_USED]
            resident = w.sites[e, server, SEEN_RESIDENT]
            down_until = w.sites[e, server, SEEN_DOWN]
    up = down_until <= as_of
    capacity = w.servers[e, server, CAPACITY]
    free = (capacity - used) / capacity
    delay = 0.0
    source = 0.0
    if k != NOWHERE:
        time = input_time(w, e, k, link) + return_time(w, e, k, link)
        delay = min(time / w.rates[MAX_DELAY], 1.0)
        if w.details[e, k, STAGE] > 0 and w.details[e, k - 1, VIA] == link:
            source = 1.0
    if is_cloud(w, server):
        free = 1.0
    seen[row, at] = capacity / w.spec[MAX_CAPACITY]
    seen[row, at + 1] = free if up else 0.0
    seen[row, at + 2] = 1.0 if up else 0.0
    seen[row, at + 3] = delay
    seen[row, at + 4] = source
    if w.spec[RESIDENCY] == 0 or is_cloud(w, server):
        return NOWHERE  # all bits are set
    return int(resident)


def judge_services(w: World, e: int, server: int, k: int) -> None:
    """Note the quality of each service of a server for task k."""
    topology = w.episode[e, TOPOLOGY]
    services = w.spec[NUM_SERVICES]
    kind = w.tasks[e, k, TYPE]
    demand = w.tasks[e, k, DEMAND]
    for service in range(services):
        place = server * services + service
        w.qualities[e, service] = task_utility(topology, place, kind, demand, w.services)


def observe_services(
    w: World, e: int, server: int, k: int, warm: int, seen: Observations, row: int, at: int
) -> None:
    """Write quality, duration and cost of task k on a server's services, and which are warm."""
    topology = w.episode[e, TOPOLOGY]
    first = server * w.spec[NUM_SERVICES]
    if k == NOWHERE:
        for service in range(w.spec[NUM_SERVICES]):
            hosted = w.offers[topology, first + service, SLOWDOWN] > 0
            for feature in range(SERVICE_FEATURES):
                seen[row, at + feature] = 0.0
            seen[row, at + 2] = 1.0 if hosted and warm >> service & 1 else 0.0
            at += SERVICE_FEATURES
        return
    if w.episode[e, ALIKE] == 0:
        judge_services(w, e, server, k)
    # All is computed for every service and picked afterwards: which ones a server hosts cannot be
    # predicted, and a wrong guess costs more. What does not change is read before the loop.
    demand = w.tasks[e, k, DEMAND]
    run_time = w.tasks[e, k, RUN_TIME]
    longest = w.rates[MAX_DURATION]
    for service in range(w.spec[NUM_SERVICES]):
        slowdown = w.offers[topology, first + service, SLOWDOWN]
        hosted = slowdown > 0
        duration = min(slowed(run_time, slowdown) / longest, 1.0)
        cost = min(demand * w.prices[topology, first + service], 1.0)
        seen[row, at] = w.qualities[e, service] / 2 if hosted else 0.0
        seen[row, at + 1] = duration if hosted else 0.0
        seen[row, at + 2] = 1.0 if hosted and warm >> service & 1 else 0.0
        seen[row, at + 3] = cost if hosted else 0.0
        at += SERVICE_FEATURES


def observe_gateway(
    w: World, e: int, g: int, k: int, seen: Observations, masks: Masks, row: int
) -> None:
    """Extended model: write what gateway g, with task k or NOWHERE, sees, and what is hosted."""
    observe_task(w, e, k, seen, row)
    types = w.spec[NUM_TYPES] if w.spec[NUM_TYPES] > 1 else 0
    services = w.spec[NUM_SERVICES]
    observe_request(w, e, k, seen, row, types + TASK_FEATURES)
    site_at = types + EXTENDED_TASK_FEATURES
    service_at = site_at + EXTENDED_SERVER_FEATURES * w.spec[NUM_LINKS]
    topology = w.episode[e, TOPOLOGY]
    if k != NOWHERE and w.episode[e, ALIKE] == 1:
        judge_services(w, e, 0, k)
    for link in range(w.spec[NUM_LINKS]):
        server = w.links[topology, g, link, SERVER]
        warm = observe_site(w, e, g, link, k, seen, row, site_at)
        observe_services(w, e, server, k, warm, seen, row, service_at)
        for service in range(services):
            hosted = w.offers[topology, server * services + service, SLOWDOWN] > 0
            masks[row, link * services + service] = 1 if hosted else 0
        site_at += EXTENDED_SERVER_FEATURES
        service_at += SERVICE_FEATURES * services


def observe(w: World, e: int) -> None:
    """Write what the orchestrator sees: the task that is shown, by its gateway's eyes."""
    k = w.episode[e, SHOWN]
    if w.spec[EXTENDED] == 0:
        observe_task(w, e, k, w.observations, e)
    elif k < w.episode[e, NUM_TASKS]:
        g = w.tasks[e, k, GATEWAY]
        observe_gateway(w, e, g, k, w.observations, w.feasible, e)
    else:
        observe_gateway(w, e, 0, NOWHERE, w.observations, w.feasible, e)
