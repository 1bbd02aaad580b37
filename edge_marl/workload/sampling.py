"""Streams of random words, and laws made of them: the same on every machine.

Words are the raw 64-bit output of NumPy's PCG64, whose stream is fixed (`words.py`). Laws are
inverted or rejected from words by integers and + - * / and square roots, which are exact or
correctly rounded everywhere. The result of any other function (log, cos, exp) is rounded at once,
to milliseconds or to 2^-20, so that its last bit, which differs between machines, does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np

from edge_marl.jit import jit
from edge_marl.kernel.world import ARRIVAL, DEMAND, GATEWAY, RUN_TIME, TYPE, Floats, Ints
from edge_marl.workload.words import (
    Stream,
    Words,
    advance_lane,
    open_lanes,
    open_streams,
    word_of,
)

__all__ = [
    "ARRIVAL_STREAM",
    "BURST_STREAM",
    "DEMAND_WORD",
    "DETAIL_STREAM",
    "GATEWAY_PLACE_STREAM",
    "HOSTED_STREAM",
    "HOT_SPOT_STREAM",
    "LINK_STREAM",
    "OUTAGE_STREAM",
    "QUALITY_STREAM",
    "SERVER_PLACE_STREAM",
    "SHARE_STREAM",
    "STAGE_STREAM",
    "TASK_STREAM",
    "TOPOLOGY_STREAM",
    "TYPE_WORD",
    "USER_STREAM",
    "WORDS_PER_TASK",
    "Streams",
    "choose",
    "choose_evenly",
    "durations_ms",
    "exponentials",
    "fill_arrivals",
    "fill_gaps",
    "fill_load_times",
    "fill_tasks",
    "fill_times",
    "fractions",
    "limits",
    "ranks",
    "words_per_gap",
]

TASK_STREAM = 0
ARRIVAL_STREAM = 1
BURST_STREAM = 2
SHARE_STREAM = 3
HOT_SPOT_STREAM = 4
USER_STREAM = 5
STAGE_STREAM = 6
DETAIL_STREAM = 7
OUTAGE_STREAM = 8
TOPOLOGY_STREAM = 9
HOSTED_STREAM = 10
QUALITY_STREAM = 11
SERVER_PLACE_STREAM = 12
GATEWAY_PLACE_STREAM = 13
LINK_STREAM = 14
"""Spawn keys: each part draws from a stream of its own, so that none shifts another's draws."""

TYPE_WORD, DEMAND_WORD = 1, 2
"""Which of a task's four words decides what; the first is of its gap, the last of its gateway."""
WORDS_PER_TASK = 4

GRAIN = 2.0**20
"""Results without a unit are rounded to multiples of 1 / GRAIN."""


@dataclass(frozen=True)
class Streams:
    """The streams of one workload."""

    seed: int
    split: int
    episode: int

    def open(self, *name: int) -> Stream:
        """Return a stream from its beginning; `name` is one of the spawn keys, and what of it."""
        return open_streams(1, self.seed, (self.split, self.episode, *name))[0]

    def open_many(self, count: int, *name: int) -> list[Stream]:
        """Return `count` streams, each from its beginning, that follow from the name's own."""
        return open_streams(1 + count, self.seed, (self.split, self.episode, *name))[1:]

    def words(self, shape: tuple[int, ...], *name: int) -> Words:
        """Return the first words of a stream, in an array of a shape."""
        words: Words = self.open(*name).random_raw(math.prod(shape)).reshape(shape)
        return words


@lru_cache(maxsize=256)
def limits(weights: Sequence[float]) -> Words:
    """Return where each choice begins on the scale of 32 bits, (len(weights),), for `choose`.

    Computed by fractions, so exact.
    """
    exact = [Fraction(weight) for weight in weights]
    total, below, begins = sum(exact), Fraction(0), []
    for weight in exact:
        begins.append(math.ceil(2**32 * below / total))
        below += weight
    return np.array(begins, dtype=np.uint64)


def choose(words: Words, begins: Words) -> Ints:
    """Return for each word the choice that its upper 32 bits fall to (`limits`)."""
    return np.searchsorted(begins, words >> np.uint64(32), side="right") - 1


def choose_evenly(words: Words, counts: int | Words) -> Ints:
    """Return for each word one of 0..count-1, as likely as each other.

    From the upper 32 bits, as `choose` with equal weights: so no choice is off by more than
    count / 2**32 of its share.
    """
    return ((words >> np.uint64(32)) * np.uint64(counts) >> np.uint64(32)).astype(np.int64)


def fractions(words: Words) -> Floats:
    """Return uniform numbers in [0, 1) of 53 bits."""
    return (words >> np.uint64(11)).astype(np.float64) / 2.0**53


def ranks(exponent: float, count: int) -> Ints:
    """Return r^-exponent for r = 1..count in units of 2^-20, at least one unit, (count,)."""
    return np.array([max(1, round(GRAIN * r**-exponent)) for r in range(1, count + 1)])


def exponentials(words: Words) -> Floats:
    """Return exponential numbers of mean 1, multiples of 2^-20."""
    return np.rint(-np.log(_positive(words)) * GRAIN) / GRAIN


def durations_ms(words: Words, means_ms: float | Floats) -> Ints:
    """Return exponential times of the given means in whole ms."""
    return np.rint(-np.log(_positive(words)) * means_ms).astype(np.int64)


def _positive(words: Words) -> Floats:
    """Return uniform numbers in (0, 1]: their logarithm is finite."""
    return fractions(words) + 2.0**-53


@jit
def _uniform(word: np.uint64) -> float:
    """Uniform in (0, 1], of 53 bits: its logarithm is finite."""
    return (np.float64(word >> np.uint64(11)) + 1.0) / 2.0**53


@jit
def _choose(word: np.uint64, count: int) -> int:
    """Uniform on 0..count-1, from the upper 32 bits (bias below count / 2**32)."""
    return int(((word >> np.uint64(32)) * np.uint64(count)) >> np.uint64(32))


@jit
def _rounded(value: float) -> float:
    return math.floor(value * GRAIN + 0.5) / GRAIN


@jit
def _normal(radius: np.uint64, angle: np.uint64) -> float:
    """Standard normal (Box and Muller 1958)."""
    length = math.sqrt(-2.0 * math.log(_uniform(radius)))
    normal: float = _rounded(length * math.cos(2.0 * math.pi * _uniform(angle)))
    return normal


@jit
def fill_tasks(
    tasks: Ints,
    state: Words,
    mean_gap_ms: float,
    horizon_ms: int,
    resolution_ms: int,
    least: int,
    types: int,
    demand_and_run_time: Ints,
    gateways: int,
) -> int:
    """Fill the tasks of the base model row by row; return how many arrive before the horizon.

    `least` tasks are kept wherever they fall, so that an episode has a decision (with the rates of
    the released tiers the horizon never comes this early). The four words of a task come from the
    four lanes of a stream, whose `state` stays where it is.
    """
    arrival = 0
    a, b, c, d, e, f, g, h, up, down = open_lanes(state)
    for k in range(len(tasks)):
        if k > 0:
            arrival += int(-math.log(_uniform(word_of(a, b))) * mean_gap_ms + 0.5)
            if arrival >= horizon_ms and k >= least:
                return k
        choice = _choose(word_of(e, f), len(demand_and_run_time))
        # As floats: an integer division takes longer than all else here; exact below 2^52.
        tasks[k, ARRIVAL] = int(arrival / np.float64(resolution_ms)) * resolution_ms
        tasks[k, RUN_TIME] = demand_and_run_time[choice, 1]
        tasks[k, DEMAND] = demand_and_run_time[choice, 0]
        tasks[k, TYPE] = _choose(word_of(c, d), types)
        tasks[k, GATEWAY] = _choose(word_of(g, h), gateways)
        a, b = advance_lane(a, b, up, down)
        c, d = advance_lane(c, d, up, down)
        e, f = advance_lane(e, f, up, down)
        g, h = advance_lane(g, h, up, down)
    return len(tasks)


def words_per_gap(shape: float) -> int:
    """Words that `fill_gaps` takes for a gap, or for a trial that may give one."""
    return 1 if shape == 1.0 else 4


@jit
def fill_gaps(gaps: Floats, words: Words, shape: float) -> int:
    """Fill gaps of a gamma renewal process of mean 1 in equilibrium; return how many.

    Shape 1 is inverted, others are rejected after Marsaglia and Tsang (2000), four words a trial.
    The process is under way when it is first seen: the first gap is a uniform part of a gap that
    is drawn with its length as weight, which is a gamma of shape + 1.
    """
    if shape == 1.0:
        for k in range(len(words)):
            gaps[k] = _rounded(-math.log(_uniform(words[k])))
        return len(words)
    count = 0
    for at in range(0, len(words), 4):
        # A gamma of shape + 1 is also where those of small shape come from (the paper's section 6).
        raised = count == 0 or shape < 1.0
        d = (shape + 1.0 if raised else shape) - 1.0 / 3.0
        x = _normal(words[at], words[at + 1])
        v = 1.0 + x / math.sqrt(9.0 * d)
        if v <= 0.0:
            continue
        v = v * v * v
        chance = _rounded(math.log(_uniform(words[at + 2])))
        if chance >= 0.5 * x * x + d - d * v + d * _rounded(math.log(v)):
            continue
        gap = d * v / shape
        if count == 0:
            gap *= _uniform(words[at + 3])
        elif raised:
            gap *= _rounded(math.exp(math.log(_uniform(words[at + 3])) / shape))
        gaps[count] = gap
        count += 1
    return count


@jit
def fill_arrivals(
    times: Ints,
    words: Words,
    shape: float,
    edges: Ints,
    rates: Floats,
    switches: Ints,
    factors: Floats,
) -> tuple[int, bool]:
    """Fill when the requests of a gateway come: `fill_times` of `fill_gaps`.

    Returns:
        How many come before the horizon, and whether there were words enough to tell.
    """
    gaps = np.empty(len(times))
    known = fill_gaps(gaps, words, shape)
    count = fill_times(times, gaps[:known], edges, rates, switches, factors)
    return count, count < known


@jit
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


@jit
def fill_load_times(
    times: Ints, words: Words, begins: Words, medians_ms: Floats, sds: Floats, most: int
) -> None:
    """Fill lognormal times of several modes, 1..most ms; three words each (mode, normal)."""
    for k in range(len(times)):
        mode = np.searchsorted(begins, words[k, 0] >> np.uint64(32), side="right") - 1
        time = medians_ms[mode] * math.exp(sds[mode] * _normal(words[k, 1], words[k, 2]))
        times[k] = max(1, int(min(time, np.float64(most)) + 0.5))
