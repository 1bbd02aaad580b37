"""Drawing an episode in compiled code: part after part, from a recipe, into a draft.

Each part is compiled by itself, when a scenario first has it, and called by its address: neither
does the base model wait for what it never draws, nor is a part compiled into another.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numba
import numpy as np

from edge_marl.jit import c_function, jit, part
from edge_marl.kernel.loading import DONE_WELL, ENTROPY, NUM_HEAD_WORDS
from edge_marl.kernel.world import Ints
from edge_marl.memory import WORDS, call, pointer, words_at
from edge_marl.workload import entries as r
from edge_marl.workload.arrivals import draw_arrivals, draw_sleeps
from edge_marl.workload.entries import table
from edge_marl.workload.episode_servers import draw_links, draw_outages, draw_servers
from edge_marl.workload.requests import draw_classes, draw_kinds, draw_poisson, draw_rows
from edge_marl.workload.words import POOL, Entropy

__all__ = ["address_of_part", "draw_episode_at", "draw_into"]

POISSON, ARRIVALS, KINDS, SLEEPS, ROWS, CLASSES, OUTAGES, SERVERS, LINKS = range(9)
"""The parts, each of which draws on what those before it drew."""


def _draw_links(recipe: Ints, draft: Ints, entropy: Entropy) -> int:
    """`draw_links`, at places that are drawn too."""
    nowhere = np.empty((0, 2), dtype=np.int64)
    done: int = draw_links(recipe, draft, entropy, nowhere, nowhere)
    return done


_links = part(_draw_links)


@part
def _entropy(address: int, size: int) -> Any:
    return numba.carray(pointer(address), (size,), np.uint32)


# The parts at addresses, as C functions (recipe, draft, entropy, its length) -> what came of it.


def _poisson_at(recipe: int, draft: int, entropy: int, size: int) -> Any:
    return draw_poisson(words_at(recipe), words_at(draft), _entropy(entropy, size))


def _arrivals_at(recipe: int, draft: int, entropy: int, size: int) -> Any:
    return draw_arrivals(words_at(recipe), words_at(draft), _entropy(entropy, size))


def _kinds_at(recipe: int, draft: int, entropy: int, size: int) -> Any:
    return draw_kinds(words_at(recipe), words_at(draft), _entropy(entropy, size))


def _sleeps_at(recipe: int, draft: int, entropy: int, size: int) -> Any:
    return draw_sleeps(words_at(recipe), words_at(draft), _entropy(entropy, size))


def _rows_at(recipe: int, draft: int, entropy: int, size: int) -> Any:
    return draw_rows(words_at(recipe), words_at(draft), _entropy(entropy, size))


def _classes_at(recipe: int, draft: int, entropy: int, size: int) -> Any:
    return draw_classes(words_at(recipe), words_at(draft), _entropy(entropy, size))


def _outages_at(recipe: int, draft: int, entropy: int, size: int) -> Any:
    return draw_outages(words_at(recipe), words_at(draft), _entropy(entropy, size))


def _servers_at(recipe: int, draft: int, entropy: int, size: int) -> Any:
    return draw_servers(words_at(recipe), words_at(draft), _entropy(entropy, size))


def _links_at(recipe: int, draft: int, entropy: int, size: int) -> Any:
    return _links(words_at(recipe), words_at(draft), _entropy(entropy, size))


PLAIN = (
    *(draw_poisson, draw_arrivals, draw_kinds, draw_sleeps, draw_rows),
    *(draw_classes, draw_outages, draw_servers, _links),
)
AT_ADDRESSES = (
    *(_poisson_at, _arrivals_at, _kinds_at, _sleeps_at, _rows_at),
    *(_classes_at, _outages_at, _servers_at, _links_at),
)


@cache
def address_of_part(number: int) -> int:
    """Return the address of a part's C function; its number where nothing is compiled."""
    if numba.config.DISABLE_JIT:  # plain Python has no pointers
        return number
    address: int = c_function(AT_ADDRESSES[number], WORDS, error_model="numpy").address
    return address


def _draw_at(recipe: int, draft: int, entropy: int, size: int) -> int:
    """Draw part after part, as long as there is room; say what came of it."""
    words, done = words_at(recipe), DONE_WELL
    for k in range(words[r.PARTS], words[r.PARTS] + words[r.PARTS + 1]):
        if done == DONE_WELL:
            done = call(words[k], recipe, draft, entropy, size)
    return done


draw_at = jit(_draw_at, nogil=True)


def _draw_episode_at(recipe: int, draft: int, seed: int, split: int, episode: int) -> int:
    """Draw an episode: `DONE_WELL`, or `NO_ROOM`; then the draft's counts say how much it takes.

    Args:
        recipe: its address.
        draft: its address.
        seed: 0 to 2^63 - 1.
        split: number of the split.
        episode: 0 to 2^63 - 1.
    """
    entropy, size = words_at(draft)[ENTROPY:NUM_HEAD_WORDS].view(np.uint32), POOL
    entropy[0], entropy[1], entropy[2], entropy[3] = seed & 0xFFFFFFFF, seed >> 32, 0, 0
    for number in (split, episode):
        entropy[size] = number & 0xFFFFFFFF
        size += 1
        if number >> 32 > 0:
            entropy[size] = number >> 32
            size += 1
    done: int = draw_at(recipe, draft, draft + 8 * ENTROPY, size)
    return done


draw_episode_at = jit(_draw_episode_at, nogil=True)


def draw_into(recipe: Ints, draft: Ints, entropy: Entropy) -> int:
    """`draw_episode_at` with arrays, for Python, and with any seed."""
    done: int = DONE_WELL
    if not numba.config.DISABLE_JIT:
        addresses = recipe.ctypes.data, draft.ctypes.data, entropy.ctypes.data
        done = draw_at(*addresses, len(entropy))
        return done
    for number in table(recipe, r.PARTS):
        if done == DONE_WELL:
            done = PLAIN[number](recipe, draft, entropy)
    return done
