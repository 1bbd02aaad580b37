"""The start of an episode: a workload, as it was drawn, put into the arrays of an environment.

It comes as a draft: one array of 64-bit words. They are whole numbers; those of qualities hold the
bits of floats. After a head of `NUM_HEAD_WORDS` come the arrays of `Workload` and `Topology`, each
in C order.
"""

from __future__ import annotations

import numpy as np

from edge_marl.kernel.clock import live_on
from edge_marl.kernel.game import line_up, observe_gateways, open_game
from edge_marl.kernel.observe import observe, observe_server
from edge_marl.kernel.servers import report_all
from edge_marl.kernel.terms import of_level
from edge_marl.kernel.world import (
    AGENDA,
    ALIKE,
    ARRIVAL,
    ARRIVING,
    AX,
    BASELINE,
    BX,
    CAPACITY,
    CLOCK,
    CLOUD,
    CLOUD_PRICE,
    CRASHES,
    DEMAND,
    DONE,
    END,
    ENERGY_WEIGHT,
    EXTENDED,
    GOING_ON,
    ILLEGAL,
    LOCATION,
    MAX_CAPACITY,
    MAX_WAITING,
    NETWORK,
    NEVER,
    NOWHERE,
    NUM_CRASHES,
    NUM_DETAIL_COLUMNS,
    NUM_DETAILS,
    NUM_GATEWAYS,
    NUM_LINE_COLUMNS,
    NUM_LINKS,
    NUM_MODEL_COLUMNS,
    NUM_OUTAGE_COLUMNS,
    NUM_OUTAGES,
    NUM_RUNNING,
    NUM_SERVERS,
    NUM_SERVICES,
    NUM_SITE_COLUMNS,
    NUM_SLEEP_COLUMNS,
    NUM_TASK_FIELDS,
    NUM_TASKS,
    NUM_TERMS,
    NUM_TYPES,
    OUTAGES_PAST,
    PLACE,
    PROPAGATION,
    RISE,
    SERVER,
    SERVER_FEATURES,
    SHARE,
    SHOWN,
    SLEEP,
    SLEEPS_END,
    SLOPE,
    SLOT,
    START,
    STATUS,
    TASK_FEATURES,
    TERMS,
    TICK,
    TOPOLOGY,
    US_PER_KB,
    USED,
    WAITING,
    WEIGHT,
    Ints,
    World,
)

# Words of the head: how many words there are in all; tasks, server failures, gateways' sleeps; room
# for them; whether the servers are the scenario's own (base model): only their capacity is there.
SIZE, TASK_COUNT, OUTAGE_COUNT, SLEEP_COUNT, TASK_ROOM, OUTAGE_ROOM, SLEEP_ROOM = range(7)
OWN_SERVERS = 7

# Where the arrays begin; 0 is that there is none.
CAPACITY_AT, BASELINE_AT, CURVE_AT, SLOWDOWN_AT, HOSTED_AT, MEMORY_AT = range(8, 14)
MODEL_MEMORY_AT, ENERGY_AT, NEIGHBOURS_AT, PROPAGATION_AT, US_PER_KB_AT = range(14, 19)
TASKS_AT, DETAILS_AT, OUTAGES_AT, WEIGHTS_AT, SLEEPS_AT = range(19, 24)

# Where what an episode is drawn from is noted, numbers of 32 bits.
ENTROPY = 24
NUM_ENTROPY_WORDS = 5
NUM_HEAD_WORDS = ENTROPY + NUM_ENTROPY_WORDS

# What comes of a draw, and of loading what was drawn.
DONE_WELL, NO_ROOM = range(2)

MUCH_MEMORY = 2**60
"""Memory (MiB) of servers whose workload does not say: enough for all models."""

NOMINAL = 1000
"""Slowdown of the reference, in thousandths."""


def load_draft(w: World, e: int, draft: Ints) -> int:
    """Put a workload into environment e, for `open_episode`: `DONE_WELL`, or `NO_ROOM` for it."""
    count, outages = draft[TASK_COUNT], draft[OUTAGE_COUNT]
    extended = w.spec[EXTENDED] == 1
    in_game = len(w.sleeps) > 0
    if count > w.tasks.shape[1] or (extended and outages > w.outages.shape[1]):
        return NO_ROOM
    if in_game and draft[SLEEP_COUNT] > w.sleeps.shape[1]:
        return NO_ROOM
    most, least = load_capacity(w, e, draft), load_tasks(w, e, draft)
    if most_running(w, most, least, count) > w.ends.shape[2]:
        return NO_ROOM
    if draft[OWN_SERVERS] == 1:
        w.episode[e, TOPOLOGY] = len(w.episode)
    else:
        w.episode[e, TOPOLOGY] = e
        load_services(w, e, draft)
    if extended:
        load_details(w, e, draft)
        load_outages(w, e, draft)
        load_offers(w, e, draft)
        load_links(w, e, draft)
        clear_sites(w, e)
        if w.spec[TERMS] == 1:
            load_terms(w, e, draft)
    if in_game:
        load_sleeps(w, e, draft)
    return DONE_WELL


def most_running(w: World, most: int, least: int, count: int) -> int:
    """Return how many of `count` tasks may run or wait at a server at most.

    Args:
        w: the world.
        most: capacity of the largest server.
        least: demand of the smallest task.
        count: number of tasks.
    """
    if w.spec[TERMS] == 0:
        return min(most // least, count)
    return int(min(most // of_level(w, least, 0) + w.spec[MAX_WAITING], count))


def load_terms(w: World, e: int, draft: Ints) -> None:
    """Put the weights of requests into place, and no task waits."""
    at = draft[WEIGHTS_AT]
    for k in range(draft[TASK_COUNT]):
        for column in range(NUM_TERMS):
            w.terms[e, k, column] = 0
        w.terms[e, k, WEIGHT] = draft[at + k] if at > 0 else 1000
    for server in range(w.spec[NUM_SERVERS]):
        for column in range(NUM_LINE_COLUMNS):
            w.lines[e, server, column] = 0


def load_tasks(w: World, e: int, draft: Ints) -> int:
    """Put the tasks into place, none of them sent; return the least demand."""
    at = draft[TASKS_AT]
    least = draft[at + DEMAND]
    for k in range(draft[TASK_COUNT]):
        for column in range(NUM_TASK_FIELDS):
            w.tasks[e, k, column] = draft[at + column]
        least = min(least, draft[at + DEMAND])
        at += NUM_TASK_FIELDS
        w.tasks[e, k, PLACE] = NOWHERE
        w.tasks[e, k, STATUS] = WAITING
        w.tasks[e, k, START] = 0
        w.tasks[e, k, END] = 0
        w.rewards[e, k] = 0.0
    w.episode[e, NUM_TASKS] = draft[TASK_COUNT]
    return int(least)


def load_capacity(w: World, e: int, draft: Ints) -> int:
    """Put the servers' capacities into place, and show them (base model); return the largest."""
    at = draft[CAPACITY_AT]
    types = w.spec[NUM_TYPES] if w.spec[NUM_TYPES] > 1 else 0
    most = 0
    for server in range(w.spec[NUM_SERVERS]):
        capacity = draft[at + server]
        w.servers[e, server, CAPACITY] = capacity
        most = max(most, capacity)
        if w.spec[EXTENDED] == 0:
            shown = types + TASK_FEATURES + SERVER_FEATURES * server
            w.observations[e, shown] = capacity / w.spec[MAX_CAPACITY]
    return int(most)


def load_services(w: World, e: int, draft: Ints) -> None:
    """Put the qualities of services into place, and note whether servers differ in them."""
    numbers = draft.view(np.float64)
    services, types = w.spec[NUM_SERVICES], w.spec[NUM_TYPES]
    alike = 1
    for place in range(w.spec[NUM_SERVERS] * services):
        at = draft[CURVE_AT] + 4 * place
        ax, ay, bx, by = numbers[at], numbers[at + 1], numbers[at + 2], numbers[at + 3]
        first = draft[CURVE_AT] + 4 * (place % services)
        for column in range(4):
            if numbers[at + column] != numbers[first + column]:
                alike = 0
        w.services[e, place, AX] = ax
        w.services[e, place, BX] = bx
        w.services[e, place, RISE] = by - ay
        w.services[e, place, SLOPE] = (by - ay) / (bx - ax)
        at = draft[BASELINE_AT] + types * place
        first = draft[BASELINE_AT] + types * (place % services)
        for kind in range(types):
            w.services[e, place, BASELINE + kind] = numbers[at + kind]
            if numbers[at + kind] != numbers[first + kind]:
                alike = 0
    w.episode[e, ALIKE] = alike


def load_details(w: World, e: int, draft: Ints) -> None:
    """Put what the extended model asks of tasks into place: nothing where there are none."""
    at = draft[DETAILS_AT]
    for k in range(draft[TASK_COUNT]):
        for column in range(NUM_DETAIL_COLUMNS):
            w.details[e, k, column] = 0
        if at > 0:
            for column in range(NUM_DETAILS):
                w.details[e, k, column] = draft[at + NUM_DETAILS * k + column]


def load_outages(w: World, e: int, draft: Ints) -> None:
    """Put the server failures into place."""
    at = draft[OUTAGES_AT]
    for k in range(draft[OUTAGE_COUNT]):
        for column in range(NUM_OUTAGE_COLUMNS):
            w.outages[e, k, column] = draft[at + NUM_OUTAGE_COLUMNS * k + column]
    w.episode[e, NUM_OUTAGES] = draft[OUTAGE_COUNT]


def load_sleeps(w: World, e: int, draft: Ints) -> None:
    """Put the gateways' sleeps into place, and note which are whose."""
    at = draft[SLEEPS_AT]
    for g in range(w.spec[NUM_GATEWAYS]):
        w.gateways[e, g, SLEEP] = 0
        w.gateways[e, g, SLEEPS_END] = 0
    for k in range(draft[SLEEP_COUNT]):
        for column in range(NUM_SLEEP_COLUMNS):
            w.sleeps[e, k, column] = draft[at + NUM_SLEEP_COLUMNS * k + column]
        g = w.sleeps[e, k, LOCATION]
        if w.gateways[e, g, SLEEPS_END] == 0:
            w.gateways[e, g, SLEEP] = k
        w.gateways[e, g, SLEEPS_END] = k + 1


def load_offers(w: World, e: int, draft: Ints) -> None:
    """Put into place what each model takes and costs on each server, and the servers' memory."""
    services, servers = w.spec[NUM_SERVICES], w.spec[NUM_SERVERS]
    slowdown, hosted, energy = draft[SLOWDOWN_AT], draft[HOSTED_AT], draft[ENERGY_AT]
    memory, needs = draft[MEMORY_AT], draft[MODEL_MEMORY_AT]
    for place in range(servers * services):
        speed = draft[slowdown + place] if slowdown > 0 else NOMINAL
        if hosted > 0 and draft[hosted + place] == 0:
            speed = 0
        w.slowdowns[e, place] = speed
        w.energy[e, place] = draft[energy + place] if energy > 0 else 0
        w.prices[e, place] = w.rates[ENERGY_WEIGHT] * w.energy[e, place] / 1000
    if w.spec[CLOUD] == 1:
        for place in range((servers - 1) * services, servers * services):
            w.prices[e, place] += w.rates[CLOUD_PRICE]
    for service in range(services):
        w.needs[e, service] = draft[needs + service] if needs > 0 else 0
    for server in range(servers):
        w.memory[e, server] = draft[memory + server] if memory > 0 else MUCH_MEMORY
        w.telemetry[e, server, SHARE] = w.servers[e, server, CAPACITY] / w.spec[MAX_CAPACITY]


def load_links(w: World, e: int, draft: Ints) -> None:
    """Put the gateways' links into place; without a network they take no time."""
    links = w.spec[NUM_LINKS]
    neighbours = draft[NEIGHBOURS_AT]
    propagation = draft[PROPAGATION_AT] if w.spec[NETWORK] == 1 else 0
    us_per_kb = draft[US_PER_KB_AT] if w.spec[NETWORK] == 1 else 0
    for g in range(w.spec[NUM_GATEWAYS]):
        for link in range(links):
            at = links * g + link
            w.links[e, g, link, SERVER] = draft[neighbours + at] if neighbours > 0 else link
            w.links[e, g, link, PROPAGATION] = draft[propagation + at] if propagation > 0 else 0
            w.links[e, g, link, US_PER_KB] = draft[us_per_kb + at] if us_per_kb > 0 else 0


def clear_sites(w: World, e: int) -> None:
    """No model is in memory, and no server is down."""
    for server in range(w.spec[NUM_SERVERS]):
        for column in range(NUM_SITE_COLUMNS):
            w.sites[e, server, column] = 0
        for service in range(w.spec[NUM_SERVICES]):
            for column in range(NUM_MODEL_COLUMNS):
                w.models[e, server, service, column] = 0


def open_row(w: World, e: int) -> None:
    """Start an episode on a workload that is in place (`load_draft`): its first decision is shown.

    In the game of gateways it is `open_game_row`.
    """
    open_episode(w, e)
    if w.spec[EXTENDED] == 1:
        live_on(w, e)
    observe(w, e)


def open_game_row(w: World, e: int) -> None:
    """`open_row` in the game of gateways: they see what they have to decide on."""
    open_episode(w, e)
    if w.spec[EXTENDED] == 1 and w.spec[SLOT] == 0:
        live_on(w, e)
    observe(w, e)
    line_up(w, e)
    open_game(w, e)
    observe_gateways(w, e)


def open_episode(w: World, e: int) -> None:
    """Nothing has happened yet: the first task arrives now, or in the extended model later."""
    empty_servers(w, e)
    w.episode[e, SHOWN] = 0
    w.episode[e, DONE] = GOING_ON
    w.episode[e, CRASHES] = 0
    w.episode[e, ILLEGAL] = 0
    w.episode[e, ARRIVING] = 0
    w.episode[e, AGENDA] = 0
    w.episode[e, OUTAGES_PAST] = 0
    if w.spec[EXTENDED] == 0:
        w.episode[e, CLOCK] = w.tasks[e, 0, ARRIVAL]
    else:
        w.episode[e, CLOCK] = 0
        w.episode[e, TICK] = NOWHERE
        report_all(w, e)


def empty_servers(w: World, e: int) -> None:
    """Nothing runs anywhere, and nothing has crashed."""
    for node in range(w.soonest.shape[1]):
        w.soonest[e, node] = NEVER
    for server in range(w.servers.shape[1]):
        w.servers[e, server, USED] = 0
        w.servers[e, server, NUM_RUNNING] = 0
        w.servers[e, server, NUM_CRASHES] = 0
        observe_server(w, e, server)
