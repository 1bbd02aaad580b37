"""Drawing an episode in compiled code: from a recipe, into a draft, both by their addresses."""

from __future__ import annotations

from functools import cache

import numba
import numpy as np

from edge_marl.jit import c_function, jit, part
from edge_marl.kernel.loading import (
    DONE_WELL,
    ENTROPY,
    NO_ROOM,
    NUM_HEAD_WORDS,
    TASK_COUNT,
    TASK_ROOM,
    TASKS_AT,
)
from edge_marl.kernel.world import NUM_TASK_FIELDS, Ints
from edge_marl.memory import WORDS, call, grid, pointer, words_at
from edge_marl.workload import entries as r
from edge_marl.workload.details import draw_outages
from edge_marl.workload.episode_servers import draw_servers
from edge_marl.workload.requests import draw_requests, draw_rows, fill_poisson
from edge_marl.workload.words import POOL, Entropy

__all__ = ["address_of_draw", "draw_episode_at", "draw_into"]


def draw_base(recipe: Ints, draft: Ints, entropy: Entropy) -> int:
    """Draw an episode of the base model with its own arrivals and kinds of tasks."""
    room = draft[TASK_ROOM]
    count = fill_poisson(grid(draft, draft[TASKS_AT], room, NUM_TASK_FIELDS), recipe, entropy)
    draft[TASK_COUNT] = count if count < room else 2 * room
    return DONE_WELL if count < room else NO_ROOM


def draw_any(recipe: Ints, draft: Ints, entropy: Entropy) -> int:
    """Draw an episode of any scenario without a recording."""
    requests = draw_requests(recipe, entropy)
    if recipe[r.EXTENDED] == 1:
        done: int = draw_rows(recipe, draft, entropy, requests)
        if recipe[r.OUTAGES] == 1:
            done = max(done, draw_outages(recipe, draft, entropy))
        nowhere = np.empty((0, 2), dtype=np.int64)
        draw_servers(recipe, draft, entropy, nowhere, nowhere)
        return done
    draft[TASK_COUNT] = len(requests)
    if len(requests) > draft[TASK_ROOM]:
        return NO_ROOM
    for k in range(len(requests)):
        for column in range(NUM_TASK_FIELDS):
            draft[draft[TASKS_AT] + NUM_TASK_FIELDS * k + column] = requests[k, column]
    return DONE_WELL


_base, _any = part(draw_base), part(draw_any)


def _draw_base_at(recipe: int, draft: int, entropy: int, count: int) -> int:
    """`draw_base` at addresses."""
    words = numba.carray(pointer(entropy), (count,), np.uint32)
    done: int = _base(words_at(recipe), words_at(draft), words)
    return done


def _draw_any_at(recipe: int, draft: int, entropy: int, count: int) -> int:
    """`draw_any` at addresses."""
    words = numba.carray(pointer(entropy), (count,), np.uint32)
    done: int = _any(words_at(recipe), words_at(draft), words)
    return done


@cache
def address_of_draw(base: bool) -> int:
    """Return the address of a C function (recipe, draft, entropy, its length) -> int, all int64.

    The base model has its own, so that it need not wait until what it never does is compiled.
    """
    if numba.config.DISABLE_JIT:
        return 0
    body = _draw_base_at if base else _draw_any_at
    address: int = c_function(body, WORDS, error_model="numpy").address
    return address


def _draw_episode_at(recipe: int, draft: int, seed: int, split: int, episode: int) -> int:
    """Draw an episode: `DONE_WELL`, or `NO_ROOM`; then the draft's counts say how much it takes.

    Args:
        recipe: its address.
        draft: its address.
        seed: 0 to 2^63 - 1.
        split: number of the split.
        episode: 0 to 2^63 - 1.
    """
    entropy, count = words_at(draft)[ENTROPY:NUM_HEAD_WORDS].view(np.uint32), POOL
    entropy[0], entropy[1], entropy[2], entropy[3] = seed & 0xFFFFFFFF, seed >> 32, 0, 0
    for number in (split, episode):
        entropy[count] = number & 0xFFFFFFFF
        count += 1
        if number >> 32 > 0:
            entropy[count] = number >> 32
            count += 1
    function = words_at(recipe)[r.FUNCTION]
    done: int = call(function, recipe, draft, draft + 8 * ENTROPY, count)
    return done


draw_episode_at = jit(_draw_episode_at, nogil=True)


def _draw_at(recipe: int, draft: int, entropy: int, count: int) -> int:
    """`call`, for Python."""
    done: int = call(words_at(recipe)[r.FUNCTION], recipe, draft, entropy, count)
    return done


_draw_at_address = jit(_draw_at, nogil=True)


def draw_into(recipe: Ints, draft: Ints, entropy: Entropy) -> int:
    """`draw_episode_at` with arrays, for Python, and with any seed."""
    if numba.config.DISABLE_JIT:  # plain Python has no pointers
        return (draw_base if recipe[r.BASE] == 1 else draw_any)(recipe, draft, entropy)
    addresses = recipe.ctypes.data, draft.ctypes.data, entropy.ctypes.data
    done: int = _draw_at_address(*addresses, len(entropy))
    return done
