import numpy as np
import pytest
from scipy import stats as scipy_stats

from edge_marl.benchmarks.stats import (
    ENTROPY,
    Estimate,
    estimate,
    improvement,
    iqm,
    mean,
    normalise,
)


def sample(runs: int, workloads: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(1.0, 0.3, (runs, workloads))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 20, 40])
def test_iqm_is_scipys_trimmed_mean(n: int) -> None:
    values = sample(1, n)[0]
    assert iqm(values) == pytest.approx(scipy_stats.trim_mean(values, 0.25), rel=1e-14)


def test_iqm_of_known_values() -> None:
    assert iqm(np.array([-100.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 900.0])) == 3.5


def test_statistics_reduce_the_last_axis_only() -> None:
    values = sample(3, 8)
    assert np.array_equal(iqm(values), [iqm(row) for row in values])
    assert mean(values).shape == (3,)


def test_interval_of_one_run_agrees_with_scipy() -> None:
    values = sample(1, 60)
    ours = estimate(values, iqm, resamples=20_000)
    theirs = scipy_stats.bootstrap(
        (values[0],),
        lambda x, axis: scipy_stats.trim_mean(x, 0.25, axis=axis),
        method="percentile",
        n_resamples=20_000,
        rng=np.random.default_rng(1),
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.04 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.04 * width)


def test_interval_of_an_additive_matrix_has_the_closed_form() -> None:
    # Entry = run effect + workload effect. Rows and columns are drawn independently, so the
    # variances of the two means add up, and the mean's distribution is close to normal.
    runs = np.random.default_rng(2).normal(0, 1, (12, 1))
    workloads = np.random.default_rng(3).normal(0, 2, (1, 30))
    found = estimate(runs + workloads, mean, resamples=20_000)
    spread = 1.96 * np.sqrt(runs.var() / 12 + workloads.var() / 30)
    assert found.value == pytest.approx(runs.mean() + workloads.mean())
    assert (found.high - found.low) / 2 == pytest.approx(spread, rel=0.03)


def test_runs_that_differ_widen_the_interval_even_on_many_workloads() -> None:
    # Resampling entries alone would give sd / sqrt(5 * 100), some ten times too narrow.
    values = np.repeat(np.arange(5.0)[:, None], 100, axis=1)
    found = estimate(values, mean)
    assert found.high - found.low > 2.0


def test_intervals_cover_the_truth() -> None:
    # 8 runs and 20 workloads, both effects large: a nominal 95 % holds in about 90 %.
    rng = np.random.default_rng(4)
    covered = 0
    for _ in range(150):
        effects = rng.standard_normal((8, 1)) + rng.standard_normal((1, 20))
        found = estimate(effects + 0.3 * rng.standard_normal((8, 20)), mean, resamples=400)
        covered += found.low <= 0 <= found.high
    assert 0.82 <= covered / 150 <= 0.98


def test_equal_data_gives_equal_bits() -> None:
    values = sample(3, 20)
    assert estimate(values, iqm) == estimate(values.copy(), iqm)
    assert estimate(values, iqm) != estimate(values, iqm, entropy=ENTROPY + 1)


def test_agents_share_the_workloads_drawn() -> None:
    # A shift by a constant shifts the interval by it: the difference has no width of its own,
    # whatever the number of runs.
    one, two = sample(1, 20), np.repeat(sample(1, 20), 4, axis=0) + 0.5
    first, second = estimate(one, mean), estimate(two, mean)
    assert second.low - first.low == pytest.approx(0.5)
    assert second.high - first.high == pytest.approx(0.5)


def test_one_value_has_an_interval_of_no_width() -> None:
    assert estimate(np.array([[2.0]])) == Estimate(2.0, 2.0, 2.0)


def test_values_without_an_aggregate_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        estimate(np.ones(3))
    with pytest.raises(ValueError, match=r"shape \(0, 4\)"):
        estimate(np.ones((0, 4)))
    with pytest.raises(ValueError, match="nan"):
        estimate(np.array([[1.0, np.nan]]))


def test_normalise_puts_random_at_0_and_the_bound_at_1() -> None:
    random, bound = np.array([10.0, 20.0]), np.array([110.0, 220.0])
    assert np.array_equal(normalise(np.stack([random, bound]), random, bound), [[0, 0], [1, 1]])
    assert normalise(np.array([[60.0, 20.0]]), random, bound).tolist() == [[0.5, 0.0]]
    with pytest.raises(ValueError, match="workload 1"):
        normalise(np.array([[60.0, 20.0]]), random, np.array([110.0, 20.0]))


def test_improvement_of_known_figures() -> None:
    low, high = sample(3, 8), sample(2, 8) + 10.0
    equal = np.ones((4, 6)), np.ones((2, 6))
    for (own, other), share in (((high, low), 1.0), ((low, high), 0.0), (equal, 0.5)):
        found = improvement(own, other)
        assert (found.value, found.low, found.high) == pytest.approx((share,) * 3)
    # One run against two on two workloads: it wins, ties, loses, wins.
    assert improvement(np.array([[2.0, 2.0]]), np.array([[1.0, 3.0], [2.0, 1.0]])).value == 0.625


def test_improvement_is_mann_whitneys_u_on_one_workload() -> None:
    own, other = sample(7, 1), sample(5, 1, seed=1)
    u = scipy_stats.mannwhitneyu(own[:, 0], other[:, 0]).statistic
    assert improvement(own, other).value == pytest.approx(u / 35)


def test_improvement_of_one_run_each_agrees_with_scipy() -> None:
    """Only workloads are drawn then: the interval of a mean of wins and losses."""
    own, other = sample(1, 80), sample(1, 80, seed=1)
    ours = improvement(own, other, resamples=20_000)
    theirs = scipy_stats.bootstrap(
        ((own > other)[0].astype(float),),
        np.mean,
        method="percentile",
        n_resamples=20_000,
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.013)


def test_improvement_needs_common_workloads() -> None:
    with pytest.raises(ValueError, match="same workloads"):
        improvement(sample(2, 3), sample(2, 4))
