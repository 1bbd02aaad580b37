"""Servers of an episode of the extended model: devices, models, places, links, cloud, failures."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edge_marl.jit import part
from edge_marl.kernel.loading import (
    BASELINE_AT,
    CAPACITY_AT,
    CURVE_AT,
    DONE_WELL,
    ENERGY_AT,
    HOSTED_AT,
    MEMORY_AT,
    MODEL_MEMORY_AT,
    NEIGHBOURS_AT,
    NO_ROOM,
    OUTAGE_COUNT,
    OUTAGE_ROOM,
    OUTAGES_AT,
    PROPAGATION_AT,
    SLOWDOWN_AT,
    US_PER_KB_AT,
)
from edge_marl.kernel.world import DURATION, LOCATION, NUM_OUTAGE_COLUMNS, TIME, Floats, Ints
from edge_marl.memory import grid
from edge_marl.workload import entries as r
from edge_marl.workload.called import draw_words, fill_words, open_stream, sort
from edge_marl.workload.entries import choices_of, floats_of, table
from edge_marl.workload.sampling import (
    GATEWAY_PLACE_STREAM,
    GRAIN,
    HOSTED_STREAM,
    LINK_STREAM,
    OUTAGE_STREAM,
    QUALITY_STREAM,
    SERVER_PLACE_STREAM,
    TOPOLOGY_STREAM,
    choose,
    choose_evenly,
    fill_logs,
    fraction,
)
from edge_marl.workload.words import Entropy

__all__ = ["NOMINAL", "draw_links", "draw_outages", "draw_places", "draw_servers", "nearest"]

NOMINAL = 1000
"""Slowdown of the reference, in thousandths."""

WORDS_PER_OUTAGE = 3
"""Of the gap before a failure, its server and its repair."""

QUALITY_STEPS = 10
"""Places that each corner of a quality curve may have."""


@part
def draw_servers(recipe: Ints, draft: Ints, entropy: Entropy) -> int:
    """Draw the servers and services that one episode of an extended scenario has."""
    if recipe[r.DEVICES] == 1:
        draw_devices(recipe, draft, entropy)
        draw_hosted(recipe, draft, entropy)
        draw_qualities(recipe, draft, entropy)
    else:
        copy_servers(recipe, draft)
    if recipe[r.CLOUD] == 1:
        add_cloud(recipe, draft)
    return DONE_WELL


@part
def copy_servers(recipe: Ints, draft: Ints) -> None:
    """Servers that every episode has."""
    for source, target in (
        (r.OWN_CAPACITY, CAPACITY_AT),
        (r.OWN_BASELINE, BASELINE_AT),
        (r.OWN_CURVE, CURVE_AT),
    ):
        values = table(recipe, source)
        for k in range(len(values)):
            draft[draft[target] + k] = values[k]
    if draft[SLOWDOWN_AT] > 0:
        slowdowns = table(recipe, r.OWN_SLOWDOWN)
        for place in range(recipe[r.SERVERS] * recipe[r.SERVICES]):
            own = slowdowns[place] if len(slowdowns) > 0 else NOMINAL
            draft[draft[SLOWDOWN_AT] + place] = own


@part
def draw_devices(recipe: Ints, draft: Ints, entropy: Entropy) -> None:
    """Draw each edge server's class, and with it its capacity, memory, speed and energy."""
    services, servers = recipe[r.SERVICES], recipe[r.SERVERS]
    begins, memory = choices_of(recipe, r.DEVICE_BEGINS), table(recipe, r.DEVICE_MEMORY)
    capacities, first = table(recipe, r.CAPACITIES), table(recipe, r.CAPACITIES_AT)
    slowdowns, energies = table(recipe, r.SLOWDOWNS), table(recipe, r.ENERGIES)
    words = draw_words(recipe, entropy, TOPOLOGY_STREAM, 2 * servers)
    for server in range(servers):
        kind = choose(words[2 * server], begins)
        picked = choose_evenly(words[2 * server + 1], first[kind + 1] - first[kind])
        draft[draft[CAPACITY_AT] + server] = capacities[first[kind] + picked]
        for service in range(services):
            place, of_kind = server * services + service, kind * services + service
            draft[draft[SLOWDOWN_AT] + place] = slowdowns[of_kind]
            draft[draft[ENERGY_AT] + place] = energies[of_kind]
        if recipe[r.RESIDENCY] == 1:
            draft[draft[MEMORY_AT] + server] = memory[kind]
    if recipe[r.RESIDENCY] == 1:
        for service in range(services):
            draft[draft[MODEL_MEMORY_AT] + service] = table(recipe, r.MODEL_MEMORY)[service]


@part
def draw_hosted(recipe: Ints, draft: Ints, entropy: Entropy) -> None:
    """Draw which models each server has: the first of those that fit, in an order of its own."""
    services, servers, needs = recipe[r.SERVICES], recipe[r.SERVERS], table(recipe, r.MODEL_MEMORY)
    words = draw_words(recipe, entropy, HOSTED_STREAM, servers * services)
    order = np.empty(services, dtype=np.int64)
    for server in range(servers):
        own, count = words[server * services :], 0
        for service in range(services):
            hosted = draft[HOSTED_AT] + server * services + service
            draft[hosted] = 0
            if recipe[r.RESIDENCY] == 1 and needs[service] > draft[draft[MEMORY_AT] + server]:
                continue
            at = count
            while at > 0 and own[order[at - 1]] >> np.uint64(1) > own[service] >> np.uint64(1):
                order[at] = order[at - 1]
                at -= 1
            order[at] = service
            count += 1
        for service in order[: min(count, recipe[r.HOSTED])]:
            draft[draft[HOSTED_AT] + server * services + service] = 1


@part
def draw_qualities(recipe: Ints, draft: Ints, entropy: Entropy) -> None:
    """Draw baseline and curve of the models, the same on all servers.

    The curve's law is the published one. There corners are at 0, 10, .., 90 and 150, 160, .., 240
    denoising steps, where 240 is the largest demand, and qualities at 0, .05, .., .45 and .5, .55,
    .., .95.
    """
    services, types, numbers = recipe[r.SERVICES], recipe[r.TYPES], floats_of(draft)
    least, choices = table(recipe, r.QUALITY_LEAST), table(recipe, r.QUALITY_CHOICES)
    words = draw_words(recipe, entropy, QUALITY_STREAM, (4 + types) * services)
    most = floats_of(recipe)[r.MOST_DEMAND]
    for service in range(services):
        own = words[(4 + types) * service :]
        at = draft[CURVE_AT] + 4 * service
        numbers[at] = most * choose_evenly(own[0], QUALITY_STEPS) / 24
        numbers[at + 1] = choose_evenly(own[1], QUALITY_STEPS) / 20
        numbers[at + 2] = most * (15 + choose_evenly(own[2], QUALITY_STEPS)) / 24
        numbers[at + 3] = (10 + choose_evenly(own[3], QUALITY_STEPS)) / 20
        at = draft[BASELINE_AT] + types * service
        for kind in range(types):
            steps = least[service] + choose_evenly(own[4 + kind], choices[service])
            numbers[at + kind] = steps / 1000
    for server in range(1, recipe[r.SERVERS]):
        copy_services(recipe, draft, server)


@part
def copy_services(recipe: Ints, draft: Ints, server: int) -> None:
    """Give a server the qualities of server 0."""
    for at, size in ((BASELINE_AT, recipe[r.TYPES]), (CURVE_AT, 4)):
        first, count = draft[at], recipe[r.SERVICES] * size
        for k in range(count):
            draft[first + server * count + k] = draft[first + k]


@part
def add_cloud(recipe: Ints, draft: Ints) -> None:
    """Add one more server, the cloud: it does what server 0 does, and hosts every model."""
    cloud, services = recipe[r.SERVERS], recipe[r.SERVICES]
    slowdown, devices = table(recipe, r.CLOUD_SLOWDOWN), recipe[r.DEVICES] == 1
    copy_services(recipe, draft, cloud)
    for name in (CAPACITY_AT, MEMORY_AT):
        if draft[name] > 0:
            most = draft[draft[name]]
            for server in range(1, cloud):
                most = max(most, draft[draft[name] + server])
            draft[draft[name] + cloud] = most
    for service in range(services):
        place = cloud * services + service
        draft[draft[SLOWDOWN_AT] + place] = slowdown[service]
        if devices:
            draft[draft[HOSTED_AT] + place] = 1
            draft[draft[ENERGY_AT] + place] = 0


@part
def draw_links(recipe: Ints, draft: Ints, entropy: Entropy, sites: Ints, gateways: Ints) -> int:
    """Draw the neighbours of each gateway, nearest first and the cloud last, and their links.

    Args:
        recipe: of a scenario whose gateways have neighbours by distance.
        draft: to draw into.
        entropy: of the episode.
        sites: of edge servers (S, 2) in metres; none at all draws them and the gateways'.
        gateways: (G, 2), likewise.
    """
    if len(sites) == 0:
        sites = draw_places(recipe, entropy, SERVER_PLACE_STREAM, recipe[r.SERVERS])
        gateways = draw_places(recipe, entropy, GATEWAY_PLACE_STREAM, recipe[r.GATEWAYS])
    count, cloud, network = recipe[r.LINKS], recipe[r.CLOUD], recipe[r.NETWORK] == 1
    taken = np.zeros(len(sites), dtype=np.bool_)
    numbers, squares = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
    # One row of words per place in the order, so that a longer one leaves the others' draws.
    words = draw_words(recipe, entropy, LINK_STREAM, len(gateways) * count if network else 0)
    for g in range(len(gateways)):
        nearest(gateways[g], sites, taken, numbers, squares)
        at = g * (count + cloud)
        for n in range(count):
            draft[draft[NEIGHBOURS_AT] + at + n] = numbers[n]
            if network:
                time, us_per_kb = link(floats_of(recipe), squares[n], words[n * len(gateways) + g])
                draft[draft[PROPAGATION_AT] + at + n] = time
                draft[draft[US_PER_KB_AT] + at + n] = us_per_kb
        if cloud == 1:
            draft[draft[NEIGHBOURS_AT] + at + count] = recipe[r.SERVERS]
            if network:
                draft[draft[PROPAGATION_AT] + at + count] = recipe[r.CLOUD_PROPAGATION]
                draft[draft[US_PER_KB_AT] + at + count] = recipe[r.CLOUD_US_PER_KB]
    return DONE_WELL


@part
def link(numbers: Floats, square: int, word: np.uint64) -> tuple[int, int]:
    """Return the time of a link (ms) over a squared distance, and its time per kB (us)."""
    # A correctly rounded square root below 2^26, cut down, is the integer one.
    metres = math.floor(math.sqrt(square))
    time = round(numbers[r.LATENCY] + numbers[r.MS_PER_KM] * (metres / 1000))
    bandwidth = numbers[r.BANDWIDTH] + fraction(word) * numbers[r.BANDWIDTH_RANGE]
    return time, round(8000 / bandwidth)


@part
def draw_places(recipe: Ints, entropy: Entropy, name: np.uint32, count: int) -> Ints:
    """Return places that are uniform over the area, (count, 2), in whole metres."""
    words = draw_words(recipe, entropy, name, 2 * count)
    places = np.empty((count, 2), dtype=np.int64)
    for k in range(count):
        places[k, 0] = choose_evenly(words[2 * k], recipe[r.AREA_X])
        places[k, 1] = choose_evenly(words[2 * k + 1], recipe[r.AREA_Y])
    return places


@part
def nearest(place: Ints, places: Ints, taken: Any, numbers: Ints, squares: Ints) -> None:
    """Fill the numbers of the places nearest to one, nearest first, and their squared distances.

    Of places at the same distance the lower number is nearer.

    Args:
        place: (2,) in metres.
        places: (N, 2).
        taken: (N,) those that do not count; as many as are asked for are left.
        numbers: (count,) to fill.
        squares: (count,) to fill, square metres.
    """
    size, known = len(numbers), 0
    if size == 0:
        return
    for k in range(len(places)):
        if taken[k]:
            continue
        x, y = place[0] - places[k, 0], place[1] - places[k, 1]
        square = x * x + y * y
        if known < size:
            numbers[known], squares[known] = k, square
            known += 1
            if known == size:
                for at in range(size // 2 - 1, -1, -1):
                    sink(numbers, squares, at, size)
        elif square < squares[0]:  # the farthest of the nearest so far
            numbers[0], squares[0] = k, square
            sink(numbers, squares, np.int64(0), size)
    for last in range(size - 1, 0, -1):
        numbers[0], numbers[last] = numbers[last], numbers[0]
        squares[0], squares[last] = squares[last], squares[0]
        sink(numbers, squares, np.int64(0), last)


@part
def sink(numbers: Ints, squares: Ints, at: int, size: int) -> None:
    """Put an entry of a heap, whose root is the farthest, below those that are farther."""
    while 2 * at + 1 < size:
        child = 2 * at + 1
        if child + 1 < size and is_farther(numbers, squares, child + 1, child):
            child += 1
        if not is_farther(numbers, squares, child, at):
            return
        numbers[at], numbers[child] = numbers[child], numbers[at]
        squares[at], squares[child] = squares[child], squares[at]
        at = child


@part
def is_farther(numbers: Ints, squares: Ints, a: int, b: int) -> bool:
    """Whether one entry is farther than another; of equals the higher number is."""
    if squares[a] != squares[b]:
        return bool(squares[a] > squares[b])
    return bool(numbers[a] > numbers[b])


@part
def draw_outages(recipe: Ints, draft: Ints, entropy: Entropy) -> int:
    """Draw failures of edge servers in order of (time, server).

    One Poisson process for all, each event of it on a server that is drawn uniformly, is one of a
    server's rate for each of them.
    """
    gap_ms, repair_ms = floats_of(recipe)[r.OUTAGE_GAP], floats_of(recipe)[r.REPAIR]
    state = open_stream(recipe, entropy, OUTAGE_STREAM)
    words, logs = np.empty(WORDS_PER_OUTAGE, dtype=np.uint64), np.empty(WORDS_PER_OUTAGE)
    drawn = grid(draft, draft[OUTAGES_AT], draft[OUTAGE_ROOM], NUM_OUTAGE_COLUMNS)
    passed, count = 0.0, 0
    while True:
        fill_words(recipe, state, words)
        fill_logs(logs, words)
        passed += round(logs[0] * GRAIN) / GRAIN
        time = int(passed * gap_ms)
        if time >= recipe[r.HORIZON]:
            break
        if count < len(drawn):
            drawn[count, TIME] = time
            drawn[count, LOCATION] = choose_evenly(words[1], recipe[r.SERVERS])
            drawn[count, DURATION] = round(logs[2] * repair_ms)
        count += 1
    draft[OUTAGE_COUNT] = count
    if count > len(drawn):
        return NO_ROOM
    put_in_order(recipe, drawn, draft[OUTAGE_COUNT])
    return DONE_WELL


@part
def put_in_order(recipe: Ints, outages: Ints, count: int) -> None:
    """Put the first server failures in order of (time, server)."""
    before = np.empty((count, NUM_OUTAGE_COLUMNS), dtype=np.int64)
    keys = np.empty(count, dtype=np.uint64)
    for key in (LOCATION, TIME):
        for k in range(count):
            keys[k] = outages[k, key]
            for column in range(NUM_OUTAGE_COLUMNS):
                before[k, column] = outages[k, column]
        order = sort(recipe, keys)
        for k in range(count):
            for column in range(NUM_OUTAGE_COLUMNS):
                outages[k, column] = before[order[k], column]
