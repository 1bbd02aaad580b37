"""Functions of + - * / program against the C library's."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from edge_marl.jit import program
from edge_marl.workload import functions

cosine, exponential, logarithm = map(
    program, (functions.cosine, functions.exponential, functions.logarithm)
)

RNG = np.random.default_rng(0)
UNIFORM = (RNG.integers(0, 2**53, 20_000) + 1) / 2.0**53
ENDS = np.array([2.0**-53, 2.0**-52, 0.25, 0.5, math.sqrt(0.5), 1 - 2.0**-53, 1.0])


@pytest.mark.parametrize(
    ("ours", "theirs", "values"),
    [
        (logarithm, math.log, np.concatenate([UNIFORM, ENDS, [1e-300, 2.0, 1e9]])),
        (exponential, math.exp, np.concatenate([100 * UNIFORM - 57, -690 * UNIFORM, [0.0]])),
        (cosine, math.cos, 2 * math.pi * np.concatenate([UNIFORM, ENDS, [0.0, 0.75]])),
    ],
)
def test_functions_are_right_but_for_the_last_bit(
    ours: Callable[[float], float], theirs: Callable[[float], float], values: np.ndarray
) -> None:
    for value in values.tolist():
        expected = theirs(value)
        assert abs(ours(value) - expected) <= 2 * math.ulp(expected) + 2.0**-100, value


def test_what_is_too_small_to_count_is_nearly_zero() -> None:
    assert 0.0 <= exponential(-4000.0) < 1e-300
