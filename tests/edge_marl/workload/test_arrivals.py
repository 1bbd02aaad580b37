"""Arrivals of gateways with processes of their own, against the laws that the scenario states."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from edge_marl import draw_workload
from edge_marl.kernel.world import ARRIVAL, GATEWAY
from edge_marl.scenario import Scenario
from edge_marl.workload.arrivals import has_processes
from edge_marl.workload.sampling import HOT_SPOT_STREAM, Streams
from tests.edge_marl.workload.pieces import (
    draw_arrivals,
    draw_bursts,
    draw_gateway_places,
    draw_places,
    draw_rates,
)
from tests.worlds.every_part import OFF, PLAIN, world

LEAST = 0.001
ONE = {"count": 1, "neighbourhood": OFF, "zipf": OFF}


def arrivals_of(scenario: Scenario, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    return draw_arrivals(scenario, Streams(seed, 0, 0))


def with_arrivals(gateways: dict[str, Any], **changes: Any) -> Scenario:
    return world(arrivals=PLAIN | changes, gateways=gateways)


def test_own_time_has_gamma_gaps_with_every_part_on() -> None:
    """Times are mapped back by the rates and spells, integrated here, one gateway at a time."""
    scenario = world(
        arrivals={"gap_cv": 0.5, "rate_per_s": 10.0, "horizon_s": 4000.0, "day_s": 1500}
    )
    law = scenario.arrivals
    streams = Streams(0, 0, 0)
    edges, rates = draw_rates(scenario, streams)
    switches, factors = draw_bursts(scenario, streams)
    times, gateways = arrivals_of(scenario)
    gaps = []
    for g in range(6):
        knots = np.unique(np.concatenate([edges, switches[g][switches[g] < law.horizon_ms]]))
        rate = rates[g][np.searchsorted(edges, knots[:-1], "right") - 1]
        rate = rate * factors[g][np.searchsorted(switches[g], knots[:-1], "right") % 2]
        own = np.concatenate([[0], np.cumsum(rate * np.diff(knots))])
        here = times[gateways == g]
        # The middle of the millisecond that each was cut down to.
        gaps.append(np.diff(np.interp(here + 0.5, knots, own)))
        assert len(here) == pytest.approx(own[-1], abs=4 * 0.5 * own[-1] ** 0.5)
    every = np.concatenate(gaps)
    assert len(every) > 30_000
    assert stats.kstest(every, stats.gamma(4, scale=0.25).cdf).pvalue > LEAST


@pytest.mark.parametrize("cv", [0.2, 1.0, 3.0, 8.0])
def test_mean_rate_is_the_stated_one_from_the_start(cv: float) -> None:
    """Also in the first tenth: a process that began at 0 would have (cv^2 - 1) / 2 more."""
    scenario = with_arrivals(ONE, gap_cv=cv, rate_per_s=0.1, horizon_s=1000.0, daily=[1, 1.000001])
    counts = np.array(
        [[(t < 100_000).sum(), len(t)] for t in (arrivals_of(scenario, k)[0] for k in range(1500))]
    )
    for column, expected in enumerate((10, 100)):
        error = counts[:, column].std() / len(counts) ** 0.5
        assert counts[:, column].mean() == pytest.approx(expected, abs=4 * error)
    if cv < 5:  # for large CV the count of 100 gaps is not near its limit
        index = counts[:, 1].var() / counts[:, 1].mean()
        assert index == pytest.approx(cv**2, rel=0.25)


def test_poisson_gateways_are_poisson() -> None:
    scenario = with_arrivals({"count": 3, "zipf": 1.0, "neighbourhood": OFF}, rate_per_s=5.0)
    times, gateways = arrivals_of(scenario)
    for g in range(3):
        gaps = np.diff(times[gateways == g])
        assert stats.kstest(gaps / gaps.mean(), stats.expon.cdf).pvalue > LEAST


def test_spells_are_exponential_and_start_in_the_stationary_law() -> None:
    scenario = with_arrivals(
        {"count": 2000, "neighbourhood": OFF, "zipf": OFF},
        bursts={"ratio": 20, "quiet_s": 300, "busy_s": 100},
        horizon_s=20_000.0,
    )
    switches, factors = draw_bursts(scenario, Streams(0, 0, 0))
    low = 400 / (300 + 20 * 100)
    busy_first = factors[:, 0] > factors[:, 1]
    np.testing.assert_allclose(np.sort(factors, axis=1), [[low, 20 * low]] * 2000, rtol=1e-12)
    assert stats.binomtest(int(busy_first.sum()), 2000, 0.25).pvalue > LEAST
    spells = np.diff(switches, axis=1, prepend=0)
    is_busy = (np.arange(spells.shape[1]) % 2 == 0) == busy_first[:, None]
    for mean, kind in ((100_000, is_busy), (300_000, ~is_busy)):
        sample = spells[:, :10][kind[:, :10]]
        assert stats.kstest(sample, stats.expon(scale=mean).cdf).pvalue > LEAST
    assert (switches[:, -1] >= 20_000_000).all()


def test_bursts_keep_the_mean_rate_and_have_their_ratio() -> None:
    bursts = {"ratio": 20, "quiet_s": 300, "busy_s": 100}
    gateways = {"count": 200, "neighbourhood": OFF, "zipf": OFF}
    scenario = with_arrivals(gateways, bursts=bursts, rate_per_s=40.0, horizon_s=2000.0)
    times, at = arrivals_of(scenario)
    switches, factors = draw_bursts(scenario, Streams(0, 0, 0))
    spell = np.array(
        [np.searchsorted(switches[g], t, "right") for t, g in zip(times, at, strict=True)]
    )
    busy = factors[at, spell % 2] > 1
    time_busy = 0
    for g in range(200):
        ends = np.minimum(switches[g], 2_000_000)
        lengths = np.diff(ends, prepend=0)
        time_busy += lengths[factors[g][np.arange(len(lengths)) % 2] > 1].sum()
    high, low = busy.sum() / time_busy, (~busy).sum() / (200 * 2_000_000 - time_busy)
    assert high / low == pytest.approx(20, rel=0.05)
    # Means over gateways and over time agree: 1 within the spells that were drawn.
    expected = 40_000 / 200 / 1000 * (time_busy * 20 + (200 * 2_000_000 - time_busy))
    expected *= 400 / (300 + 2000) / 1000
    assert len(times) == pytest.approx(expected, abs=4 * expected**0.5)


def test_day_has_its_profile_and_repeats() -> None:
    weights = [0.0, 1.0, 4.0, 2.0, 1.0]
    scenario = with_arrivals(
        {"count": 2, "neighbourhood": OFF, "zipf": OFF},
        daily=weights,
        day_s=500,
        rate_per_s=10.0,
        horizon_s=3000.0,
    )
    times, _ = arrivals_of(scenario)
    counts = np.bincount(times % 500_000 // 100_000, minlength=5)
    assert counts[0] == 0
    assert stats.chisquare(
        counts[1:], 30_000 * np.array(weights[1:]) / 8, sum_check=False
    ).pvalue > (LEAST)
    days = np.bincount(times // 500_000, minlength=6)
    assert stats.chisquare(days).pvalue > LEAST
    inside = times[times % 500_000 // 100_000 == 2] % 100_000
    assert stats.kstest(inside, stats.uniform(0, 100_000).cdf).pvalue > LEAST


def test_parts_of_a_day_need_not_divide_it() -> None:
    scenario = with_arrivals(ONE, daily=[1, 2, 3], day_s=0.01, rate_per_s=900.0, horizon_s=30.0)
    edges, rates = draw_rates(scenario, Streams(0, 0, 0))
    assert edges[:7].tolist() == [0, 3, 6, 10, 13, 16, 20]
    np.testing.assert_allclose(rates[0, :3], [0.45, 0.9, 1.35])


def test_hot_spots_are_near_their_places_and_move() -> None:
    gateways = {"count": 40, "neighbourhood": OFF, "zipf": 0.5, "area_km": [8, 4]}
    hot = {"count": 2, "gateways": 6, "ratio": 5, "period_s": 100}
    scenario = with_arrivals(gateways, hot_spots=hot, rate_per_s=2.0, horizon_s=1000.0)
    streams = Streams(3, 0, 0)
    edges, rates = draw_rates(scenario, streams)
    assert edges.tolist() == list(range(0, 1_000_001, 100_000))
    np.testing.assert_allclose(rates.sum(axis=0), 0.002, rtol=1e-12)
    places = draw_gateway_places(scenario, streams).tolist()
    spots = draw_places(scenario, streams, HOT_SPOT_STREAM, 20).reshape(10, 2, 2).tolist()
    plain = draw_rates(with_arrivals(gateways, rate_per_s=2.0), streams)[1][:, 0]
    crowds = set()
    for p in range(10):
        crowd: list[int] = []
        for spot in spots[p]:
            free = [g for g in range(40) if g not in crowd]
            crowd += sorted(free, key=lambda g: math.dist(places[g], spot))[:6]
        factor = rates[:, p] / plain
        least = factor.min()
        np.testing.assert_allclose(factor / least, np.where(np.isin(range(40), crowd), 5, 1))
        crowds.add(frozenset(crowd))
    assert len(crowds) == 10


def test_shares_of_gateways_are_zipf_in_another_order_each_episode() -> None:
    scenario = with_arrivals({"count": 8, "neighbourhood": OFF, "zipf": 1.2}, rate_per_s=20.0)
    orders = set()
    for seed in range(5):
        times, gateways = arrivals_of(scenario, seed)
        rates = draw_rates(scenario, Streams(seed, 0, 0))[1][:, 0]
        expected = np.arange(1, 9) ** -1.2
        np.testing.assert_allclose(np.sort(rates)[::-1] / rates.max(), expected, rtol=1e-5)
        counts = np.bincount(gateways, minlength=8)
        assert stats.chisquare(counts, len(times) * rates / rates.sum()).pvalue > LEAST
        orders.add(tuple(np.argsort(-rates).tolist()))
    assert len(orders) == 5


def test_every_order_of_shares_is_as_likely() -> None:
    scenario = with_arrivals({"count": 4, "neighbourhood": OFF, "zipf": 1.0})
    first = [draw_rates(scenario, Streams(seed, 0, 0))[1][:, 0].argmax() for seed in range(800)]
    assert stats.chisquare(np.bincount(first, minlength=4)).pvalue > LEAST


def test_merged_in_order_of_time_then_gateway() -> None:
    scenario = with_arrivals(
        {"count": 50, "neighbourhood": OFF, "zipf": 0.1}, rate_per_s=100.0, horizon_s=50.0
    )
    times, gateways = arrivals_of(scenario)
    assert 0 <= times.min() <= times.max() < 50_000
    keys = list(zip(times.tolist(), gateways.tolist(), strict=True))
    assert keys == sorted(keys)
    assert len(set(times.tolist())) < len(times)  # there were ties


def test_resolution_cuts_times_down() -> None:
    fine = with_arrivals(ONE, gap_cv=2.0)
    coarse = with_arrivals(ONE, gap_cv=2.0, resolution_s=7.0)
    whole = arrivals_of(fine)[0] // 7000 * 7000
    np.testing.assert_array_equal(arrivals_of(coarse)[0], whole)


@pytest.mark.parametrize(("end", "least"), [("last-task", 2), ("horizon", 1)])
def test_an_episode_has_a_decision_even_where_hardly_a_request_arrives(
    end: str, least: int
) -> None:
    scenario = world(
        arrivals=PLAIN | {"gap_cv": 2.0, "rate_per_s": 0.001, "horizon_s": 1.0},
        tasks={"stages": OFF},
        episode={"end": end},
    )
    workload = draw_workload(scenario, 0)
    workload.check_fits(scenario)
    assert workload.num_tasks == least
    assert (workload.tasks[:, [ARRIVAL, GATEWAY]] == 0).all()


def test_a_gateway_that_is_shifted_shifts_no_other() -> None:
    """Gateways have words of their own: what one takes is not missing at the next."""
    short = with_arrivals({"count": 3, "neighbourhood": OFF, "zipf": OFF}, gap_cv=3.0)
    longer = with_arrivals(
        {"count": 3, "neighbourhood": OFF, "zipf": OFF}, gap_cv=3.0, horizon_s=20_000.0
    )
    times, gateways = arrivals_of(short)
    more, at = arrivals_of(longer)
    for g in range(3):
        own = times[gateways == g]
        np.testing.assert_array_equal(more[at == g][: len(own)], own)


def test_extreme_bursts_stop_at_the_most_an_episode_holds() -> None:
    bursts = {"ratio": 1e6, "quiet_s": 1e4, "busy_s": 1.0}
    scenario = with_arrivals(ONE, bursts=bursts, rate_per_s=300.0, horizon_s=1000.0)
    lengths = [len(arrivals_of(scenario, seed)[0]) for seed in range(40)]
    assert max(lengths) == 2**20


@pytest.mark.parametrize(
    ("change", "has"),
    [
        ({}, False),
        ({"gap_cv": 1.0}, False),
        ({"gap_cv": 0.9}, True),
        ({"daily": [1, 2]}, True),
        ({"bursts": {"ratio": 2, "quiet_s": 9, "busy_s": 9}}, True),
        ({"hot_spots": {"count": 1, "gateways": 1, "ratio": 2, "period_s": 9}}, True),
    ],
)
def test_which_fields_give_gateways_a_process(change: dict[str, Any], has: bool) -> None:
    assert has_processes(with_arrivals(ONE, **change)) == has
