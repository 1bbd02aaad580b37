"""When and where requests arrive, if not by one Poisson process over equal gateways; sleeps.

Each gateway has a renewal process of gamma gaps in a time of its own, which runs as fast as the
gateway's rate at the moment: its share of all requests, the hour, its bursts and hot spots. When it
sleeps has to do with none of that.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edge_marl.jit import part
from edge_marl.kernel.loading import (
    DONE_WELL,
    NO_ROOM,
    SLEEP_COUNT,
    SLEEP_ROOM,
    SLEEPS_AT,
    TASK_COUNT,
    TASK_ROOM,
    TASKS_AT,
)
from edge_marl.kernel.world import (
    ARRIVAL,
    DURATION,
    GATEWAY,
    LOCATION,
    NEVER,
    NUM_SLEEP_COLUMNS,
    NUM_TASK_FIELDS,
    TIME,
    Floats,
    Ints,
)
from edge_marl.memory import grid
from edge_marl.scenario import Scenario
from edge_marl.workload import entries as r
from edge_marl.workload.called import draw_words, fill_words, open_stream, open_streams, sort
from edge_marl.workload.entries import floats_of, table
from edge_marl.workload.episode_servers import draw_places, nearest
from edge_marl.workload.sampling import (
    ARRIVAL_STREAM,
    BURST_STREAM,
    GATEWAY_PLACE_STREAM,
    HOT_SPOT_STREAM,
    SHARE_STREAM,
    SLEEP_STREAM,
    fill_gaps,
    fill_logs,
    fraction,
    words_per_gap,
)
from edge_marl.workload.words import Entropy, Words

__all__ = [
    "draw_arrivals",
    "draw_bursts",
    "draw_rates",
    "draw_sleeps",
    "fill_times",
    "has_processes",
]


def has_processes(scenario: Scenario) -> bool:
    """Whether each gateway has a process of its own."""
    law = scenario.arrivals
    parts = (law.bursts, law.daily, law.hot_spots, scenario.gateways.zipf)
    return law.gap_cv != 1.0 or any(parts)


@part
def draw_arrivals(recipe: Ints, draft: Ints, entropy: Entropy) -> int:
    """Draw arrival (ms) and gateway of tasks, in order of (time, gateway).

    If fewer than `LEAST` come before the horizon, the missing ones come at 0 at gateway 0, so that
    an episode has a decision. An episode takes no more than `MOST_ROWS`, the first ones.
    """
    count, resolution, total = recipe[r.GATEWAYS], recipe[r.RESOLUTION], 0
    rates = draw_rates(recipe, entropy)
    switches, factors = draw_bursts(recipe, entropy)
    states = open_streams(recipe, entropy, ARRIVAL_STREAM, 1 + count)
    times = np.empty(draft[TASK_ROOM], dtype=np.uint64)
    gateways = np.empty(draft[TASK_ROOM], dtype=np.int64)
    for g in range(count):
        own = draw_gateway(recipe, states[1 + g], rates[g], switches[g], factors[g])
        if total + len(own) > len(times):
            times = longer(times, 2 * (total + len(own)))
            gateways = longer(gateways, len(times))
        for k in range(len(own)):
            times[total + k] = own[k]
            gateways[total + k] = g
        total += len(own)
    missing = max(0, recipe[r.LEAST] - total)
    draft[TASK_COUNT] = min(missing + total, recipe[r.MOST_ROWS])
    if draft[TASK_COUNT] > draft[TASK_ROOM]:
        return NO_ROOM
    order = sort(recipe, times[:total])
    tasks = grid(draft, draft[TASKS_AT], draft[TASK_COUNT], NUM_TASK_FIELDS)
    for k in range(len(tasks)):
        tasks[k, ARRIVAL], tasks[k, GATEWAY] = 0, 0
        if k >= missing:
            time = np.int64(times[order[k - missing]])
            tasks[k, ARRIVAL] = time // resolution * resolution
            tasks[k, GATEWAY] = gateways[order[k - missing]]
    return DONE_WELL


@part
def longer(array: Any, length: int) -> Any:
    """Return an array with more room."""
    grown = np.empty(length, dtype=array.dtype)
    for k in range(len(array)):
        grown[k] = array[k]
    return grown


@part
def draw_gateway(
    recipe: Ints, state: Words, rates: Floats, switches: Ints, factors: Floats
) -> Ints:
    """Return when the requests of one gateway come (ms), from a stream of its own."""
    shape, edges = floats_of(recipe)[r.SHAPE], table(recipe, r.EDGES)
    # How many trials at a time, not which numbers: in one gateway of six there have to be more.
    expected, per_gap = own_time(edges, rates, switches, factors), words_per_gap(shape)
    trials, known = int(1.05 * expected + math.sqrt(expected / shape)) + 8, 0
    gaps = np.empty(trials)
    while True:
        words = np.empty(per_gap * trials, dtype=np.uint64)
        fill_words(recipe, state, words)
        known += fill_gaps(gaps[known:], words, shape, known > 0)
        times = np.empty(known, dtype=np.int64)
        count = fill_times(times, gaps[:known], edges, rates, switches, factors)
        if count < known or count >= recipe[r.MOST_ROWS]:
            return times[:count]
        trials = known // 4 + 8
        gaps = longer(gaps, len(gaps) + trials)


@part
def own_time(edges: Ints, rates: Floats, switches: Ints, factors: Floats) -> float:
    """Return how long an episode is in a gateway's own time: requests that it has in the mean."""
    total, switch = 0.0, 0
    for p in range(len(rates)):
        start = edges[p]
        while start < edges[p + 1]:
            end = edges[p + 1]
            if switch < len(switches):
                end = min(end, switches[switch])
            total += rates[p] * factors[switch % 2] * (end - start)
            if switch < len(switches) and end == switches[switch]:
                switch += 1
            start = end
    return total


@part
def fill_times(
    times: Ints,
    gaps: Floats,
    edges: Ints,
    rates: Floats,
    switches: Ints,
    factors: Floats,
) -> int:
    """Fill when the points of a process come whose time runs at a rate that changes.

    Args:
        times: to fill, ms; at least as long as `gaps`.
        gaps: between the points, in the process's own time.
        edges: (P + 1,) ms at which the rate changes, from 0 to the horizon.
        rates: (P,) own time per ms between two edges.
        switches: ms at which the rate gets its other factor.
        factors: (2,) of the rate up to the first switch, and after it.

    Returns:
        How many points come before the horizon; all gaps if there may be more.
    """
    if len(gaps) == 0:
        return 0
    count, switch, need = 0, 0, gaps[0]
    for p in range(len(rates)):
        start = edges[p]
        while start < edges[p + 1]:
            end = edges[p + 1]
            if switch < len(switches):
                end = min(end, switches[switch])
            rate = rates[p] * factors[switch % 2]
            length, done = rate * (end - start), 0.0
            while done + need < length:
                done += need
                times[count] = min(start + int(done / rate), end - 1)
                count += 1
                if count == len(gaps):
                    return count
                need = gaps[count]
            need = max(need - (length - done), 0.0)
            if switch < len(switches) and end == switches[switch]:
                switch += 1
            start = end
    return count


@part
def draw_rates(recipe: Ints, entropy: Entropy) -> Floats:
    """Return the gateways' rates, but for bursts: shares, hours, hot spots.

    Returns:
        Requests per ms, (G, P), up to each change of the recipe's `EDGES`.
    """
    count, loads = recipe[r.GATEWAYS], table(recipe, r.LOADS)
    daily, period_of = floats_of(table(recipe, r.DAILY)), table(recipe, r.PERIOD_OF)
    rate, ratio = floats_of(recipe)[r.RATE], floats_of(recipe)[r.SPOT_RATIO]
    hot = draw_hot_spots(recipe, entropy)
    order = sort(recipe, draw_words(recipe, entropy, SHARE_STREAM, count))
    weights, rates = np.empty(count), np.empty((count, len(daily)))
    for rank in range(count):
        weights[order[rank]] = loads[rank]
    for p in range(len(daily)):
        # Sums one after another, in the order of gateways: the same bits everywhere.
        total = 0.0
        for g in range(count):
            rates[g, p] = weights[g] * (ratio if hot[period_of[p], g] else 1.0)
            total += rates[g, p]
        for g in range(count):
            rates[g, p] = rate * daily[p] * (rates[g, p] / total)
    return rates


@part
def draw_hot_spots(recipe: Ints, entropy: Entropy) -> Any:
    """Which gateways are in a hot spot in each period, (periods, G).

    Each spot takes the gateways nearest to its place that no spot before it has.
    """
    count, spots, size = recipe[r.GATEWAYS], recipe[r.SPOTS], recipe[r.SPOT_GATEWAYS]
    hot = np.zeros((recipe[r.PERIODS], count), dtype=np.bool_)
    if spots == 0:
        return hot
    places = draw_places(recipe, entropy, HOT_SPOT_STREAM, len(hot) * spots)
    gateways = draw_places(recipe, entropy, GATEWAY_PLACE_STREAM, count)
    numbers, apart = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)
    for period in range(len(hot)):
        for spot in range(spots):
            nearest(places[period * spots + spot], gateways, hot[period], numbers, apart)
            for number in numbers:
                hot[period, number] = True
    return hot


@part
def draw_bursts(recipe: Ints, entropy: Entropy) -> tuple[Ints, Floats]:
    """Return when gateways change between quiet and busy, and their rates' factors.

    Returns:
        Times of changes in ms, (G, spells), past the horizon at the end; factors of the rate in
        the first spell and in the second, (G, 2).
    """
    count, numbers = recipe[r.GATEWAYS], floats_of(recipe)
    factors, spells = np.ones((count, 2)), 0
    begins_busy = np.zeros(count, dtype=np.bool_)
    switches = np.empty((count, 8 if recipe[r.BURSTS] == 1 else 0), dtype=np.int64)
    if recipe[r.BURSTS] == 0:
        return switches, factors
    # The i-th words are of everyone's i-th spell, the first of which they begin in.
    state, words = open_stream(recipe, entropy, BURST_STREAM), np.empty(count, dtype=np.uint64)
    logs, until, least = np.empty(count), np.zeros(count, dtype=np.int64), 0
    fill_words(recipe, state, words)
    for g in range(count):
        begins_busy[g] = fraction(words[g]) < numbers[r.BUSY_SHARE]
        factors[g, 0] = numbers[r.BUSY_FACTOR if begins_busy[g] else r.QUIET_FACTOR]
        factors[g, 1] = numbers[r.QUIET_FACTOR if begins_busy[g] else r.BUSY_FACTOR]
    while least < recipe[r.HORIZON]:
        least = NEVER
        fill_words(recipe, state, words)
        fill_logs(logs, words)
        if spells == switches.shape[1]:
            switches = wider(switches, 2 * spells)
        for g in range(count):
            busy = (spells % 2 == 0) == begins_busy[g]
            mean = numbers[r.BUSY_MS if busy else r.QUIET_MS]
            until[g] += max(round(logs[g] * mean), 1)
            switches[g, spells] = until[g]
            least = min(least, until[g])
        spells += 1
    return wider(switches, spells), factors


@part
def wider(switches: Ints, count: int) -> Ints:
    """Return switches with room for so many, those that there are as far as they fit."""
    other = np.empty((len(switches), count), dtype=np.int64)
    for g in range(len(switches)):
        for spell in range(min(count, switches.shape[1])):
            other[g, spell] = switches[g, spell]
    return other


@part
def draw_sleeps(recipe: Ints, draft: Ints, entropy: Entropy) -> int:
    """Draw the sleeps of gateways in order of (gateway, time): spells of exponential lengths.

    Each gateway has a stream of its own, and is asleep or awake at 0 as it is at any time.
    """
    numbers, count = floats_of(recipe), 0
    states = open_streams(recipe, entropy, SLEEP_STREAM, 1 + recipe[r.GATEWAYS])
    drawn = grid(draft, draft[SLEEPS_AT], draft[SLEEP_ROOM], NUM_SLEEP_COLUMNS)
    words, logs = np.empty(2, dtype=np.uint64), np.empty(2)
    for g in range(recipe[r.GATEWAYS]):
        fill_words(recipe, states[1 + g], words)
        fill_logs(logs, words)
        time = 0
        if fraction(words[0]) >= numbers[r.ASLEEP_SHARE]:
            time = max(round(logs[1] * numbers[r.AWAKE_MS]), 1)
        while time < recipe[r.HORIZON]:
            fill_words(recipe, states[1 + g], words)
            fill_logs(logs, words)
            length = max(round(logs[0] * numbers[r.ASLEEP_MS]), 1)
            if count < len(drawn):
                drawn[count, TIME], drawn[count, LOCATION] = time, g
                drawn[count, DURATION] = length
            count += 1
            time += length + max(round(logs[1] * numbers[r.AWAKE_MS]), 1)
    draft[SLEEP_COUNT] = count
    return NO_ROOM if count > len(drawn) else DONE_WELL
