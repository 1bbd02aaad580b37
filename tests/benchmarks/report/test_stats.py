import json
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize
from scipy import stats as scipy_stats

from edge_marl.benchmarks.report.columns import COLUMNS, GAME_COLUMNS, PRICE, SCORE
from edge_marl.benchmarks.report.intervals import Estimate, FloatArray, iqm, mean, one_of, student
from edge_marl.benchmarks.report.stats import (
    aggregate,
    change_error,
    curve,
    difference,
    estimate,
    estimates,
    has_scale,
    normalise,
    prices,
    probability_of_improvement,
    profile,
    ratio,
)
from edge_marl.metrics import METRICS


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


@pytest.mark.parametrize("axis", [0, 1])
def test_an_interval_of_one_run_or_one_workload_is_students(axis: int) -> None:
    values = sample(1, 7)
    found = estimate(values if axis else values.T)
    theirs = scipy_stats.ttest_1samp(values[0], 0.0).confidence_interval()
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))


@pytest.mark.parametrize("n", [5, 8, 20, 60])
def test_that_of_an_interquartile_mean_is_tukeys_and_mclaughlins(n: int) -> None:
    values = sample(1, n)
    found = estimate(values, iqm)
    theirs = scipy_stats.mstats.trimmed_mean_ci(values[0], (n // 4 / n, n // 4 / n))
    assert (found.low, found.high) == pytest.approx(tuple(theirs))


@pytest.mark.parametrize("degrees", [1.0, 1.3, 2.0, 4.7, 30.0, 99.0, 1e4])
def test_students_quantiles_are_scipys(degrees: float) -> None:
    found = student(np.array([degrees]))
    assert found == pytest.approx(scipy_stats.t.ppf(0.975, degrees), rel=1e-9)


def test_the_interval_of_crossed_effects_has_the_variance_of_their_analysis() -> None:
    # Mean squares of a two-way layout, as textbooks have them: the one of runs and the one of
    # workloads hold the rest's each, which counts once.
    runs, workloads = 4, 9
    rng = np.random.default_rng(2)
    values = rng.normal(0, 1, (runs, 1)) + rng.normal(0, 2, (1, workloads))
    values = values + rng.normal(0, 0.5, (runs, workloads))
    by_run = workloads * values.mean(axis=1).var(ddof=1)
    by_workload = runs * values.mean(axis=0).var(ddof=1)
    rest = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean()
    noise = (rest**2).sum() / ((runs - 1) * (workloads - 1))
    assert min(by_run, by_workload) > noise
    variance = by_run + by_workload - noise
    # Student's t of both, each by its share (Cochran and Cox).
    quantiles = scipy_stats.t.ppf(0.975, [runs - 1, workloads - 1])
    half = np.average(quantiles, weights=[by_run, by_workload]) * np.sqrt(variance / values.size)
    found = estimate(values)
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half))


def test_runs_and_workloads_that_vary_no_more_than_the_rest_add_nothing() -> None:
    # Every run and every workload has the same mean.
    values = np.array([[1.0, -1.0, 0.0], [-1.0, 0.0, 1.0], [0.0, 1.0, -1.0]])
    found = estimate(values)
    half = scipy_stats.t.ppf(0.975, 4) * np.sqrt(6.0 / 4 / 9)
    assert (found.low, found.high) == pytest.approx((-half, half))


def test_runs_that_differ_widen_the_interval_even_on_many_workloads() -> None:
    # As if five numbers: 0 to 4.
    values = np.repeat(np.arange(5.0)[:, None], 100, axis=1)
    assert estimate(values) == estimate(np.arange(5.0)[:, None])


def test_equal_data_gives_equal_bits() -> None:
    values = sample(3, 20)
    assert estimate(values, iqm) == estimate(values.copy(), iqm)
    assert estimate(values, iqm) == one_of(estimates(values[None], iqm))


def test_copies_of_a_run_that_depends_on_no_seed_change_nothing() -> None:
    one = sample(1, 20)
    found, copied = estimate(one), estimate(np.repeat(one, 4, axis=0))
    assert (copied.low, copied.high) == pytest.approx((found.low, found.high))


def test_two_runs_or_two_workloads_have_a_finite_interval() -> None:
    found = estimate(sample(2, 2))
    assert np.isfinite([found.low, found.high]).all()
    assert found.low < found.value < found.high


def test_one_value_has_an_interval_of_no_width() -> None:
    assert estimate(np.array([[2.0]])) == Estimate(2.0, 2.0, 2.0)
    assert estimate(np.full((3, 4), 2.0), iqm) == Estimate(2.0, 2.0, 2.0)


def test_an_interval_goes_no_further_than_its_metric_can() -> None:
    lost = next(column for column in COLUMNS if column.name == "lost_fraction")
    few = np.array([[0.0, 0.0, 0.3]])
    assert estimate(few).low < 0.0
    assert (lost.estimate(few).value, lost.estimate(few).low) == (few.mean(), 0.0)
    assert lost.estimate(1.0 - few).high == 1.0
    utility = next(column for column in COLUMNS if column.name == "utility_per_task")
    assert utility.estimate(few) == estimate(few)


def test_the_limits_of_columns_are_those_of_their_metrics() -> None:
    for column in COLUMNS + GAME_COLUMNS:
        if column.name not in (SCORE, PRICE):
            assert column.limits == METRICS[column.name].limits


def test_the_price_of_decentralisation_is_the_share_that_is_missing() -> None:
    reference = np.array([1.0, 2.0, 3.0])
    assert prices(reference[None], reference).tolist() == [[0.0, 0.0, 0.0]]
    half = prices(np.array([[0.0, 1.0, 2.0]]), reference)
    assert half.mean() == 0.5
    assert estimate(half).low == estimate(half).high  # paired: 1 less on each
    assert prices(np.array([[2.0, 3.0, 4.0]]), reference).mean() == -0.5
    assert prices(reference[None], np.array([0.0, 1.0, -1.0])).size == 0


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


def test_anchors_that_agree_to_within_rounding_span_no_scale() -> None:
    random = np.array([1.666667, 2.0, 2e6, 10.0, -5.0])
    bound = np.array([1.666668, 2.000002, 2e6 + 1.0, 9.0, -4.9])
    assert has_scale(random, bound).tolist() == [False, False, False, False, True]


def test_a_difference_on_common_workloads_has_no_width_of_theirs() -> None:
    busy = sample(1, 20)
    found = difference(busy + 0.5, busy)
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))
    # Of runs it has: Welch's.
    first, second = sample(6, 1, 1), 3.0 * sample(4, 1, 2)
    theirs = scipy_stats.ttest_ind(first[:, 0], second[:, 0], equal_var=False)
    interval = theirs.confidence_interval()
    first, second = first + busy, second + busy
    found = difference(first, second)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    with pytest.raises(ValueError, match="19 and 20 workloads"):
        difference(first[:, 1:], second)


def test_a_ratio_on_common_workloads_has_no_width_of_theirs() -> None:
    busy = sample(1, 20)
    found = ratio(1.304 * busy, busy)
    assert (found.value, found.low, found.high) == pytest.approx((1.304, 1.304, 1.304))
    # Where only the first's runs vary, theirs.
    runs = np.repeat(sample(12, 1, 1), 20, axis=1)
    found, alone = ratio(runs, np.full((1, 20), 2.0)), estimate(runs)
    assert (found.low, found.high) == pytest.approx((alone.low / 2.0, alone.high / 2.0))
    with pytest.raises(ValueError, match=r"mean of -0\.5"):
        ratio(busy, np.full((1, 20), -0.5))


def test_probability_of_improvement_is_the_mann_whitney_statistic() -> None:
    first, second = sample(6, 9, 1).round(1), sample(4, 9, 2).round(1)  # with ties
    u = [scipy_stats.mannwhitneyu(first[:, k], second[:, k]).statistic for k in range(9)]
    found = probability_of_improvement(first, second)
    assert found.value == pytest.approx(np.mean(u) / 24)
    assert found.low < found.value < found.high
    back = probability_of_improvement(second, first)
    assert (back.low, back.high) == pytest.approx((1 - found.high, 1 - found.low))
    assert probability_of_improvement(first, first).value == 0.5
    assert probability_of_improvement(first + 9, second) == Estimate(1.0, 1.0, 1.0)


def test_the_interval_of_a_probability_of_improvement_is_brunners_and_munzels() -> None:
    # One workload: two independent samples. Theirs is a test of 1/2, which tells its error.
    first, second = sample(9, 1, 1), sample(7, 1, 2) - 0.1
    found = probability_of_improvement(first, second)
    theirs = scipy_stats.brunnermunzel(second[:, 0], first[:, 0])
    error = (found.value - 0.5) / theirs.statistic
    degrees = optimize.brentq(
        lambda d: 2.0 * scipy_stats.t.sf(abs(theirs.statistic), d) - theirs.pvalue, 1.0, 100.0
    )
    half = scipy_stats.t.ppf(0.975, degrees) * abs(error)
    ends = found.value - half, min(found.value + half, 1.0)
    assert (found.low, found.high) == pytest.approx(ends)


def test_a_profile_is_the_share_above_with_the_width_of_a_share() -> None:
    values, at = sample(1, 200), np.array([-9.0, 1.0, 1.3, 9.0])
    found = profile(values, at)
    assert found.values == pytest.approx([(values > t).mean() for t in at])
    for i in (1, 2):
        alone = estimate((values > at[i]).astype(float))
        assert (found.low[i], found.high[i]) == pytest.approx((alone.low, alone.high))
    assert (found.low[[0, 3]] == found.high[[0, 3]]).all()


def test_a_profile_is_a_share() -> None:
    found = profile(np.array([[0.0, 0.0, 0.0, 1.0]]), np.array([0.5, -0.5]))
    assert found.low.tolist() == [0.0, 1.0]
    assert (found.high <= 1.0).all()


def test_a_curve_is_the_estimate_over_runs_at_each_point() -> None:
    values = sample(9, 4)
    found = curve(values)
    for point in range(4):
        at = found.values[point], found.low[point], found.high[point]
        assert Estimate(*map(float, at)) == estimate(values[:, [point]], iqm)


def over(values: list[np.ndarray], trained: list[str] | None = None) -> Estimate:
    names = [f"s{i}" for i in range(len(values))]
    return aggregate(values, scenarios=names, trained=trained or names)


def test_an_aggregate_of_additive_scenarios_has_the_closed_form() -> None:
    # Of two scenarios with one run each, the mean: variances over workloads add up.
    first, second = sample(1, 300, 1), sample(1, 200, 2) + 5.0
    found = over([first, second])
    spread = 1.97 * np.sqrt(first.var() / 300 + second.var() / 200) / 2
    assert found.value == pytest.approx((first.mean() + second.mean()) / 2)
    assert (found.high - found.low) / 2 == pytest.approx(spread, rel=0.01)


def test_an_aggregate_gives_a_workload_no_weight_beyond_its_scenario() -> None:
    # The outer quarters of runs and scenarios are cut, not those of workloads.
    scenarios = [np.full((2, n), level) for n, level in ((100, -9.0), (1, 0.2), (7, 0.4), (3, 9.0))]
    found = over(scenarios)
    assert (found.value, found.low, found.high) == pytest.approx((0.3, 0.3, 0.3))


def test_runs_that_are_the_same_everywhere_are_drawn_together() -> None:
    runs = sample(6, 1)
    apart, together = over([runs] * 4), over([runs] * 4, ["home"] * 4)
    assert apart.value == together.value
    # The mean of four independent draws of runs is half as wide as one of them.
    assert together.high - together.low > 1.5 * (apart.high - apart.low)


def test_an_aggregate_needs_as_many_runs_everywhere() -> None:
    with pytest.raises(ValueError, match=r"\[2, 3\] runs"):
        over([sample(2, 4), sample(3, 4)])


def test_the_figures_are_rliables_on_the_same_matrices() -> None:
    """Golden figures of rliable 1.2.0, made once in a virtual environment of its own.

    `pip install rliable==1.2.0 'pandas<3'`, then with the two matrices of the file as `a` and `b`
    (runs x tasks): `metrics.aggregate_iqm(a)`, `metrics.probability_of_improvement(a, b)`,
    `library.create_performance_profile({"a": a}, thresholds)`, and of one column, of 48 and of 40
    runs, `library.get_interval_estimates` of `aggregate_iqm` (20,000 resamples) and
    `probability_of_improvement` (4,000). Its intervals are percentiles of a bootstrap, which agree
    with ours where runs are many.
    """
    golden = json.loads((Path(__file__).parents[2] / "golden" / "rliable.json").read_text())
    first, second = np.array(golden["first"]), np.array(golden["second"])
    assert [float(iqm(x.ravel())) for x in (first, second)] == pytest.approx(golden["iqm"])
    found = probability_of_improvement(first, second)
    assert found.value == pytest.approx(golden["probability_of_improvement"])
    for values, theirs in zip((first, second), golden["profiles"], strict=True):
        assert profile(values, np.array(golden["thresholds"])).values == pytest.approx(theirs)
    column, other = first.reshape(-1, 1), second.reshape(-1, 1)
    agrees(estimate(column, iqm), golden["iqm_interval_of_one_column"])
    agrees(probability_of_improvement(column, other), golden["improvement_interval_of_one_column"])
    # With six and five runs they are narrower.
    for values, theirs in zip((first, second), golden["iqm_intervals"], strict=True):
        tasks = [f"task {i}" for i in range(values.shape[1])]
        ours = aggregate(list(values.T[:, :, None]), scenarios=tasks, trained=tasks)
        assert theirs[1] - theirs[0] < ours.high - ours.low
        agrees(ours, theirs, 0.2)


def agrees(ours: Estimate, theirs: list[float], share: float = 0.05) -> None:
    assert [ours.low, ours.high] == pytest.approx(theirs, abs=share * (theirs[1] - theirs[0]))


def test_the_error_of_a_change_is_that_of_many_draws() -> None:
    """The same runs elsewhere: how good they are cancels out."""
    rng = np.random.Generator(np.random.PCG64(5))

    def matrix(runs: FloatArray) -> FloatArray:
        values: FloatArray = runs[:, None] + rng.normal(size=100)
        return values

    errors: list[float] = []
    gaps: list[float] = []
    for _ in range(200):
        runs = rng.normal(size=10)
        known, fresh = matrix(runs), matrix(runs)
        gaps.append(known.mean() - fresh.mean())
        if len(errors) < 10:
            errors.append(change_error(known, fresh, mean))
    assert np.mean(errors) == pytest.approx(np.std(gaps), rel=0.15)
