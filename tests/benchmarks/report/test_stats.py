import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats as scipy_stats

from edge_marl.benchmarks.report import bootstrap
from edge_marl.benchmarks.report.bootstrap import ENTROPY, Estimate, iqm, mean
from edge_marl.benchmarks.report.stats import (
    aggregate,
    curve,
    difference,
    estimate,
    normalise,
    probability_of_improvement,
    profile,
    ratio,
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


@pytest.mark.parametrize("statistic", [mean, iqm])
@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (4, 7), (9, 60)])  # of one and of many blocks
def test_weighted_resamples_are_the_statistic_of_drawn_matrices(
    statistic: Any, shape: tuple[int, int]
) -> None:
    values = sample(*shape).round(2)  # with ties
    rows, columns = (bootstrap.draw_counts(n, 50, 1, "x") for n in values.shape)
    resampled = bootstrap.drawn_iqms if statistic is iqm else bootstrap.drawn_means
    found = resampled(values, rows, columns)
    for b in range(50):
        i, j = (np.repeat(np.arange(len(c[b])), c[b].astype(int)) for c in (rows, columns))
        assert found[b] == pytest.approx(statistic(values[np.ix_(i, j)].ravel()), rel=1e-12)


def test_a_profile_is_that_of_drawn_matrices() -> None:
    values, at = sample(9, 60).round(2), np.linspace(0.2, 1.8, 9)
    rows, columns = (
        bootstrap.draw_counts(9, 2000, ENTROPY, "runs", "a", "s"),
        bootstrap.draw_counts(60, 2000, ENTROPY, "workloads", "s"),
    )
    weight = rows[:, :, None] * columns[:, None]
    drawn = np.stack([(weight * (values > t)).sum(axis=(1, 2)) for t in at], axis=1) / values.size
    found = profile(values, at, agent="a", scenario="s")
    assert found.low == pytest.approx(np.quantile(drawn, 0.025, axis=0))
    assert found.high == pytest.approx(np.quantile(drawn, 0.975, axis=0))


def test_draws_are_uniform_and_streams_are_apart() -> None:
    counts = bootstrap.draw_counts(5, 4000, 1, "runs", "a")
    assert (counts.sum(axis=1) == 5).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(5), abs=0.06)
    other = bootstrap.draw_counts(5, 4000, 1, "runs", "b")
    assert abs(np.corrcoef(counts[:, 0], other[:, 0])[0, 1]) < 0.06


def test_a_difference_on_common_workloads_has_no_width_of_theirs() -> None:
    busy = sample(1, 20)
    found = difference(busy + 0.5, busy)
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))
    # Of runs it has: their variances add up, close to a normal law.
    first, second = (np.repeat(sample(12, 1, seed), 20, axis=1) for seed in (1, 2))
    found = difference(first + busy, second + busy, resamples=20_000)
    spread = 1.96 * np.sqrt((first[:, 0].var() + second[:, 0].var()) / 12)
    assert (found.high - found.low) / 2 == pytest.approx(spread, rel=0.03)
    with pytest.raises(ValueError, match="19 and 20 workloads"):
        difference(first[:, 1:], second)


def test_a_ratio_on_common_workloads_has_no_width_of_theirs() -> None:
    busy = sample(1, 20)
    found = ratio(1.304 * busy, busy)
    assert (found.value, found.low, found.high) == pytest.approx((1.304, 1.304, 1.304))
    # Close to a normal law by the delta method, where only the first's runs vary.
    runs = np.repeat(sample(12, 1, 1), 20, axis=1)
    found = ratio(runs, np.full((1, 20), 2.0), resamples=20_000)
    spread = 1.96 * runs[:, 0].std() / np.sqrt(12) / 2.0
    assert (found.high - found.low) / 2 == pytest.approx(spread, rel=0.03)
    with pytest.raises(ValueError, match=r"mean of -0\.5"):
        ratio(busy, np.full((1, 20), -0.5))


def test_probability_of_improvement_is_the_mann_whitney_statistic() -> None:
    first, second = sample(6, 9, 1).round(1), sample(4, 9, 2).round(1)  # with ties
    u = [scipy_stats.mannwhitneyu(first[:, k], second[:, k]).statistic for k in range(9)]
    found = probability_of_improvement(first, second)
    assert found.value == pytest.approx(np.mean(u) / 24)
    assert found.low < found.value < found.high
    back = probability_of_improvement(second, first, agents=("second", "first"))
    assert (back.low, back.high) == pytest.approx((1 - found.high, 1 - found.low))
    assert probability_of_improvement(first, first).value == 0.5
    assert probability_of_improvement(first + 9, second) == Estimate(1.0, 1.0, 1.0)


def test_the_interval_of_a_probability_of_improvement_agrees_with_scipy() -> None:
    # One workload: two independent samples.
    first, second = sample(30, 1, 1), sample(25, 1, 2) - 0.1
    ours = probability_of_improvement(first, second, resamples=10_000)

    def above(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
        return np.asarray((x[..., :, None] > y[..., None, :]).mean(axis=(-2, -1)))

    theirs = scipy_stats.bootstrap(
        (first[:, 0], second[:, 0]), above, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.04 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.04 * width)


def test_a_profile_is_the_share_above_with_a_binomial_width() -> None:
    values, at = sample(1, 200), np.array([-9.0, 1.0, 1.3, 9.0])
    found = profile(values, at, resamples=10_000)
    assert found.values == pytest.approx([(values > t).mean() for t in at])
    p = found.values[1:3]
    spread = 1.96 * np.sqrt(p * (1 - p) / 200)
    assert (found.high - found.low)[1:3] / 2 == pytest.approx(spread, rel=0.05)
    assert (found.low[[0, 3]] == found.high[[0, 3]]).all()


def test_a_curve_is_the_estimate_over_runs_at_each_point() -> None:
    values = sample(9, 4)
    found = curve(values, agent="a", scenario="s", resamples=3000)
    for point in range(4):
        alone = estimate(values[:, [point]], iqm, agent="a", scenario="s", resamples=3000)
        at = found.values[point], found.low[point], found.high[point]
        assert Estimate(*map(float, at)) == alone


def over(values: list[np.ndarray], trained: list[str] | None = None) -> Estimate:
    names = [f"s{i}" for i in range(len(values))]
    return aggregate(values, scenarios=names, trained=trained or names)


def test_an_aggregate_of_additive_scenarios_has_the_closed_form() -> None:
    # Of two scenarios with one run each, the mean: variances over workloads add up.
    first, second = sample(1, 300, 1), sample(1, 200, 2) + 5.0
    found = over([first, second])
    spread = 1.96 * np.sqrt(first.var() / 300 + second.var() / 200) / 2
    assert found.value == pytest.approx((first.mean() + second.mean()) / 2)
    assert (found.high - found.low) / 2 == pytest.approx(spread, rel=0.04)


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
    `library.create_performance_profile({"a": a}, thresholds)`, and of one column, where its
    resampling of runs within tasks is ours, `library.get_interval_estimates` of `aggregate_iqm`
    (20,000 resamples) and `probability_of_improvement` (4,000); of the matrices as they are, the
    interval of `aggregate_iqm` again. It draws from NumPy's global generator whatever
    `random_state` it is given: intervals agree to their noise.
    """
    golden = json.loads((Path(__file__).parents[2] / "golden" / "rliable.json").read_text())
    first, second = np.array(golden["first"]), np.array(golden["second"])
    assert [float(iqm(x.ravel())) for x in (first, second)] == pytest.approx(golden["iqm"])
    found = probability_of_improvement(first, second)
    assert found.value == pytest.approx(golden["probability_of_improvement"])
    for values, theirs in zip((first, second), golden["profiles"], strict=True):
        assert profile(values, np.array(golden["thresholds"])).values == pytest.approx(theirs)
    for values, theirs in zip((first, second), golden["iqm_intervals"], strict=True):
        tasks = [f"task {i}" for i in range(values.shape[1])]
        agrees(aggregate(list(values.T[:, :, None]), scenarios=tasks, trained=tasks), theirs)
    column, other = first.reshape(-1, 1), second.reshape(-1, 1)
    ours = estimate(column, iqm, resamples=20_000)
    agrees(ours, golden["iqm_interval_of_one_column"])
    agrees(
        probability_of_improvement(column, other, resamples=10_000),
        golden["improvement_interval_of_one_column"],
    )


def agrees(ours: Estimate, theirs: list[float]) -> None:
    assert [ours.low, ours.high] == pytest.approx(theirs, abs=0.05 * (theirs[1] - theirs[0]))
