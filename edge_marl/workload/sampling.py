"""Laws made of random words: the same on every machine.

Words are the raw 64-bit output of NumPy's PCG64, whose stream is fixed (`words.py`). Laws are
inverted or rejected from words by integers and + - * / and square roots, which are exact or
correctly rounded everywhere; so are logarithms and the like (`functions.py`). The results of those
are rounded at once, to milliseconds or to 2^-20, so that their last bit does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from edge_marl.jit import part, program
from edge_marl.kernel.world import Floats, Ints
from edge_marl.scenario.section import MAX_TIME_MS
from edge_marl.workload.functions import cosine, exponential, logarithm
from edge_marl.workload.words import (
    STATE,
    Entropy,
    Words,
    below,
    entropy_of,
    fill_states,
    fill_words,
)

__all__ = [
    "ARRIVAL_STREAM",
    "BURST_STREAM",
    "CLASS_STREAM",
    "DETAIL_STREAM",
    "GATEWAY_PLACE_STREAM",
    "GRAIN",
    "HOSTED_STREAM",
    "HOT_SPOT_STREAM",
    "LINK_STREAM",
    "OUTAGE_STREAM",
    "QUALITY_STREAM",
    "SERVER_PLACE_STREAM",
    "SHARE_STREAM",
    "SLEEP_STREAM",
    "STAGE_STREAM",
    "TASK_STREAM",
    "TOPOLOGY_STREAM",
    "USER_STREAM",
    "Streams",
    "choose",
    "choose_evenly",
    "evenly",
    "fill_gaps",
    "fill_load_times",
    "fill_logs",
    "fill_order",
    "fraction",
    "limits",
    "ranks",
    "rounded",
    "threshold",
    "words_per_gap",
]

TASK_STREAM = np.uint32(0)
ARRIVAL_STREAM = np.uint32(1)
BURST_STREAM = np.uint32(2)
SHARE_STREAM = np.uint32(3)
HOT_SPOT_STREAM = np.uint32(4)
USER_STREAM = np.uint32(5)
STAGE_STREAM = np.uint32(6)
DETAIL_STREAM = np.uint32(7)
OUTAGE_STREAM = np.uint32(8)
TOPOLOGY_STREAM = np.uint32(9)
HOSTED_STREAM = np.uint32(10)
QUALITY_STREAM = np.uint32(11)
SERVER_PLACE_STREAM = np.uint32(12)
GATEWAY_PLACE_STREAM = np.uint32(13)
LINK_STREAM = np.uint32(14)
CLASS_STREAM = np.uint32(15)
SLEEP_STREAM = np.uint32(16)
"""Spawn keys: each part draws from a stream of its own, so that none shifts another's draws.

Not Python's numbers: for each of those Numba would compile anew what it is handed to."""

LONGEST_LOAD = float(MAX_TIME_MS // 8)
"""Milliseconds that loads are cut to."""

GRAIN = 2.0**20
"""Results without a unit are rounded to multiples of 1 / GRAIN."""


_below, _fill_states, _fill_words = map(program, (below, fill_states, fill_words))


@dataclass(frozen=True)
class Streams:
    """The streams of one workload."""

    seed: int
    split: int
    episode: int

    @property
    def entropy(self) -> Entropy:
        """What their names are below."""
        return entropy_of(self.seed, (self.split, self.episode))

    def words(self, shape: tuple[int, ...], *name: Any) -> Words:
        """Return the first words of the stream of a name, in an array of a shape.

        Args:
            shape: of the array.
            name: one of the spawn keys, and what of it.
        """
        *above, last = name
        entropy = entropy_of(self.seed, (self.split, self.episode, *above))
        states, words = np.empty((1, STATE), np.uint64), np.empty(math.prod(shape), np.uint64)
        _fill_states(_below(entropy, np.uint32(last)), states)
        _fill_words(states[0], words)
        return words.reshape(shape)


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


def ranks(exponent: float, count: int) -> Ints:
    """Return r^-exponent for r = 1..count in units of 2^-20, at least one unit, (count,)."""
    return np.array([max(1, round(GRAIN * r**-exponent)) for r in range(1, count + 1)])


def threshold(share: float) -> int:
    """The 53-bit number that uniform ones are below with a probability."""
    return math.ceil(share * 2**53)


def evenly(words: Any, count: int) -> Any:
    """Return for each word one of 0..count-1, as likely as each other.

    From the upper 32 bits, as `choose` with equal weights: so no choice is off by more than
    count / 2**32 of its share.
    """
    return np.int64(((words >> np.uint64(32)) * np.uint64(count)) >> np.uint64(32))


choose_evenly = part(evenly)
"""`evenly` of one word, in compiled code."""


@part
def choose(word: np.uint64, begins: Words) -> int:
    """Return the choice that the upper 32 bits of a word fall to (`limits`)."""
    key = word >> np.uint64(32)
    choice, size = 0, len(begins)
    while size > 1:  # always as many turns, and no other branch: a processor foresees all of it
        half = size >> 1
        choice += half * int(begins[choice + half] <= key)
        size -= half
    return choice


@part
def fraction(word: np.uint64) -> float:
    """Return a uniform number in [0, 1) of 53 bits."""
    return np.float64(np.int64(word >> np.uint64(11))) / 2.0**53


@part
def _uniform(word: np.uint64) -> float:
    """Uniform in (0, 1], of 53 bits: its logarithm is finite."""
    return (np.float64(np.int64(word >> np.uint64(11))) + 1.0) / 2.0**53


@part
def rounded(value: float) -> float:
    """Return a number rounded to 2^-20."""
    return math.floor(value * GRAIN + 0.5) / GRAIN


@part
def fill_logs(logs: Floats, words: Words) -> None:
    """Fill exponential numbers of mean 1: logarithms of uniform ones, which are to be rounded."""
    for k in range(len(words)):
        logs[k] = -logarithm(_uniform(words[k]))


@part
def fill_normals(normals: Floats, words: Words, first: int, stride: int) -> None:
    """Fill standard normal numbers (Box and Muller 1958) from two of each `stride` words.

    Args:
        normals: to fill.
        words: of them the first two count from `first` on, after each `stride`.
        first: where the first ones are.
        stride: words until the next ones.
    """
    angles = np.empty(len(normals))
    # Apart: what is done to many numbers at once needs them side by side.
    for k in range(len(normals)):
        normals[k] = _uniform(words[stride * k + first])
        angles[k] = 2.0 * math.pi * _uniform(words[stride * k + first + 1])
    for k in range(len(normals)):
        normals[k] = rounded(math.sqrt(-2.0 * logarithm(normals[k])) * cosine(angles[k]))


WORDS_PER_TRIAL = 4
"""Of a gap that is rejected or not: a normal number, a chance, and a part."""


@part
def words_per_gap(shape: float) -> int:
    """Words that `fill_gaps` takes for a gap, or for a trial that may give one."""
    return 1 if shape == 1.0 else WORDS_PER_TRIAL


@part
def fill_gaps(gaps: Floats, words: Words, shape: float, begun: bool) -> int:
    """Fill gaps of a gamma renewal process of mean 1 in equilibrium; return how many.

    If it has `begun`, they follow those that the words before gave.

    Shape 1 is inverted, others are rejected after Marsaglia and Tsang (2000), four words a trial.
    The process is under way when it is first seen: the first gap is a uniform part of a gap that
    is drawn with its length as weight, which is a gamma of shape + 1.
    """
    if shape == 1.0:
        fill_logs(gaps, words)
        for k in range(len(words)):
            gaps[k] = rounded(gaps[k])
        return len(words)
    trials, count = len(words) // WORDS_PER_TRIAL, 0
    normals, chances, parts = np.empty(trials), np.empty(trials), np.empty(trials)
    cubes, logs = np.empty(trials), np.empty(trials)
    fill_normals(normals, words, 0, WORDS_PER_TRIAL)
    for k in range(trials):
        chances[k] = _uniform(words[WORDS_PER_TRIAL * k + 2])
        parts[k] = _uniform(words[WORDS_PER_TRIAL * k + 3])
    # A gamma of shape + 1 is also where those of small shape come from (the paper's section 6).
    fill_cubes(cubes, logs, normals, _d(shape + 1.0 if shape < 1.0 else shape))
    for k in range(trials):
        chances[k] = rounded(logarithm(chances[k]))
    for k in range(trials):
        first = count == 0 and not begun
        d = _d(shape + 1.0 if first or shape < 1.0 else shape)
        if first:
            fill_cubes(cubes[k : k + 1], logs[k : k + 1], normals[k : k + 1], d)
        x, v = normals[k], cubes[k]
        if v <= 0.0 or chances[k] >= 0.5 * x * x + d - d * v + d * logs[k]:
            continue
        gaps[count] = d * v / shape * (parts[k] if first else 1.0)
        parts[count] = parts[k]
        count += 1
    if shape < 1.0:
        for k in range(0 if begun else 1, count):
            gaps[k] *= rounded(exponential(logarithm(parts[k]) / shape))
    return count


@part
def _d(shape: float) -> float:
    return shape - 1.0 / 3.0


@part
def fill_cubes(cubes: Floats, logs: Floats, normals: Floats, d: float) -> None:
    """Fill what Marsaglia and Tsang make of normal numbers, and the logarithm of it if positive."""
    width = math.sqrt(9.0 * d)
    for k in range(len(cubes)):
        v = 1.0 + normals[k] / width
        v = v * v * v
        cubes[k] = v
        logs[k] = rounded(logarithm(v if v > 0.0 else 1.0))


@part
def fill_load_times(
    times: Ints, words: Words, stride: int, begins: Words, medians_ms: Floats, sds: Floats
) -> None:
    """Fill lognormal times of several modes, 1..LONGEST_LOAD ms.

    Of each `stride` words the first three count (mode, normal).
    """
    normals, medians = np.empty(len(times)), np.empty(len(times))
    fill_normals(normals, words, 1, stride)
    for k in range(len(times)):
        mode = choose(words[stride * k], begins)
        medians[k] = medians_ms[mode]
        normals[k] *= sds[mode]
    for k in range(len(times)):
        time = medians[k] * exponential(normals[k])
        times[k] = max(1, int(min(time, LONGEST_LOAD) + 0.5))


BITS = 11
"""Of a key, those that `fill_order` looks at in one go."""
FEW = 64
"""Keys that are put in order one by one: so many digits take longer to count."""


@part
def fill_order(keys: Words, order: Ints) -> None:
    """Fill the order of keys: the lowest first, and of equals the first.

    By counting, from the lowest bits to the highest that any key has.
    """
    count, every = len(keys), np.uint64(0)
    if count <= FEW:
        fill_short_order(keys, order)
        return
    before, starts = np.empty(count, dtype=np.int64), np.empty(1 << BITS, dtype=np.int64)
    for k in range(count):
        every |= keys[k]
        order[k] = k
    shift, mask = np.uint64(0), np.uint64((1 << BITS) - 1)
    while shift < np.uint64(64) and (every >> shift) > np.uint64(0):
        for digit in range(1 << BITS):
            starts[digit] = 0
        for k in range(count):
            starts[np.int64((keys[k] >> shift) & mask)] += 1
            before[k] = order[k]
        below = 0
        for digit in range(1 << BITS):
            here = starts[digit]
            starts[digit] = below
            below += here
        for k in range(count):
            key = np.int64((keys[before[k]] >> shift) & mask)
            order[starts[key]] = before[k]
            starts[key] += 1
        shift += np.uint64(BITS)


@part
def fill_short_order(keys: Words, order: Ints) -> None:
    """`fill_order`, by putting each key before those that are larger."""
    for k in range(len(keys)):
        at = k
        while at > 0 and keys[order[at - 1]] > keys[k]:
            order[at] = order[at - 1]
            at -= 1
        order[at] = k
