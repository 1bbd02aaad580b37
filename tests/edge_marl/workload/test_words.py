"""Compiled words are NumPy's, to the last bit."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_marl.jit import program
from edge_marl.workload import words as w
from edge_marl.workload.words import STATE, entropy_of

fill_states, fill_words = program(w.fill_states), program(w.fill_words)


def open_streams(count: int, entropy: int, key: list[int]) -> np.ndarray:
    states = np.empty((count, STATE), dtype=np.uint64)
    fill_states(entropy_of(entropy, key), states)
    return states


def draw(state: np.ndarray, count: int) -> np.ndarray:
    words = np.empty(count, dtype=np.uint64)
    fill_words(state, words)
    return words


numbers = st.one_of(st.integers(0, 2**32), st.integers(0, 2**130))


@settings(max_examples=300, deadline=None)
@given(
    entropy=numbers,
    key=st.lists(numbers, min_size=1, max_size=5),
    parts=st.lists(st.integers(0, 40)),
)
def test_a_stream_is_numpys(entropy: int, key: list[int], parts: list[int]) -> None:
    seeds = np.random.SeedSequence(entropy=entropy, spawn_key=tuple(key))
    theirs, (ours,) = np.random.PCG64(seeds), open_streams(1, entropy, key)
    for count in parts:
        np.testing.assert_array_equal(draw(ours, count), theirs.random_raw(count))


@settings(deadline=None)
@given(entropy=numbers, key=st.lists(numbers, min_size=1, max_size=4), count=st.integers(1, 20))
def test_many_streams_go_on_from_words_of_one_seed(
    entropy: int, key: list[int], count: int
) -> None:
    seeds = np.random.SeedSequence(entropy=entropy, spawn_key=tuple(key))
    drawn = seeds.generate_state(4 * count, np.uint64).reshape(-1, 4).tolist()
    for (a, b, c, d), ours in list(zip(drawn, open_streams(count, entropy, key), strict=True))[1:]:
        theirs = np.random.PCG64()
        theirs.state = {
            "bit_generator": "PCG64",
            "state": {"state": a << 64 | b, "inc": c << 64 | d | 1},
            "has_uint32": 0,
            "uinteger": 0,
        }
        np.testing.assert_array_equal(draw(ours, 50), theirs.random_raw(50))
