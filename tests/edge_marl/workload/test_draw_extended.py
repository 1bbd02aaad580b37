"""Workloads of extended scenarios: every law, streams apart from each other, golden digests."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import stats

from edge_marl import Workload, draw_workload, load_scenario
from edge_marl.kernel.world import (
    AFTER,
    ARRIVAL,
    DEADLINE,
    DEMAND,
    DOWNLOAD,
    DURATION,
    FAILS,
    GATEWAY,
    LOAD_TIME,
    LOCATION,
    RUN_TIME,
    STAGE,
    TIME,
    TYPE,
    UPLOAD,
)
from edge_marl.scenario import Scenario
from edge_marl.workload.recipe import Recipe
from tests.worlds.every_part import OFF, PLAIN, TERMS, world

LEAST = 0.001
"""p-value below which a law is taken to be another one."""
MANY = {"rate_per_s": 10.0}
"""20,000 requests: enough to tell laws apart."""


def parts(workload: Workload) -> tuple[np.ndarray, np.ndarray]:
    assert workload.details is not None
    return workload.tasks, workload.details


def firsts(workload: Workload) -> tuple[np.ndarray, np.ndarray]:
    """Rows of first stages: the requests."""
    tasks, details = parts(workload)
    return tasks[details[:, STAGE] == 0], details[details[:, STAGE] == 0]


@pytest.fixture(scope="module")
def full() -> Workload:
    return draw_workload(world(arrivals=MANY), 0)


def test_demands_have_their_shares_in_every_stage(full: Workload) -> None:
    tasks, details = parts(full)
    for stage in range(3):
        demand = tasks[details[:, STAGE] == stage, DEMAND]
        counts = [(demand == t).sum() for t in (20, 30, 48)]
        assert sum(counts) == len(demand)
        assert stats.chisquare(counts, len(demand) * np.array([0.2, 0.7, 0.1])).pvalue > LEAST
    np.testing.assert_array_equal(tasks[:, RUN_TIME], tasks[:, DEMAND] * 600 + 3000)


def test_types_are_zipf_in_later_stages_and_without_stickiness(full: Workload) -> None:
    law = np.arange(1, 4) ** -1.43
    plain = draw_workload(world(arrivals=MANY, tasks={"sticky": OFF}), 0)
    tasks, details = parts(full)
    for types in (firsts(plain)[0][:, TYPE], tasks[details[:, STAGE] > 0, TYPE]):
        counts = np.bincount(types, minlength=3)
        assert stats.chisquare(counts, len(types) * law / law.sum()).pvalue > LEAST


@pytest.mark.parametrize("users", [1, 4])
def test_users_keep_the_type_of_their_last_request(users: int) -> None:
    """At one gateway the request before is of the same user with probability 1 / users."""
    scenario = world(
        arrivals=PLAIN | MANY,
        tasks={"users": users, "stages": OFF},
        gateways={"count": 1, "zipf": OFF},
    )
    types = firsts(draw_workload(scenario, 0))[0][:, TYPE]
    law = np.arange(1, 4) ** -1.43
    law = law / law.sum()
    alike = (law**2).sum()
    expected = alike + (1 - alike) * 0.7 / users
    kept = (types[1:] == types[:-1]).mean()
    assert kept == pytest.approx(expected, abs=4 * (0.25 / len(types)) ** 0.5)
    # What all users want stays the same law; runs of types make its error larger.
    shares = np.bincount(types, minlength=3) / len(types)
    np.testing.assert_allclose(shares, law, atol=4 * (0.25 * 6 / len(types)) ** 0.5)


def test_a_user_is_of_one_gateway() -> None:
    """With sticky = 1 each gateway keeps its first type, whatever others ask for."""
    scenario = world(tasks={"sticky": 1.0, "users": 1, "types": 3, "stages": OFF})
    tasks = draw_workload(scenario, 3).tasks
    kept = [set(tasks[tasks[:, GATEWAY] == g, TYPE].tolist()) for g in range(6)]
    assert all(len(types) == 1 for types in kept)
    assert len(set.union(*kept)) > 1


def test_stages_have_their_weights_and_follow_each_other(full: Workload) -> None:
    requests = firsts(full)[1]
    counts = np.bincount(requests[:, AFTER], minlength=3)
    assert stats.chisquare(counts, len(requests) * np.array([0.5, 0.3, 0.2])).pvalue > LEAST
    tasks, details = parts(full)
    assert len(tasks) == (requests[:, AFTER] + 1).sum()
    later = np.flatnonzero(details[:, STAGE])
    np.testing.assert_array_equal(details[later, UPLOAD], details[later - 1, DOWNLOAD])
    # Types and demands of the stages of a request are independent.
    for column in (TYPE, DEMAND):
        values = np.unique(tasks[:, column], return_inverse=True)[1]
        table = np.zeros((3, 3))
        np.add.at(table, (values[later], values[later - 1]), 1)
        assert stats.chi2_contingency(table).pvalue > LEAST


def test_deadline_is_the_sum_of_the_stages(full: Workload) -> None:
    tasks, details = parts(full)
    of_type = [30_000, 45_000, 60_500]
    starts = [*np.flatnonzero(details[:, STAGE] == 0).tolist(), len(tasks)]
    for start, end in list(pairwise(starts))[:300]:
        expected = sum(of_type[k] for k in tasks[start:end, TYPE].tolist())
        assert (details[start:end, DEADLINE] == expected).all()


def test_load_times_have_two_modes(full: Workload) -> None:
    times = parts(full)[1][:, LOAD_TIME]
    low, high = stats.lognorm(0.33, scale=2960), stats.lognorm(0.32, scale=31000)
    law = stats.kstest(times, lambda x: 0.36 * low.cdf(x) + 0.64 * high.cdf(x))
    assert law.pvalue > LEAST


def test_sizes_are_uniform_and_failures_have_their_share(full: Workload) -> None:
    details = parts(full)[1]
    first = details[:, STAGE] == 0
    for column, rows, low, high in (
        (UPLOAD, first, 10, 200),
        (DOWNLOAD, first | True, 300, 4000),
    ):
        counts = np.bincount(details[rows, column], minlength=high + 1)
        assert counts[:low].sum() == 0
        assert len(counts) == high + 1
        assert stats.chisquare(counts[low:]).pvalue > LEAST
    failed = stats.binomtest(int(details[:, FAILS].sum()), len(details), 0.02)
    assert failed.pvalue > LEAST


def test_outages_are_poisson_of_each_edge_server() -> None:
    scenario = world(
        arrivals={"horizon_s": 1e7, "rate_per_s": 1e-4, **PLAIN}, outages={"every_s": 40_000}
    )
    outages = draw_workload(scenario, 0).outages
    assert outages is not None
    assert outages[-1, TIME] < 10**10
    counts = np.bincount(outages[:, LOCATION], minlength=12)
    assert len(counts) == 12  # never the cloud, number 12
    assert stats.chisquare(counts, [250] * 12, sum_check=False).pvalue > LEAST
    for server in range(12):
        times = outages[outages[:, LOCATION] == server, TIME]
        gaps = np.diff(times, prepend=0)
        assert stats.kstest(gaps, stats.expon(scale=4e7).cdf).pvalue > LEAST
    repairs = stats.kstest(outages[:, DURATION], stats.expon(scale=120_000).cdf)
    assert repairs.pvalue > LEAST
    keys = outages[:, [TIME, LOCATION]].tolist()
    assert keys == sorted(keys)


def test_many_outages_in_a_moment_are_in_order_of_server() -> None:
    scenario = world(arrivals=PLAIN | {"horizon_s": 1.0}, outages={"every_s": 0.01})
    outages = draw_workload(scenario, 0).outages
    assert outages is not None
    assert len(outages) == pytest.approx(1200, abs=4 * 1200**0.5)
    keys = outages[:, [TIME, LOCATION]].tolist()
    assert keys == sorted(keys)
    assert len(np.unique(outages[:, TIME])) < len(outages)


def test_without_processes_arrivals_are_those_of_the_base_model() -> None:
    base = load_scenario("smoke")
    facts = base.model_dump(mode="json", exclude_defaults=True)
    facts["overload"] |= {"refund": True}
    extended = Scenario.model_validate(facts)
    workload = draw_workload(extended, 5, split="test", episode=2)
    tasks = draw_workload(base, 5, split="test", episode=2).tasks
    np.testing.assert_array_equal(workload.tasks, tasks)
    assert workload.details is not None
    assert not workload.details.any()


# Which columns a change may touch. "rows" may change all (which requests there are).
TASKS = {"arrival": ARRIVAL, "run": RUN_TIME, "demand": DEMAND, "type": TYPE, "gateway": GATEWAY}
DETAILS = {"load": LOAD_TIME, "upload": UPLOAD, "download": DOWNLOAD, "fails": FAILS}
WORLD = (
    "capacity",
    "baseline",
    "curve",
    "slowdown",
    "hosted",
    "memory",
    "energy",
    "neighbours",
    "propagation",
    "us_per_kb",
    "outages",
)


def quantities(workload: Workload) -> dict[str, Any]:
    """Everything of requests (first stages) and the world, by name."""
    tasks, details = firsts(workload)
    known = {name: tasks[:, column].tolist() for name, column in TASKS.items()}
    known |= {name: details[:, column].tolist() for name, column in DETAILS.items()}
    known |= {name: array.tolist() for name, array in workload.topology.arrays().items()}
    known["outages"] = None if workload.outages is None else workload.outages.tolist()
    return known


@pytest.mark.parametrize(
    ("changes", "touched"),
    [
        ({"tasks": {"zipf": OFF}}, {"type"}),
        ({"tasks": {"sticky": OFF}}, {"type"}),
        ({"tasks": {"users": 9}}, {"type"}),
        ({"tasks": {"demand_share": OFF}}, {"demand", "run"}),
        ({"tasks": {"stages": OFF}}, set()),
        ({"tasks": {"stages": [1, 1]}}, set()),
        ({"tasks": {"deadline_s": OFF}}, set()),
        ({"tasks": {"fail_share": 0.5}}, {"fails"}),
        ({"tasks": {"upload_kb": [0, 9]}}, {"upload"}),
        ({"tasks": {"download_kb": [0, 9]}}, {"download"}),
        ({"residency": OFF}, {"load", "hosted", "memory", "model_memory"}),
        ({"residency": {"load": [{"share": 1, "median_s": 9, "sd_log": 0}]}}, {"load"}),
        ({"outages": OFF}, {"outages"}),
        ({"telemetry": OFF, "energy": OFF}, set()),
        ({"network": OFF}, {"propagation", "us_per_kb"}),
        ({"network": {"ms_per_km": 9}}, {"propagation"}),
        ({"network": {"bandwidth_mbit": [1, 2]}}, {"us_per_kb"}),
        ({"cloud": {"slowdown": 1.5}}, {"slowdown"}),
        ({"servers": {"hosted": 1}}, {"hosted"}),
    ],
)
def test_a_part_shifts_no_draw_of_another(changes: dict[str, Any], touched: set[str]) -> None:
    before = quantities(draw_workload(world(), 4))
    after = quantities(draw_workload(world(**changes), 4))
    differ = {name for name in before | after if before.get(name) != after.get(name)}
    assert differ == touched


@pytest.mark.parametrize(
    "changes",
    [
        {"arrivals": {"gap_cv": 0.4}},
        {"arrivals": {"bursts": OFF}},
        {"arrivals": {"hot_spots": OFF}},
        {"arrivals": PLAIN},
        {"gateways": {"zipf": OFF}},
    ],
)
def test_arrival_processes_leave_what_requests_are(changes: dict[str, Any]) -> None:
    """The k-th request has the same demand, sizes, and stages, whenever and wherever it comes."""
    before = quantities(draw_workload(world(tasks={"sticky": OFF}), 4))
    after = quantities(draw_workload(world(tasks={"sticky": OFF}, **changes), 4))
    assert before["arrival"] != after["arrival"]
    for name in ("demand", "run", "type", *DETAILS):
        least = min(len(before[name]), len(after[name]))
        assert before[name][:least] == after[name][:least], name
    for name in WORLD:
        assert before[name] == after[name], name


def test_cloud_leaves_the_edge() -> None:
    before, after = (quantities(draw_workload(world(**c), 4)) for c in ({}, {"cloud": OFF}))
    for name in (*TASKS, *DETAILS, "outages"):
        assert before[name] == after[name], name
    for name in ("capacity", "baseline", "slowdown", "hosted", "energy"):
        assert before[name][:-1] == after[name], name


def test_seed_split_and_episode_each_decide_every_part() -> None:
    scenario = world(outages={"every_s": 1000})
    keys: list[tuple[int, Any, int]] = [
        (seed, split, episode)
        for seed in (0, 1)
        for split in ("train", "validation", "test")
        for episode in (0, 1)
    ]
    drawn = [
        quantities(draw_workload(scenario, seed, split=split, episode=episode))
        for seed, split, episode in keys
    ]
    for name in ("arrival", "demand", "load", "upload", "baseline", "neighbours", "outages"):
        assert len({str(every[name]) for every in drawn}) == len(keys), name
    again = [
        draw_workload(scenario, seed, split=split, episode=episode).digest
        for seed, split, episode in keys
    ]
    repeat = [
        draw_workload(scenario, seed, split=split, episode=episode).digest
        for seed, split, episode in keys
    ]
    assert again == repeat
    assert len(set(again)) == len(keys)


WORKLOAD_ONLY: dict[str, Any] = {
    "zipf": 1.2,
    "sticky": 0.5,
    "users": 2,
    "demand_share": [1.0] * 14 + [5.0],
}


def popular_paper(arrivals: dict[str, Any]) -> Scenario:
    facts = load_scenario("paper").model_dump(mode="json", exclude_defaults=True)
    facts["tasks"] |= WORKLOAD_ONLY
    facts["arrivals"] |= arrivals
    return Scenario.model_validate(facts)


def test_base_scenarios_may_have_popularity_and_processes() -> None:
    for arrivals in ({}, {"gap_cv": 2.0}, {"daily": [1, 2]}):
        scenario = popular_paper(arrivals)
        assert not scenario.extended
        workload = draw_workload(scenario, 0)
        workload.check_fits(scenario)
        assert workload.details is None
        assert workload.outages is None
        demand = workload.tasks[:, DEMAND]
        assert (demand == 240).mean() == pytest.approx(5 / 19, abs=0.05)
    plain, popular = (
        draw_workload(scenario, 0).tasks[:, [ARRIVAL, GATEWAY]]
        for scenario in (load_scenario("paper"), popular_paper({}))
    )
    np.testing.assert_array_equal(plain, popular)


def test_an_episode_holds_no_more_rows_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = parts(draw_workload(world(), 0))
    monkeypatch.setattr("edge_marl.workload.recipe.MAX_TASKS", 500)
    monkeypatch.setattr("edge_marl.draw.recipe_of", Recipe)  # not that of other tests
    tasks, details = parts(draw_workload(world(), 0))
    assert 498 <= len(tasks) <= 500
    assert details[-1, AFTER] == 0
    np.testing.assert_array_equal(tasks, whole[0][: len(tasks)])
    np.testing.assert_array_equal(details, whole[1][: len(tasks)])


def test_classes_are_drawn_by_their_shares_for_requests() -> None:
    """And shift no other draw."""
    workload = draw_workload(world(**TERMS), 3)
    plain = draw_workload(world(), 3)
    weights, details = workload.weights, workload.details
    assert weights is not None
    assert details is not None
    first = details[:, STAGE] == 0
    for weight, share in ((500, 0.6), (1000, 0.3), (3000, 0.1)):
        assert (weights[first] == weight).mean() == pytest.approx(share, abs=0.05)
    np.testing.assert_array_equal(weights[1:][~first[1:]], weights[:-1][~first[1:]])
    assert plain.weights is None
    assert replace(workload, weights=None).digest == plain.digest
    one = draw_workload(world(tasks={"classes": [{"name": "all", "weight": 2.5}]}), 3)
    assert set(one.weights.tolist() if one.weights is not None else ()) == {2500}


@pytest.mark.parametrize(
    ("changes", "digest"),
    [
        ({}, "6a99d48037428452"),
        ({"arrivals": PLAIN, "gateways": {"zipf": OFF}}, "514f8a49e9a26a1c"),
        ({"cloud": OFF, "residency": OFF, "network": OFF, "outages": OFF}, "1404cb462e782cb0"),
    ],
)
def test_drawn_extended_workloads_never_change(changes: dict[str, Any], digest: str) -> None:
    """As for the base tiers: a change here is a new version of every tier that has the parts."""
    assert draw_workload(world(**changes), 0, split="test").digest[:16] == digest
