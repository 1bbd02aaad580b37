"""What is seen."""

from __future__ import annotations

from edge_marl.kernel.network import moving_time, sending, slowed, source_of
from edge_marl.kernel.servers import free_share, has_price, warm_models
from edge_marl.kernel.terms import is_stale, observe_terms
from edge_marl.kernel.value import task_utility
from edge_marl.kernel.world import (
    AFTER,
    ALIKE,
    ARRIVAL,
    CAPACITY,
    CLOCK,
    DEADLINE,
    DEMAND,
    DOWN,
    DOWNLOAD,
    EXTENDED,
    EXTENDED_SERVER_FEATURES,
    EXTENDED_TASK_FEATURES,
    FREE,
    GATEWAY,
    HALF,
    MAX_DEADLINE,
    MAX_DELAY,
    MAX_DEMAND,
    MAX_DURATION,
    MAX_RUN_TIME,
    NOWHERE,
    NUM_LEVELS,
    NUM_LINKS,
    NUM_SERVICES,
    NUM_TASKS,
    NUM_TYPES,
    PROPAGATION,
    RUN_TIME,
    SERVER,
    SERVER_FEATURES,
    SERVICE_FEATURES,
    SHARE,
    SHOWN,
    STAGE,
    TASK_FEATURES,
    TERMS,
    TOPOLOGY,
    TYPE,
    UPLOAD,
    US_PER_KB,
    USED,
    VIEWER,
    WARM,
    WARM_TOO,
    Masks,
    Observations,
    World,
)


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
    w: World, e: int, link: int, server: int, seen: Observations, row: int, at: int
) -> int:
    """Write what a gateway sees of the server of a link; return the models it sees warm, as bits.

    Its own server, link 0, it sees as it is; others as telemetry shows them, where there is any.
    """
    if is_stale(w, link):
        free = w.telemetry[e, server, FREE]
        first, others = w.telemetry[e, server, WARM], w.telemetry[e, server, WARM_TOO]
        warm = int(first) | int(others) << HALF
    else:
        free = free_share(w, e, server)
        warm = warm_models(w, e, server)
    seen[row, at] = w.telemetry[e, server, SHARE]
    seen[row, at + 1] = 0.0 if free == DOWN else free
    seen[row, at + 2] = 0.0 if free == DOWN else 1.0
    return warm


def observe_delays(w: World, e: int, g: int, k: int, seen: Observations, row: int, at: int) -> None:
    """Write the time that task k's input takes to each server and its result back; and its source.

    It is `input_time` + `return_time` of each link, with what they share taken out of the loop.
    """
    topology = w.episode[e, TOPOLOGY]
    upload, moved, source = float(w.details[e, k, UPLOAD]), moving_time(w, e, k), source_of(w, e, k)
    returns = 1 if w.details[e, k, AFTER] == 0 else 0
    download = float(w.details[e, k, DOWNLOAD])
    longest = w.rates[MAX_DELAY]
    for link in range(w.spec[NUM_LINKS]):
        propagation = w.links[topology, g, link, PROPAGATION]
        us_per_kb = w.links[topology, g, link, US_PER_KB]
        there = moved + (propagation + sending(upload, us_per_kb))
        back = returns * (propagation + sending(download, us_per_kb))
        time = back if link == source else there + back
        seen[row, at + EXTENDED_SERVER_FEATURES * link + 3] = min(time / longest, 1.0)
        seen[row, at + EXTENDED_SERVER_FEATURES * link + 4] = 1.0 if link == source else 0.0


def no_delays(w: World, seen: Observations, row: int, at: int) -> None:
    """Write zeros where `observe_delays` writes."""
    for _ in range(w.spec[NUM_LINKS]):
        seen[row, at + 3] = 0.0
        seen[row, at + 4] = 0.0
        at += EXTENDED_SERVER_FEATURES


def judge_services(w: World, e: int, server: int, k: int) -> None:
    """Note half the quality of each service of a server for task k."""
    topology = w.episode[e, TOPOLOGY]
    services = w.spec[NUM_SERVICES]
    kind = w.tasks[e, k, TYPE]
    demand = w.tasks[e, k, DEMAND]
    for service in range(services):
        place = server * services + service
        w.qualities[e, service] = task_utility(topology, place, kind, demand, w.services) / 2


def observe_services(
    w: World, e: int, server: int, k: int, warm: int, seen: Observations, row: int, at: int
) -> None:
    """Write quality, duration and cost of task k on a server's services, and which are warm."""
    services = w.spec[NUM_SERVICES]
    first = server * services
    topology = w.episode[e, TOPOLOGY]
    if k == NOWHERE:
        for service in range(services):
            hosted = w.slowdowns[topology, first + service] > 0
            seen[row, at + SERVICE_FEATURES * service] = 0.0
            seen[row, at + SERVICE_FEATURES * service + 1] = 0.0
            seen[row, at + SERVICE_FEATURES * service + 2] = (
                1.0 if hosted and warm >> service & 1 else 0.0
            )
            seen[row, at + SERVICE_FEATURES * service + 3] = 0.0
        return
    if w.episode[e, ALIKE] == 0:
        judge_services(w, e, server, k)
    # All is read and computed for each and picked afterwards, so that there is nothing to guess.
    run_time = float(w.tasks[e, k, RUN_TIME])
    longest = w.rates[MAX_DURATION]
    for service in range(services):
        slowdown = w.slowdowns[topology, first + service]
        quality = w.qualities[e, service]
        hosted = 1 if slowdown > 0 else 0
        seen[row, at] = quality if hosted == 1 else 0.0
        seen[row, at + 1] = min(slowed(run_time, slowdown) / longest, 1.0)
        seen[row, at + 2] = float(warm >> service & hosted)
        seen[row, at + 3] = 0.0
        at += SERVICE_FEATURES
    if has_price(w, server):
        observe_costs(w, e, server, k, seen, row, at - SERVICE_FEATURES * services)


def observe_costs(
    w: World, e: int, server: int, k: int, seen: Observations, row: int, at: int
) -> None:
    """Write what task k would cost on a server's services."""
    topology = w.episode[e, TOPOLOGY]
    demand = w.tasks[e, k, DEMAND]
    place = server * w.spec[NUM_SERVICES]
    for _ in range(w.spec[NUM_SERVICES]):
        cost = min(demand * w.prices[topology, place], 1.0)
        seen[row, at + 3] = cost if w.slowdowns[topology, place] > 0 else 0.0
        at += SERVICE_FEATURES
        place += 1


def allow_hosted(w: World, e: int, server: int, masks: Masks, row: int, at: int) -> None:
    """Allow the services that a server hosts."""
    services = w.spec[NUM_SERVICES]
    first = server * services
    topology = w.episode[e, TOPOLOGY]
    for service in range(services):
        masks[row, at + service] = 1 if w.slowdowns[topology, first + service] > 0 else 0


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
    if k == NOWHERE:
        no_delays(w, seen, row, site_at)
    else:
        observe_delays(w, e, g, k, seen, row, site_at)
        if w.episode[e, ALIKE] == 1:
            judge_services(w, e, 0, k)
    for link in range(w.spec[NUM_LINKS]):
        server = w.links[w.episode[e, TOPOLOGY], g, link, SERVER]
        warm = observe_site(w, e, link, server, seen, row, site_at)
        observe_services(w, e, server, k, warm, seen, row, service_at)
        if w.spec[TERMS] == 0 or w.spec[NUM_LEVELS] == 1:
            allow_hosted(w, e, server, masks, row, link * services)
        site_at += EXTENDED_SERVER_FEATURES
        service_at += SERVICE_FEATURES * services
    if w.spec[TERMS] == 1:
        observe_terms(w, e, g, k, seen, masks, row)


def observe(w: World, e: int) -> None:
    """Write what the orchestrator sees: the task that is shown, by its gateway's eyes.

    Where no task is left, by those of gateway 0.
    """
    k = w.episode[e, SHOWN]
    left = k < w.episode[e, NUM_TASKS]
    g = w.tasks[e, k, GATEWAY] if left else 0
    w.episode[e, VIEWER] = g
    if w.spec[EXTENDED] == 0:
        observe_task(w, e, k, w.observations, e)
    else:
        observe_gateway(w, e, g, k if left else NOWHERE, w.observations, w.feasible, e)
