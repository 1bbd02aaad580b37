"""NumPy's raw 64-bit words (PCG64 seeded by a SeedSequence), made in compiled code.

The streams are NumPy's to the last bit; opening one in Python takes as long as drawing ten thousand
words. Rules: NumPy's `SeedSequence` (M. E. O'Neill, Developing a seed_seq alternative, 2015) and
PCG XSL RR 128/64 (M. E. O'Neill, PCG, Harvey Mudd College HMC-CS-2014-0905).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from edge_marl.jit import part

__all__ = [
    "Entropy",
    "Words",
    "advance_lane",
    "below",
    "entropy_of",
    "fill_states",
    "fill_words",
    "open_lanes",
    "word_of",
]

Words = npt.NDArray[np.uint64]
Entropy = npt.NDArray[np.uint32]
"""What a SeedSequence is made of, assembled: words of 32 bits."""

POOL = 4
"""Words of 32 bits in a SeedSequence's pool, and those of entropy that it fills up to."""
INIT_A, MULT_A, INIT_B, MULT_B = map(np.uint32, (0x43B0D7E5, 0x931E8875, 0x8B51F9DD, 0x58F38DED))
MIX_L, MIX_R = map(np.uint32, (0xCA01F9DD, 0x4973F715))
SHIFT = np.uint32(16)
MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645
"""Of PCG's 128-bit linear congruential step."""

WORD = 2**64 - 1

STATE = 4
"""Words of a stream's state: of 128 bits the upper and the lower half, and so of its increment."""


LANES = 4
"""Steps that are taken side by side: each waits for the last one of its own lane only."""


def _advancing(multiplier: int) -> Any:
    """Return compiled code's (high, low, up, down) -> halves of state * multiplier + increment."""
    pair, wide, word = numba.types.UniTuple(types.uint64, 2), ir.IntType(128), ir.IntType(64)
    shift = ir.Constant(wide, 64)

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        state, increment = (
            builder.or_(builder.shl(builder.zext(upper, wide), shift), builder.zext(lower, wide))
            for upper, lower in (values[:2], values[2:])
        )
        state = builder.add(builder.mul(state, ir.Constant(wide, multiplier)), increment)
        halves = [builder.trunc(builder.lshr(state, shift), word), builder.trunc(state, word)]
        return context.make_tuple(builder, pair, halves)

    def advance(typing_context: Any, high: Any, low: Any, up: Any, down: Any) -> Any:
        return pair(*[types.uint64] * 4), build

    def advance_plainly(high: Any, low: Any, up: Any, down: Any) -> Any:
        state = (int(high) << 64 | int(low)) * multiplier + (int(up) << 64 | int(down))
        return np.uint64(state >> 64 & WORD), np.uint64(state & WORD)

    return advance_plainly if numba.config.DISABLE_JIT else intrinsic(advance)


advance = _advancing(MULTIPLIER)
advance_lane = _advancing(pow(MULTIPLIER, LANES, 1 << 128))


@part
def word_of(high: np.uint64, low: np.uint64) -> np.uint64:
    """Return the word that a state gives."""
    turn = high >> np.uint64(58)
    mixed = high ^ low
    return (mixed >> turn) | (mixed << ((np.uint64(64) - turn) & np.uint64(63)))


@part
def open_lanes(state: Words) -> tuple[Any, ...]:
    """Return the states of the next LANES words of a stream, both halves of each, and the
    increment of `advance_lane`."""
    zero, up, down = np.uint64(0), state[2], state[3]
    a, b = advance(state[0], state[1], up, down)
    c, d = advance(a, b, up, down)
    e, f = advance(c, d, up, down)
    g, h = advance(e, f, up, down)
    i, j = advance(zero, zero, up, down)
    for _ in range(LANES - 1):
        i, j = advance(i, j, up, down)
    return a, b, c, d, e, f, g, h, i, j


@part
def fill_words(state: Words, words: Words) -> None:
    """Fill the next words of a stream, whose state moves on."""
    whole = len(words) // LANES * LANES
    # Single variables: in an array they would go through memory at every step.
    a, b, c, d, e, f, g, h, up, down = open_lanes(state)
    for k in range(0, whole, LANES):
        words[k], words[k + 1] = word_of(a, b), word_of(c, d)
        words[k + 2], words[k + 3] = word_of(e, f), word_of(g, h)
        state[0], state[1] = g, h
        a, b = advance_lane(a, b, up, down)
        c, d = advance_lane(c, d, up, down)
        e, f = advance_lane(e, f, up, down)
        g, h = advance_lane(g, h, up, down)
    for k in range(whole, len(words)):
        state[0], state[1] = advance(state[0], state[1], state[2], state[3])
        words[k] = word_of(state[0], state[1])


@part
def _start(state: Words, seeds: Words) -> None:
    """Set a stream to its beginning, from four words of its seed."""
    up = (seeds[2] << np.uint64(1)) | (seeds[3] >> np.uint64(63))
    down = (seeds[3] << np.uint64(1)) | np.uint64(1)
    high, low = advance(np.uint64(0), np.uint64(0), up, down)
    low_sum = low + seeds[1]
    carry = np.uint64(1) if low_sum < low else np.uint64(0)
    state[0], state[1] = advance(high + seeds[0] + carry, low_sum, up, down)
    state[2], state[3] = up, down


@part
def _hashed(value: np.uint32, constant: np.uint32, multiplier: np.uint32) -> tuple[Any, Any]:
    """Return a word hashed by a constant, and the next constant."""
    value = np.uint32(value ^ constant)
    constant = np.uint32(constant * multiplier)
    value = np.uint32(value * constant)
    return np.uint32(value ^ (value >> SHIFT)), constant


@part
def _mixed(x: np.uint32, y: np.uint32) -> np.uint32:
    mixed = np.uint32(np.uint32(MIX_L * x) - np.uint32(MIX_R * y))
    return np.uint32(mixed ^ (mixed >> SHIFT))


@part
def _generate(entropy: Entropy, seeds: Words) -> None:
    """Fill `SeedSequence.generate_state` of assembled entropy, at least `POOL` words of 32 bits."""
    pool = np.empty(POOL, dtype=np.uint32)
    constant = INIT_A
    for i in range(POOL):
        pool[i], constant = _hashed(entropy[i], constant, MULT_A)
    for source in range(POOL):
        for target in range(POOL):
            if source != target:
                word, constant = _hashed(pool[source], constant, MULT_A)
                pool[target] = _mixed(pool[target], word)
    for source in range(POOL, len(entropy)):
        for target in range(POOL):
            word, constant = _hashed(entropy[source], constant, MULT_A)
            pool[target] = _mixed(pool[target], word)
    constant = INIT_B
    for k in range(len(seeds)):
        low, constant = _hashed(pool[2 * k % POOL], constant, MULT_B)
        high, constant = _hashed(pool[(2 * k + 1) % POOL], constant, MULT_B)
        seeds[k] = np.uint64(low) | (np.uint64(high) << np.uint64(32))


def _open(entropy: Entropy, states: Words) -> None:
    """Fill states of streams, (count, STATE): the entropy's own, and those that follow from it.

    The first is NumPy's of `PCG64(SeedSequence(..))`. State and increment of the others, of 128
    bits each, are the next words of its SeedSequence; increments are made odd.
    """
    count = len(states)
    seeds = np.empty(STATE * count, dtype=np.uint64)
    _generate(entropy, seeds)
    _start(states[0], seeds[:STATE])
    for i in range(1, count):
        for k in range(STATE):
            states[i, k] = seeds[STATE * i + k]
        states[i, 3] |= np.uint64(1)


def _open_plainly(entropy: Entropy, states: Words) -> None:
    """`_open` by NumPy itself: plain Python warns of numbers that wrap around."""
    seeds = np.random.SeedSequence(entropy.tolist())
    states[:] = seeds.generate_state(states.size, np.uint64).reshape(states.shape)
    states[:, 3] |= np.uint64(1)
    own: Any = np.random.PCG64(seeds).state["state"]
    numbers = (own["state"] >> 64, own["state"] & WORD, own["inc"] >> 64, own["inc"] & WORD)
    states[0] = np.array(numbers, dtype=np.uint64)


fill_states = _open_plainly if numba.config.DISABLE_JIT else part(_open)


@part
def below(entropy: Entropy, name: np.uint32) -> Entropy:
    """Return the entropy of what has a name below some other."""
    longer = np.empty(len(entropy) + 1, dtype=np.uint32)
    for k in range(len(entropy)):
        longer[k] = entropy[k]
    longer[len(entropy)] = name
    return longer


def entropy_of(seed: int, spawn_key: Sequence[Any]) -> Entropy:
    """Return what `SeedSequence(seed, spawn_key=spawn_key)` is made of, of any size.

    Args:
        seed: 0 or larger.
        spawn_key: numbers 0 or larger, at least one.
    """
    own = _as_words(seed)
    own += [0] * (POOL - len(own))  # NumPy does so where there is a spawn key
    return np.array([*own, *(w for key in spawn_key for w in _as_words(key))], np.uint32)


def _as_words(number: Any) -> list[int]:
    """Return the 32-bit words of a number, the lowest first, at least one."""
    number = int(number)
    words = [number & 0xFFFFFFFF]
    while number := number >> 32:
        words.append(number & 0xFFFFFFFF)
    return words
