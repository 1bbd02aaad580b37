"""Steps of many rows and the beginnings of their episodes, as C functions."""

from __future__ import annotations

from functools import cache
from typing import Any

import numba
import numpy as np

from edge_marl.jit import c_function
from edge_marl.kernel.batch import Outputs
from edge_marl.kernel.loading import DONE_WELL
from edge_marl.memory import WORDS, call, pointer, words_at
from edge_marl.simulator.compiled import (
    load_draft,
    observe,
    of_model,
    open_game_row,
    open_row,
    play_rows,
    step_rows,
)
from edge_marl.simulator.world_type import world_at
from edge_marl.workload.drawing import draw_episode_at
from edge_marl.workload.parts import SPLITS

# Steps of many rows are handed the address of a job: words that say where everything is.
(TABLE, ACTIONS, REWARDS, SEEN, MASKS, HANDED, LAST_SEEN, LAST_MASKS, ENDED, LEFT, WHEN, SOURCE) = (
    range(12)
)
JOB_WORDS = 12
"""Addresses, but for HANDED: rows of SEEN and MASKS, 0 if nobody wants them; and for WHEN.
SEEN is 0 where observations are written into what is handed out to begin with (`crew.aim`)."""


# The next episodes of rows come from a source: words that say where the functions are that begin
# them (`address_of_next`, `c_begin`), where the recipe is, and what each row and thread has.
NEXT, BEGIN, RECIPE, SEEDS, EPISODES, DRAFTS = range(6)
SOURCE_WORDS = 6
TRAIN = SPLITS["train"]


@numba.njit(forceinline=True)
def _outputs(words: Any, rows: int, seen: Any, masks: Any, thread: int) -> Any:
    """`Outputs` of a job, of arrays with the shapes of what the world's rows see."""
    kept = seen[0] if words[LAST_SEEN] != 0 else 0
    copied = words[HANDED] if words[SEEN] != 0 else 0
    return Outputs(
        numba.carray(pointer(words[SEEN]), (copied, seen[1]), np.float32),
        numba.carray(pointer(words[MASKS]), (words[HANDED], masks[1]), np.int8),
        numba.carray(pointer(words[LAST_SEEN]), (kept, seen[1]), np.float32),
        numba.carray(pointer(words[LAST_MASKS]), (kept, masks[1]), np.int8),
        numba.carray(pointer(words[ENDED]), (rows,), np.int8),
        numba.carray(pointer(words[LEFT]), (rows,), np.bool_),
        words[WHEN],
        words[SOURCE],
        words[TABLE],
        thread,
    )


def _step_rows(job: int, first: int, stop: int, thread: int) -> int:
    """`batch.step_rows` on what a job says."""
    words = numba.carray(pointer(job), (JOB_WORDS,), np.int64)
    w = world_at(words[TABLE])
    shape = (len(w.episode),)
    step_rows(
        w,
        first,
        stop,
        numba.carray(pointer(words[ACTIONS]), shape, np.int64),
        numba.carray(pointer(words[REWARDS]), shape, np.float64),
        _outputs(words, len(w.episode), w.observations.shape, w.feasible.shape, thread),
    )
    return 0


def _play_rows(job: int, first: int, stop: int, thread: int) -> int:
    """`batch.play_rows` on what a job says."""
    words = numba.carray(pointer(job), (JOB_WORDS,), np.int64)
    w = world_at(words[TABLE])
    shape = (len(w.episode), w.gateways.shape[1])
    play_rows(
        w,
        first,
        stop,
        numba.carray(pointer(words[ACTIONS]), shape, np.int64),
        numba.carray(pointer(words[REWARDS]), shape, np.float64),
        _outputs(words, len(w.episode), w.seen.shape, w.masks.shape, thread),
    )
    return 0


@cache
def address_of_rows(game: bool, model: str) -> int:
    """Return the address of a C function (job, first row, stop, thread), all int64, returning one.

    It takes a step in a range of rows, of the game of gateways or of single environments.
    """
    body = of_model(_play_rows if game else _step_rows, model)
    address: int = c_function(body, WORDS, error_model="numpy").address
    return address


def _begin(table: int, e: int, draft: int, unused: int) -> int:
    """`loading.load_draft`, and `loading.open_row` if there is room, on arrays at addresses.

    Without a draft, the address 0, it writes once more what the row sees.
    """
    w = world_at(table)
    if draft == 0:
        observe(w, e)
        return DONE_WELL
    done: int = load_draft(w, e, words_at(draft))
    if done == DONE_WELL:
        open_row(w, e)
    return done


def _begin_game(table: int, e: int, draft: int, unused: int) -> int:
    """`_begin` with `loading.open_game_row`."""
    w = world_at(table)
    done: int = load_draft(w, e, words_at(draft))
    if done == DONE_WELL:
        open_game_row(w, e)
    return done


def _begin_next(table: int, e: int, source: int, thread: int) -> int:
    """Begin the next episode of a row; return 0, or 1 if Python has to (`restarts.py`)."""
    words = numba.carray(pointer(source), (SOURCE_WORDS,), np.int64)
    seed = numba.carray(pointer(words[SEEDS]), (e + 1,), np.int64)[e]
    if seed < 0:
        return 1
    episodes = numba.carray(pointer(words[EPISODES]), (e + 1,), np.int64)
    draft = numba.carray(pointer(words[DRAFTS]), (thread + 1,), np.int64)[thread]
    if draw_episode_at(words[RECIPE], draft, seed, TRAIN, episodes[e]) != DONE_WELL:
        return 1
    if call(words[BEGIN], table, e, draft, 0) != DONE_WELL:
        return 1
    episodes[e] += 1
    return 0


@cache
def c_begin(game: bool, model: str) -> Any:
    """Return a C function (table, row, draft, unused), all int64, with its `address`.

    It begins an episode on a draft: `DONE_WELL`, or `NO_ROOM` in the arrays. With 0 in place of a
    draft it writes once more what the row sees.
    """
    body = of_model(_begin_game if game else _begin, model)
    return c_function(body, WORDS, error_model="numpy")


@cache
def address_of_next() -> int:
    """Return the address of a C function (table, row, source, thread), all int64, returning one.

    It begins the next episode of a row: 0, or 1 where that has to be done in Python.
    """
    address: int = c_function(_begin_next, WORDS, error_model="numpy").address
    return address
