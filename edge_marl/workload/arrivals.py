"""When and where requests arrive, if not by one Poisson process over equal gateways.

Each gateway has a renewal process of gamma gaps in a time of its own, which runs as fast as the
gateway's rate at the moment: its share of all requests, the hour, its bursts and hot spots.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from edge_marl.kernel.world import Floats, Ints
from edge_marl.scenario import Scenario
from edge_marl.scenario.arrivals import Bursts
from edge_marl.scenario.section import MAX_TASKS
from edge_marl.workload.episode_servers import draw_gateway_places, spread, squared_distances
from edge_marl.workload.sampling import (
    ARRIVAL_STREAM,
    BURST_STREAM,
    HOT_SPOT_STREAM,
    SHARE_STREAM,
    Streams,
    durations_ms,
    fill_arrivals,
    fractions,
    ranks,
    words_per_gap,
)
from edge_marl.workload.words import Stream

__all__ = ["draw_arrivals", "draw_bursts", "draw_rates", "has_processes"]


def has_processes(scenario: Scenario) -> bool:
    """Whether each gateway has a process of its own."""
    law = scenario.arrivals
    parts = (law.bursts, law.daily, law.hot_spots, scenario.gateways.zipf)
    return law.gap_cv != 1.0 or any(parts)


def draw_arrivals(scenario: Scenario, streams: Streams, least: int) -> tuple[Ints, Ints]:
    """Return arrival (ms) and gateway of every request, (R,) each, in order of (time, gateway).

    If fewer than `least` come before the horizon, the missing ones come at 0 at gateway 0, so that
    an episode has a decision. An episode takes no more than `MAX_TASKS`, the first ones.
    """
    law, count = scenario.arrivals, scenario.gateways.count
    edges, rates = draw_rates(scenario, streams)
    switches, factors = np.zeros((count, 0), dtype=np.int64), np.ones((count, 2))
    if law.bursts:
        switches, factors = draw_bursts(law.bursts, count, law.horizon_ms, streams)
    shape = 1.0 if law.gap_cv == 1.0 else 1.0 / (law.gap_cv * law.gap_cv)
    # How many words to begin with, not which numbers: enough but for one episode in many.
    expected = (rates * np.diff(edges)).sum(axis=1)
    sizes = 1.2 * (expected + 8 * np.sqrt(expected / shape)) + 16
    arrivals = [
        _draw_gateway(stream, int(sizes[g]), shape, edges, rates[g], switches[g], factors[g])
        for g, stream in enumerate(streams.open_many(count, ARRIVAL_STREAM))
    ]
    missing = max(0, least - sum(len(times) for times in arrivals))
    arrivals[0] = np.concatenate([np.zeros(missing, dtype=np.int64), arrivals[0]])
    gateways = np.repeat(np.arange(count), [len(times) for times in arrivals])
    times = np.concatenate(arrivals)
    order = np.argsort(times, kind="stable")[:MAX_TASKS]
    return times[order] // law.resolution_ms * law.resolution_ms, gateways[order]


def _draw_gateway(
    stream: Stream,
    size: int,
    shape: float,
    edges: Ints,
    rates: Floats,
    switches: Ints,
    factors: Floats,
) -> Ints:
    """Arrivals of one gateway in ms, from a stream of its own; `size` trials to begin with."""
    per_gap = words_per_gap(shape)
    words = stream.random_raw(per_gap * size)
    while True:
        times = np.empty(len(words) // per_gap, dtype=np.int64)
        count, enough = fill_arrivals(times, words, shape, edges, rates, switches, factors)
        if enough or count >= MAX_TASKS:
            return times[:count]
        words = np.concatenate([words, stream.random_raw(len(words))])


def draw_rates(scenario: Scenario, streams: Streams) -> tuple[Ints, Floats]:
    """Return the gateways' rates over the episode, but for bursts: shares, hours, hot spots.

    Returns:
        When rates change in ms, (P + 1,), from 0 to the horizon; requests per ms, (G, P).
    """
    law, count = scenario.arrivals, scenario.gateways.count
    order = np.argsort(streams.words((count,), SHARE_STREAM), kind="stable")
    weight = np.empty(count, dtype=np.int64)
    weight[order] = ranks(scenario.gateways.zipf, count)
    hours, daily = _daily(law.daily, law.day_ms, law.horizon_ms)
    periods, ratio = np.zeros(1, dtype=np.int64), np.ones((count, 1))
    if law.hot_spots:
        periods = np.arange(0, max(law.horizon_ms, 1), law.hot_spots.period_ms)
        ratio = np.where(_draw_hot_spots(scenario, len(periods), streams), law.hot_spots.ratio, 1.0)
    starts = np.union1d(hours, periods)
    in_hour = np.searchsorted(hours, starts, side="right") - 1
    in_period = np.searchsorted(periods, starts, side="right") - 1
    share = weight[:, None] * ratio
    # Sums one after another, in the order of gateways: the same bits everywhere.
    share = share / np.cumsum(share, axis=0)[-1]
    rates = law.rate_per_s / 1000 * daily[in_hour] * share[:, in_period]
    return np.append(starts, law.horizon_ms), rates


def _daily(weights: tuple[float, ...], day_ms: int, horizon_ms: int) -> tuple[Ints, Floats]:
    """When the parts of days begin (ms), and the rate in each over the day's mean."""
    parts = weights or (1.0,)
    if len(set(parts)) == 1:
        return np.zeros(1, dtype=np.int64), np.ones(1)
    mean = math.fsum(parts) / len(parts)
    number = np.arange(len(parts) * (horizon_ms // day_ms + 1))
    starts = number // len(parts) * day_ms + number % len(parts) * day_ms // len(parts)
    before = starts < max(horizon_ms, 1)
    return starts[before], (np.array(parts) / mean)[number[before] % len(parts)]


def _draw_hot_spots(scenario: Scenario, periods: int, streams: Streams) -> npt.NDArray[np.bool_]:
    """Which gateways are in a hot spot in each period, (G, periods).

    Each spot takes the gateways nearest to its place that no spot before it has.
    """
    law, count = scenario.arrivals.hot_spots, scenario.gateways.count
    assert law is not None
    words = streams.words((periods, law.count, 2), HOT_SPOT_STREAM)
    spots = spread(words, scenario.gateways.area_km)
    gateways = draw_gateway_places(scenario, streams)
    hot = np.zeros((count, periods), dtype=np.bool_)
    for period in range(periods):
        for apart in squared_distances(spots[period], gateways):
            free = np.flatnonzero(~hot[:, period])
            nearest = np.argsort(apart[free], kind="stable")[: law.gateways]
            hot[free[nearest], period] = True
    return hot


def draw_bursts(
    law: Bursts, gateways: int, horizon_ms: int, streams: Streams
) -> tuple[Ints, Floats]:
    """Return when gateways change between quiet and busy, and their rates' factors.

    Returns:
        Times of changes in ms, (G, spells), past the horizon at the end; factors of the rate in
        the first spell and in the second, (G, 2).
    """
    quiet, busy = law.quiet_s, law.busy_s
    low = (quiet + busy) / (quiet + law.ratio * busy)
    expected = 2 * horizon_ms / (1000 * (quiet + busy))
    size = int(expected + 8 * math.sqrt(expected)) + 16
    stream = streams.open(BURST_STREAM)
    # Row i is of everyone's i-th spell, so that more rows leave those before as they are.
    words = stream.random_raw(size * gateways).reshape(size, gateways)
    begins_busy = fractions(words[0]) < busy / (quiet + busy)
    factors = np.where(begins_busy[:, None], [law.ratio * low, low], [low, law.ratio * low])
    while True:
        is_busy = (np.arange(1, len(words)) % 2 == 1)[:, None] == begins_busy
        means = np.where(is_busy, 1000 * busy, 1000 * quiet)
        switches = np.cumsum(np.maximum(durations_ms(words[1:], means), 1), axis=0)
        if (switches[-1] >= horizon_ms).all():
            return np.ascontiguousarray(switches.T), factors
        more = stream.random_raw(size * gateways).reshape(size, gateways)
        words = np.concatenate([words, more])
