"""Laws made of random words: what is drawn has the stated distribution, at fixed seeds."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from edge_marl import load_scenario
from edge_marl.jit import program
from edge_marl.workload import arrivals, called, sampling
from edge_marl.workload import words as w
from edge_marl.workload.recipe import recipe_of
from edge_marl.workload.sampling import Streams, evenly, limits, ranks

fill_times, open_streams, fill_words = map(
    program, (arrivals.fill_times, called.open_streams, w.fill_words)
)
choose, fraction, words_per_gap = map(
    program, (sampling.choose, sampling.fraction, sampling.words_per_gap)
)
fill_gaps, fill_load_times, fill_logs = map(
    program, (sampling.fill_gaps, sampling.fill_load_times, sampling.fill_logs)
)

LEAST = 0.001
"""p-value below which a law is taken to be another one."""


def words(count: int, seed: int = 0) -> np.ndarray:
    return Streams(seed, 0, 0).words((count,), 0)


def chosen(drawn: np.ndarray, begins: np.ndarray) -> np.ndarray:
    return np.array([choose(word, begins) for word in drawn])


def logs_of(drawn: np.ndarray) -> np.ndarray:
    logs = np.empty(len(drawn))
    fill_logs(logs, drawn)
    return logs


def gaps(shape: float, count: int, seed: int = 0) -> np.ndarray:
    drawn = np.empty(count)
    per_gap = words_per_gap(shape)
    return drawn[: fill_gaps(drawn, words(per_gap * count, seed), shape, False)]


def test_choices_have_their_weights() -> None:
    weights = (1.0, 0.25, 3.0, 1e-3)
    counts = np.bincount(chosen(words(400_000), limits(weights)), minlength=4)
    expected = 400_000 * np.array(weights) / sum(weights)
    assert stats.chisquare(counts, expected).pvalue > LEAST
    even = np.bincount(evenly(words(400_000), 7), minlength=7)
    assert stats.chisquare(even).pvalue > LEAST


def test_first_and_last_word_are_choices_too() -> None:
    ends = np.array([0, 2**64 - 1], dtype=np.uint64)
    assert chosen(ends, limits((0.1, 0.2, 0.7))).tolist() == [0, 2]
    assert evenly(ends, 3).tolist() == [0, 2]
    assert [fraction(word) for word in ends] == [0.0, 1 - 2.0**-53]
    assert np.isfinite(logs_of(ends)).all()


@pytest.mark.parametrize("count", [1, 2, 3, 7, 15, 1000])
def test_equal_weights_are_the_even_choice_bit_for_bit(count: int) -> None:
    """So a part that weighs choices, when its weights are equal, changes no draw."""
    drawn = words(5000)
    # And the words at and just before the limits, where a rounding would show.
    edges = [math.ceil(2**32 * k / count) for k in range(1, count)]
    near = [(edge + step) << 32 for edge in edges for step in (-1, 0)]
    drawn = np.concatenate([drawn, np.array(near, dtype=np.uint64)])
    np.testing.assert_array_equal(chosen(drawn, limits((2.5,) * count)), evenly(drawn, count))


def test_exponential_times() -> None:
    assert stats.kstest(logs_of(words(50_000)), stats.expon.cdf).pvalue > LEAST
    drawn = gaps(1.0, 50_000)
    assert stats.kstest(drawn, stats.expon.cdf).pvalue > LEAST
    np.testing.assert_array_equal(drawn * 2**20, np.rint(drawn * 2**20))


@pytest.mark.parametrize("cv", [0.1, 0.5, 0.9, 1.0, 1.2, 2.0, 5.0, 10.0])
def test_gaps_are_gamma_of_mean_one(cv: float) -> None:
    shape = 1 / cv**2
    drawn = gaps(shape, 60_000)[1:]
    law = stats.gamma(shape, scale=1 / shape)
    # Bins, since a gap below 2^-20 may be none: those are one bin.
    inner = law.ppf(np.linspace(0, 1, 41)[1:-1])
    inner = inner[inner > 1e-3 / shape]
    edges = np.concatenate([[0], inner, [np.inf]])
    counts = np.histogram(drawn, edges)[0]
    assert stats.chisquare(counts, len(drawn) * np.diff(law.cdf(edges))).pvalue > LEAST
    assert drawn.mean() == pytest.approx(1, abs=4 * cv / len(drawn) ** 0.5)
    assert drawn.std() == pytest.approx(cv, rel=0.1)


@pytest.mark.parametrize("cv", [0.3, 1.0, 3.0])
def test_gaps_in_two_goes_are_those_of_one(cv: float) -> None:
    shape, half = 1 / cv**2, 500
    whole = gaps(shape, 2 * half)
    both = words(words_per_gap(shape) * 2 * half)
    drawn = np.empty(2 * half)
    known = fill_gaps(drawn, both[: len(both) // 2], shape, False)
    known += fill_gaps(drawn[known:], both[len(both) // 2 :], shape, True)
    np.testing.assert_array_equal(drawn[:known], whole)


@pytest.mark.parametrize("cv", [0.3, 1.0, 3.0])
def test_first_gap_is_that_of_a_process_under_way(cv: float) -> None:
    """Its density is the survival function of a gap, whose mean is 1."""
    shape = 1 / cv**2
    first = np.array([gaps(shape, 8, seed)[0] for seed in range(2000)])
    law = stats.gamma(shape, scale=1 / shape)
    points = np.linspace(0, 40, 200_001)
    below = integrate.cumulative_trapezoid(law.sf(points), points, initial=0)
    assert stats.kstest(first, lambda x: np.interp(x, points, below)).pvalue > LEAST


def test_points_follow_a_rate_that_changes() -> None:
    """Gaps of 1 at rates 0.1, 0, 0.5 and 0.05 per ms, doubled from 40 ms to 60 ms."""
    times = np.empty(30, dtype=np.int64)
    edges = np.array([0, 20, 30, 50, 100])
    rates = np.array([0.1, 0.0, 0.5, 0.05])
    count = fill_times(times, np.ones(30), edges, rates, np.array([40, 60]), np.array([1.0, 2.0]))
    # Own time: 2 at 20 and 30 ms, 7 at 40, 17 at 50, 18 at 60, 20 at 100 (the horizon: outside).
    assert times[:count].tolist() == [10, *range(30, 40, 2), *range(40, 50), 50, 60, 80]


def test_points_need_gaps_enough() -> None:
    times = np.empty(3, dtype=np.int64)
    edges, rates = np.array([0, 1000]), np.array([0.01])
    nothing = np.zeros(0, dtype=np.int64)
    assert fill_times(times, np.full(3, 4.0), edges, rates, nothing, np.ones(2)) == 2
    assert fill_times(times, np.full(3, 3.0), edges, rates, nothing, np.ones(2)) == 3
    assert fill_times(times, np.zeros(0), edges, rates, nothing, np.ones(2)) == 0


def test_load_times_are_lognormal_in_modes() -> None:
    times = np.empty(40_000, dtype=np.int64)
    drawn = words(120_000)
    fill_load_times(
        times, drawn, 3, limits((36, 64)), np.array([2960.0, 31000.0]), np.array([0.33, 0.32])
    )
    low, high = (stats.lognorm(sd, scale=m) for m, sd in ((2960, 0.33), (31000, 0.32)))
    mixed = stats.kstest(times, lambda x: 0.36 * low.cdf(x) + 0.64 * high.cdf(x))
    assert mixed.pvalue > LEAST
    fast = chosen(drawn[::3], limits((36, 64))) == 0
    assert stats.kstest(times[fast], low.cdf).pvalue > LEAST


def test_load_times_stay_in_range() -> None:
    times = np.empty(2000, dtype=np.int64)
    drawn = words(6000)
    for median in (1.0, 1e9):
        fill_load_times(times, drawn, 3, limits((1,)), np.array([median]), np.array([5.0]))
        assert times.min() >= 1
        assert times.max() <= 2**39


def test_ranks_are_those_of_zipf() -> None:
    np.testing.assert_allclose(ranks(1.43, 50) / 2**20, np.arange(1, 51) ** -1.43, rtol=1e-3)
    assert (ranks(0.0, 9) == 2**20).all()
    assert ranks(10.0, 99).min() == 1


def test_streams_are_apart() -> None:
    """Names, indices, seeds, splits and episodes each give other words; the same, the same."""
    one, recipe = Streams(0, 0, 0), recipe_of(load_scenario("smoke")).words

    def many(count: int) -> list[bytes]:
        drawn = np.empty((count, 4), dtype=np.uint64)
        states = open_streams(recipe, one.entropy, np.uint32(1), 1 + count)
        for state, own in zip(states[1:], drawn, strict=True):
            fill_words(state, own)
        return [own.tobytes() for own in drawn]

    names = [(0,), (1,), (1, 0), (1, 1), (7, 2)]
    drawn = [one.words((4,), *name).tobytes() for name in names]
    drawn += [Streams(*key).words((4,), 0).tobytes() for key in ((1, 0, 0), (0, 1, 0), (0, 0, 1))]
    drawn += many(3)
    assert len(set(drawn)) == len(drawn)
    assert one.words((4,), 7, 2).tobytes() == drawn[4]
    assert many(5)[:3] == drawn[-3:]
