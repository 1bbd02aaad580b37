"""Workloads: drawn the same everywhere, with the stated law; saved, loaded, hashed, checked."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from edge_marl import Workload, draw_topology, draw_workload, load_scenario, load_workload
from edge_marl.envs import (
    EdgeAIGCAECEnv,
    EdgeAIGCEnv,
    EdgeAIGCParallelEnv,
    EdgeAIGCRows,
    EdgeAIGCVectorEnv,
)
from edge_marl.errors import WorkloadError
from edge_marl.kernel.world import ARRIVAL, DEADLINE, DEMAND, GATEWAY, RUN_TIME, TYPE
from edge_marl.scenario import parse_scenario
from edge_marl.workload.topology import Topology

PAPER = load_scenario("paper")
SMOKE = load_scenario("smoke")


def test_drawn_workloads_never_change() -> None:
    """The digests are those of results: a change here is a new version of every tier."""
    tiers = ("agod", "paper", "smoke")
    drawn = {name: draw_workload(load_scenario(name), 0, split="test").digest for name in tiers}
    assert {name: digest[:16] for name, digest in drawn.items()} == {
        "agod": "9a09d7df9f335fcf",
        "paper": "31ca4bc50c997b87",
        "smoke": "f2142459b9f7bc6f",
    }


def test_seed_split_and_episode_each_decide() -> None:
    digests = [
        draw_workload(SMOKE, seed, split=split, episode=episode).digest
        for seed in (0, 1)
        for split in ("train", "validation", "test")
        for episode in (0, 1)
    ]
    assert len(set(digests)) == len(digests)
    again = draw_workload(SMOKE, 1, split="test", episode=1)
    assert again.digest == digests[-1]


def test_tasks_follow_the_stated_law() -> None:
    """Kolmogorov-Smirnov and chi-square tests at fixed seeds; p-values near 0 would be a bug."""
    tasks = [draw_workload(PAPER, seed).tasks for seed in range(40)]
    gaps = np.concatenate([np.diff(t[:, ARRIVAL]) for t in tasks]) / 1000
    # Whole seconds against an exponential of mean 667 s: compare away from the grid's steps.
    assert stats.kstest(gaps + 0.5, stats.expon(scale=1 / 0.0015).cdf).pvalue > 0.01
    every = np.concatenate(tasks)
    for column, values in ((TYPE, range(4)), (DEMAND, range(100, 250, 10))):
        counts = [(every[:, column] == value).sum() for value in values]
        assert sum(counts) == len(every)
        assert stats.chisquare(counts).pvalue > 0.01
    counts = [len(t) - 1 for t in tasks]
    assert np.mean(counts) == pytest.approx(1500, abs=4 * (1500 / 40) ** 0.5)
    smoke = np.concatenate([draw_workload(SMOKE, seed).tasks for seed in range(60)])
    assert stats.chisquare(np.bincount(smoke[:, GATEWAY], minlength=2)).pvalue > 0.01


def test_arrivals_start_at_zero_in_order_on_whole_seconds() -> None:
    for seed in range(20):
        arrival = draw_workload(PAPER, seed).tasks[:, ARRIVAL]
        assert arrival[0] == 0
        assert (np.diff(arrival) >= 0).all()
        assert (arrival % 1000 == 0).all()
        assert arrival[-1] < 1_000_000_000


def test_run_time_is_that_of_the_demand() -> None:
    tasks = draw_workload(PAPER, 0).tasks
    expected = (0.001 * tasks[:, DEMAND] ** 2 + 2.5 * tasks[:, DEMAND] - 14) * 60
    np.testing.assert_array_equal(tasks[:, RUN_TIME], np.rint(expected * 1000))


def test_an_episode_has_a_decision_even_where_hardly_a_task_arrives() -> None:
    text = """
        name = "rare"
        version = 1
        summary = ""
        servers = {law = "adsac", count = 1, services = 1, capacity = [600]}
        tasks = {types = 1, demand = [100], run_time_minutes = [0.0, 1.0, 0.0]}
        arrivals = {rate_per_s = 0.001, horizon_s = 1}
        overload = {penalty = 2.0, loss_sum = "in-order"}
        episode = {end = "END"}
        """
    for end, decisions in (("last-task", 1), ("horizon", 1)):
        scenario = parse_scenario(text.replace("END", end), "rare.toml")
        assert draw_workload(scenario, 0).num_decisions(scenario) == decisions


def test_save_and_load_keep_every_bit(tmp_path: Path) -> None:
    workload = draw_workload(PAPER, 3)
    workload.save(tmp_path / "w.npz")
    loaded = load_workload(tmp_path / "w.npz")
    assert loaded.digest == workload.digest
    np.testing.assert_array_equal(loaded.tasks, workload.tasks)
    assert [path.name for path in tmp_path.iterdir()] == ["w.npz"]


def test_failed_save_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        draw_workload(SMOKE, 0).save(tmp_path / "taken")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_arrays_cannot_be_written() -> None:
    workload = draw_workload(SMOKE, 0)
    with pytest.raises(ValueError, match="read-only"):
        workload.tasks[0, DEMAND] = 1
    with pytest.raises(ValueError, match="read-only"):
        workload.topology.capacity[0] = 1


def test_workload_does_not_share_the_callers_array() -> None:
    tasks = draw_workload(SMOKE, 0).tasks.copy()
    workload = Workload(topology=draw_topology(SMOKE), tasks=tasks)
    digest = workload.digest
    tasks[0, DEMAND] = 999
    assert Workload(workload.topology, workload.tasks).digest == digest


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (ARRIVAL, -1, "task 5 has arrival .ms. -1: must be from 0"),
        (ARRIVAL, 0, "task 5 arrives at 0 ms, before task 4"),
        (RUN_TIME, 0, "task 5 has run time .ms. 0: must be from 1"),
        (DEMAND, 0, "task 5 has demand 0: must be from 1"),
        (TYPE, 4, "task 5 has type 4: must be from 0 to 3"),
        (GATEWAY, -1, "task 5 has gateway -1: must be from 0"),
    ],
)
def test_broken_task_is_named(column: int, value: int, message: str) -> None:
    tasks = draw_workload(SMOKE, 0).tasks.copy()
    tasks[5, column] = value
    with pytest.raises(WorkloadError, match=message):
        Workload(topology=draw_topology(SMOKE), tasks=tasks)


def test_wrong_shapes_are_named() -> None:
    topology = draw_topology(SMOKE)
    with pytest.raises(WorkloadError, match=r"tasks has shape \(3, 4\): must be \(N, 5\)"):
        Workload(topology=topology, tasks=np.zeros((3, 4), dtype=np.int64))
    with pytest.raises(WorkloadError, match="0 tasks: a workload holds 1 to"):
        Workload(topology=topology, tasks=np.zeros((0, 5), dtype=np.int64))


def _trace(**changes: Any) -> dict[str, Any]:
    """Arrays of a small recorded trace, as published."""
    arrays: dict[str, Any] = {
        "kind": np.array("seed"),
        "cap": np.array([600, 700]),
        "base": np.zeros((2, 1, 4)),
        "coef": np.tile([10.0, 0.1, 200.0, 0.9], (2, 1, 1)),
        "arrival": np.array([0, 5, 5]),
        "ttype": np.array([0, 3, 1]),
        "t": np.array([100, 240, 150]),
    }
    return {name: array for name, array in {**arrays, **changes}.items() if array is not None}


def test_reference_trace_is_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "trace.npz", **_trace())
    workload = load_workload(tmp_path / "trace.npz")
    assert workload.tasks.tolist() == [
        [0, 14_760_000, 100, 0, 0],
        [5000, 38_616_000, 240, 3, 0],
        [5000, 23_010_000, 150, 1, 0],
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"t": None}, "array 't' is missing"),
        ({"arrival": np.array([0.5, 1, 2])}, "array 'arrival' has type float64.*whole numbers"),
        ({"arrival": np.array([0, 9, 5])}, "task 2 arrives at 5000 ms, before task 1"),
        ({"ttype": np.array([0, 4, 1])}, "task 1 has type 4: must be from 0 to 3"),
        ({"ttype": np.array([0, 1])}, "could not broadcast"),
        ({"arrival": np.array([0, 5, 2**61])}, r"task 2 has arrival \(s\) 2305843009213693952"),
        ({"t": np.array([100, 240, 2**31 - 1])}, r"task 2 has run time \(ms\) 4398046511104"),
        ({"t": np.array([[100, 240, 150]])}, r"t has shape \(1, 3\), arrival \(3,\)"),
        ({"cap": np.array([600])}, r"capacity \(1,\), baseline \(2, 1, 4\)"),
        ({"cap": np.array([600, 0])}, "capacity holds 0 to 600: must be from 1 to"),
        ({"base": np.full((2, 1, 4), np.nan)}, "baseline holds NaN or infinity"),
        ({"coef": np.zeros((2, 1, 4))}, "bx must be larger than ax"),
    ],
)
def test_malformed_trace_is_explained(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    np.savez(tmp_path / "trace.npz", **_trace(**changes))
    with pytest.raises(WorkloadError, match=message) as caught:
        load_workload(tmp_path / "trace.npz")
    assert str(tmp_path / "trace.npz") in str(caught.value)


def test_damaged_files_are_explained(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    with pytest.raises(WorkloadError, match="there is no such workload file"):
        load_workload(path)
    path.write_bytes(b"no archive")
    with pytest.raises(WorkloadError, match="not a readable"):
        load_workload(path)
    np.save(tmp_path / "bare.npy", np.zeros(3))
    with pytest.raises(WorkloadError, match="not a readable"):
        load_workload(tmp_path / "bare.npy")
    np.savez(path, tasks=np.array([{}], dtype=object))
    with pytest.raises(WorkloadError, match="not a readable"):
        load_workload(path)
    draw_workload(SMOKE, 0).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WorkloadError, match="not a readable"):
        load_workload(path)


def test_edited_file_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    draw_workload(SMOKE, 0).save(path)
    with np.load(path) as file:
        arrays = dict(file)
    arrays["tasks"][7, DEMAND] += 10
    np.savez(path, **arrays)
    with pytest.raises(WorkloadError, match="damaged or was edited"):
        load_workload(path)
    np.savez(path, **{**arrays, "format": np.array("edge-marl-workload-99")})
    with pytest.raises(WorkloadError, match="format 'edge-marl-workload-99'"):
        load_workload(path)


@pytest.mark.parametrize(
    ("seed", "split", "message"),
    [
        (100, "test", "seed 100: split 'test' has the seeds 0..99"),
        (-1, "train", "seed -1: must be a whole number, 0 or larger"),
        (0, "exam", "unknown split 'exam': one of train, validation, test"),
    ],
)
def test_wrong_seed_or_split_is_explained(seed: int, split: Any, message: str) -> None:
    with pytest.raises(WorkloadError, match=message):
        draw_workload(SMOKE, seed, split=split)


def test_workload_must_fit_the_scenario() -> None:
    with pytest.raises(WorkloadError, match=r"\(3, 2, 4\), scenario 'paper' has \(10, 4, 4\)"):
        draw_workload(SMOKE, 0).check_fits(PAPER)
    tasks = draw_workload(SMOKE, 0).tasks.copy()
    tasks[:, GATEWAY] = 2
    workload = Workload(topology=draw_topology(SMOKE), tasks=tasks)
    with pytest.raises(WorkloadError, match="task at gateway 2, scenario 'smoke' has gateways"):
        workload.check_fits(SMOKE)
    tasks = draw_workload(SMOKE, 0).tasks.copy()
    tasks[-1, ARRIVAL] = 150_000_001
    with pytest.raises(WorkloadError, match="after the horizon of scenario 'smoke'"):
        Workload(topology=draw_topology(SMOKE), tasks=tasks).check_fits(SMOKE)
    one = Workload(topology=draw_topology(PAPER), tasks=draw_workload(PAPER, 0).tasks[:1])
    with pytest.raises(WorkloadError, match="a workload of one task has no decision"):
        one.check_fits(PAPER)


def larger(workload: Workload, column: int) -> Workload:
    tasks = workload.tasks.copy()
    tasks[3, column] *= 1000
    return dataclasses.replace(workload, tasks=tasks)


def with_servers(workload: Workload, **arrays: npt.NDArray[Any]) -> Workload:
    return dataclasses.replace(workload, topology=dataclasses.replace(workload.topology, **arrays))


@pytest.mark.parametrize("tier", ["smoke", "campus"])
def test_what_observations_could_not_show_is_refused_by_every_environment(tier: str) -> None:
    scenario = load_scenario(tier)
    drawn = draw_workload(scenario, 0)
    refused = {
        r"task 3 has demand \d+: scenario '\w+' has at most \d+, which observations are": DEMAND,
        r"task 3 has run time \(ms\) \d+: scenario '\w+' has at most \d+": RUN_TIME,
    }
    cases = {message: larger(drawn, column) for message, column in refused.items()}
    message = r"server \d+ has capacity \d+: scenario '\w+' has at most \d+"
    cases[message] = with_servers(drawn, capacity=10 * drawn.topology.capacity)
    if scenario.extended:
        better = drawn.topology.baseline + 1.5
        message = r"qualities from 1\.\d+ to [23]\.\d+: must lie in 0 to 2"
        cases[message] = with_servers(drawn, baseline=better)
    for message, workload in cases.items():
        for play in (
            lambda w: EdgeAIGCEnv(scenario=scenario).reset(options={"workload": w}),
            lambda w: EdgeAIGCParallelEnv(scenario=scenario).reset(options={"workload": w}),
            lambda w: EdgeAIGCAECEnv(scenario=scenario).reset(options={"workload": w}),
            lambda w: EdgeAIGCVectorEnv(1, scenario=scenario).reset(options={"workloads": [w]}),
            lambda w: EdgeAIGCRows(1, scenario=scenario).reset(options={"workloads": [w]}),
        ):
            with pytest.raises(WorkloadError, match=message):
                play(workload)


def test_an_outage_of_the_cloud_is_explained() -> None:
    metro = load_scenario("metro")
    drawn = draw_workload(metro, 0)
    cloud = metro.num_servers - 1
    wrong = dataclasses.replace(drawn, outages=np.array([[1000, cloud, 50]]))
    with pytest.raises(WorkloadError, match=f"outages names server {cloud}, the cloud"):
        wrong.check_fits(metro)


def test_requests_that_outlast_the_simulator_are_explained() -> None:
    metro = load_scenario("metro")
    drawn = draw_workload(metro, 0)
    tasks = drawn.tasks.copy()
    tasks[0, RUN_TIME] = 2**41
    with pytest.raises(WorkloadError, match=r"a request may last until \d+ ms: at most"):
        dataclasses.replace(drawn, tasks=tasks).check_fits(metro)


def test_parts_that_a_scenario_does_not_have_are_explained() -> None:
    drawn = draw_workload(load_scenario("smoke"), 0)
    details = np.zeros((drawn.num_tasks, 7), dtype=np.int64)
    details[:, DEADLINE] = 1000
    with pytest.raises(WorkloadError, match="has details of the extended model"):
        dataclasses.replace(drawn, details=details).check_fits(load_scenario("smoke"))


@pytest.mark.parametrize("name", ["tasks", "details", "outages", "capacity", "slowdown"])
def test_numbers_with_a_fraction_are_refused(name: str) -> None:
    """Times of 1.7 ms were cut to 1 without a word."""
    topology = draw_topology(SMOKE)
    arrays: dict[str, Any] = {
        "tasks": draw_workload(SMOKE, 0).tasks[:3],
        "details": np.zeros((3, 7), dtype=np.int64),
        "outages": np.zeros((0, 3)),  # of nothing, any type will do
    }
    servers: dict[str, Any] = {
        **topology.arrays(),
        "slowdown": np.full(topology.baseline.shape[:2], 1000),
    }
    Workload(Topology(**servers), **arrays)
    changed = servers if name in servers else arrays
    changed[name] = np.ones((1, 3)) if name == "outages" else changed[name] + 0.7
    with pytest.raises(WorkloadError, match=rf"^array '{name}' has type float64: .* whole"):
        Workload(Topology(**servers), **arrays)
