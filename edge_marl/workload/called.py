"""What all of drawing shares, called by address: compiled once, not into whatever uses it."""

from __future__ import annotations

from functools import cache

import numba
import numpy as np

from edge_marl.jit import c_function, part
from edge_marl.kernel.world import Ints
from edge_marl.memory import WORDS, call, pointer
from edge_marl.workload import entries as r
from edge_marl.workload import words as w
from edge_marl.workload.sampling import fill_order
from edge_marl.workload.words import STATE, Entropy, Words

__all__ = ["addresses", "draw_words", "fill_words", "open_stream", "open_streams", "sort"]

# Bodies of the C functions: addresses and lengths in place of arrays.


def _open_at(entropy: int, size: int, states: int, count: int) -> int:
    whole = numba.carray(pointer(entropy), (size,), np.uint32)
    w.fill_states(whole, numba.carray(pointer(states), (count, STATE), np.uint64))
    return 0


def _fill_at(state: int, words: int, count: int, unused: int) -> int:
    own = numba.carray(pointer(state), (STATE,), np.uint64)
    w.fill_words(own, numba.carray(pointer(words), (count,), np.uint64))
    return 0


def _sort_at(keys: int, order: int, count: int, unused: int) -> int:
    place = numba.carray(pointer(order), (count,), np.int64)
    fill_order(numba.carray(pointer(keys), (count,), np.uint64), place)
    return 0


@cache
def addresses() -> dict[int, int]:
    """Return the entries of a recipe that say where the functions are."""
    if numba.config.DISABLE_JIT:  # plain Python has no pointers
        return {}
    bodies = {r.OPEN: _open_at, r.FILL: _fill_at, r.SORT: _sort_at}
    return {name: c_function(body, WORDS).address for name, body in bodies.items()}


# What others call.


def _open_whole(recipe: Ints, whole: Entropy, states: Words) -> None:
    call(recipe[r.OPEN], whole.ctypes.data, len(whole), states.ctypes.data, len(states))


def _fill_words(recipe: Ints, state: Words, words: Words) -> None:
    call(recipe[r.FILL], state.ctypes.data, words.ctypes.data, len(words), 0)


def _sort(recipe: Ints, keys: Words) -> Ints:
    """Return the order of keys, (len(keys),): the lowest first, and of equals the first."""
    order = np.empty(len(keys), dtype=np.int64)
    call(recipe[r.SORT], keys.ctypes.data, order.ctypes.data, len(keys), 0)
    return order


def _open_whole_plainly(recipe: Ints, whole: Entropy, states: Words) -> None:
    w.fill_states(whole, states)


def _fill_words_plainly(recipe: Ints, state: Words, words: Words) -> None:
    w.fill_words(state, words)


def _sort_plainly(recipe: Ints, keys: Words) -> Ints:
    order = np.empty(len(keys), dtype=np.int64)
    fill_order(keys, order)
    return order


_PLAIN = numba.config.DISABLE_JIT
open_whole = _open_whole_plainly if _PLAIN else part(_open_whole)
fill_words = _fill_words_plainly if _PLAIN else part(_fill_words)
sort = _sort_plainly if _PLAIN else part(_sort)


@part
def open_streams(recipe: Ints, entropy: Entropy, name: np.uint32, count: int) -> Words:
    """Return states of streams, (count, STATE): that of a name below some entropy, and those that
    follow from it."""
    states = np.empty((count, STATE), dtype=np.uint64)
    whole = w.below(entropy, name)
    open_whole(recipe, whole, states)
    return states


@part
def open_stream(recipe: Ints, entropy: Entropy, name: np.uint32) -> Words:
    """Return the state of the stream of a name, (STATE,)."""
    state: Words = open_streams(recipe, entropy, name, 1)[0]
    return state


@part
def draw_words(recipe: Ints, entropy: Entropy, name: np.uint32, count: int) -> Words:
    """Return the first words of the stream of a name, (count,)."""
    words = np.empty(count, dtype=np.uint64)
    fill_words(recipe, open_stream(recipe, entropy, name), words)
    return words
