"""Servers of an extended episode: device classes, models, places, links, the cloud."""

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from scipy import stats

from edge_marl import Topology, draw_topology, load_scenario
from edge_marl.draw import draw_workload
from edge_marl.errors import WorkloadError
from edge_marl.kernel import world as k
from edge_marl.scenario import Scenario, parse_scenario
from edge_marl.scenario.writing import as_toml
from edge_marl.simulator import Simulator
from edge_marl.workload.sampling import SERVER_PLACE_STREAM, Streams
from edge_marl.workload.topology import offered_load
from tests.edge_marl.workload.pieces import draw_gateway_places, draw_places, draw_topology_of
from tests.worlds.by_hand import make_world
from tests.worlds.every_part import FULL, OFF, world

LEAST = 0.001
SERVERS = FULL["servers"]


def topology_of(scenario: Scenario, seed: int = 0) -> Topology:
    return draw_topology_of(scenario, Streams(seed, 0, 0))


def array(topology: Topology, name: str) -> np.ndarray:
    return topology.arrays()[name]


def test_device_classes_have_their_shares_and_capacities() -> None:
    topology = topology_of(world(servers={"count": 4000}, cloud=OFF))
    counts = Counter(
        zip(array(topology, "memory").tolist(), topology.capacity.tolist(), strict=True)
    )
    assert set(counts) == {(8000, 60), (8000, 90), (24000, 200)}
    small, large = [counts[8000, 60], counts[8000, 90]], counts[24000, 200]
    assert stats.chisquare([*small, large], [1500, 1500, 1000]).pvalue > LEAST


def test_slowdown_and_energy_are_those_of_device_and_model() -> None:
    topology = topology_of(world(cloud=OFF))
    small = array(topology, "memory") == 8000
    assert 0 < small.sum() < 12
    expected = np.where(small[:, None], [2000, 4000, 10000], [500, 1000, 2500])
    np.testing.assert_array_equal(array(topology, "slowdown"), expected)
    expected = np.where(small[:, None], [1250, 2500, 6250], [5000, 10000, 25000])
    np.testing.assert_array_equal(array(topology, "energy"), expected)
    np.testing.assert_array_equal(array(topology, "model_memory"), [4000, 6000, 12000])


def test_servers_host_what_fits_without_repetition() -> None:
    topology = topology_of(world(servers={"count": 3000}, cloud=OFF))
    hosted = array(topology, "hosted")
    small = array(topology, "memory") == 8000
    assert (hosted.sum(axis=1) == 2).all()
    assert not hosted[small, 2].any()  # 12,000 MiB do not fit into 8,000
    pairs = [(~hosted[~small])[:, v].sum() for v in range(3)]  # each pair is as likely
    assert stats.chisquare(pairs).pvalue > LEAST


def test_without_residency_memory_does_not_count() -> None:
    topology = topology_of(world(servers={"count": 3000}, residency=OFF, cloud=OFF))
    assert not {"memory", "model_memory"} & topology.arrays().keys()
    hosted = array(topology, "hosted")
    assert stats.chisquare([(~hosted)[:, v].sum() for v in range(3)]).pvalue > LEAST


def test_hosted_zero_is_all_that_fit() -> None:
    topology = topology_of(world(servers={"hosted": 0}, cloud=OFF))
    fits = array(topology, "model_memory") <= array(topology, "memory")[:, None]
    np.testing.assert_array_equal(array(topology, "hosted"), fits)


def test_qualities_are_uniform_thousandths_and_alike_on_all_servers() -> None:
    models = [{"name": f"m{v}", "quality": [0.25, 0.75]} for v in range(62)]
    scenario = world(
        servers={"models": models, "hosted": 0},
        tasks={"types": 60, "deadline_s": OFF},
        residency=OFF,
    )
    topology = topology_of(scenario)
    assert (topology.baseline == topology.baseline[0]).all()
    assert (topology.curve == topology.curve[0]).all()
    steps = np.rint(topology.baseline[0] * 1000)
    np.testing.assert_array_equal(topology.baseline[0], steps / 1000)
    counts = np.bincount(steps.ravel().astype(int), minlength=751)
    assert counts[:250].sum() == 0
    assert stats.chisquare(counts[250:]).pvalue > LEAST


def test_qualities_reach_both_ends_of_their_range() -> None:
    models = [{"name": "m", "quality": [0.1, 0.102]}]
    scenario = world(servers={"models": models, "hosted": 0}, residency=OFF, cloud=OFF)
    drawn = {x for seed in range(20) for x in topology_of(scenario, seed).baseline[0, 0].tolist()}
    assert drawn == {0.1, 0.101, 0.102}


def test_curve_is_the_published_law_scaled_to_the_largest_demand() -> None:
    models = [{"name": f"m{v}"} for v in range(62)]
    scenario = world(
        servers={"models": models}, tasks={"demand": [120, 240], "demand_share": OFF}, residency=OFF
    )
    curves = np.concatenate([topology_of(scenario, seed).curve[0] for seed in range(20)])
    sets = (
        [10.0 * i for i in range(10)],
        [i / 20 for i in range(10)],
        [150.0 + 10 * i for i in range(10)],
        [(10 + i) / 20 for i in range(10)],
    )
    for column, values in enumerate(sets):
        counts = Counter(curves[:, column].tolist())
        assert set(counts) == set(values)
        assert stats.chisquare([counts[value] for value in values]).pvalue > LEAST
    half = world(servers={"models": models}, tasks={"demand": [120], "demand_share": OFF})
    np.testing.assert_array_equal(
        topology_of(half).curve * [2, 1, 2, 1], topology_of(scenario).curve
    )


def test_the_cloud_is_the_last_server_and_hosts_everything() -> None:
    with_cloud, without = topology_of(world()), topology_of(world(cloud=OFF))
    for name in ("capacity", "baseline", "curve", "slowdown", "hosted", "memory", "energy"):
        np.testing.assert_array_equal(array(with_cloud, name)[:-1], array(without, name))
    assert with_cloud.capacity[-1] == without.capacity.max()
    assert array(with_cloud, "memory")[-1] == array(without, "memory").max()
    np.testing.assert_array_equal(array(with_cloud, "slowdown")[-1], [200, 400, 1000])
    assert array(with_cloud, "hosted")[-1].all()
    assert (array(with_cloud, "energy")[-1] == 0).all()
    np.testing.assert_array_equal(with_cloud.baseline[-1], with_cloud.baseline[0])
    links = array(with_cloud, "neighbours"), array(with_cloud, "propagation")
    assert (links[0][:, -1] == 12).all()
    assert (links[1][:, -1] == 40).all()
    assert (array(with_cloud, "us_per_kb")[:, -1] == 160).all()
    for name in ("neighbours", "propagation", "us_per_kb"):
        np.testing.assert_array_equal(array(with_cloud, name)[:, :-1], array(without, name)[:, :4])


def test_neighbours_are_the_nearest_with_the_link_of_their_distance() -> None:
    scenario = world(gateways={"count": 30, "area_km": [0.02, 0.01]}, cloud=OFF, arrivals=OFF_HOT)
    streams = Streams(1, 0, 0)
    topology = draw_topology_of(scenario, streams)
    gateways = draw_gateway_places(scenario, streams).tolist()
    sites = draw_places(scenario, streams, SERVER_PLACE_STREAM, 12).tolist()
    ties = 0
    for g, (x, y) in enumerate(gateways):
        squares = [(x - a) ** 2 + (y - b) ** 2 for a, b in sites]
        nearest = sorted(range(12), key=lambda s: (squares[s], s))[:5]
        ties += len({squares[s] for s in nearest}) < 5
        assert array(topology, "neighbours")[g].tolist() == nearest
        metres = [math.isqrt(squares[s]) for s in nearest]
        expected = [round(2.5 + 1.5 * (m / 1000)) for m in metres]
        assert array(topology, "propagation")[g].tolist() == expected
    assert ties > 0


OFF_HOT = {"hot_spots": OFF}


def test_distance_counts_in_whole_metres() -> None:
    scenario = world(network={"ms_per_km": 100.0, "latency_ms": 0}, gateways={"neighbourhood": 0})
    streams = Streams(0, 0, 0)
    topology = draw_topology_of(scenario, streams)
    gateways = draw_gateway_places(scenario, streams).tolist()
    sites = draw_places(scenario, streams, SERVER_PLACE_STREAM, 12).tolist()
    for g, (x, y) in enumerate(gateways):
        for n, s in enumerate(array(topology, "neighbours")[g, :-1].tolist()):
            metres = math.isqrt((x - sites[s][0]) ** 2 + (y - sites[s][1]) ** 2)
            assert array(topology, "propagation")[g, n] == round(100.0 * (metres / 1000))


def test_places_are_uniform_and_bandwidths_too() -> None:
    scenario = world(
        servers={"count": 100},
        gateways={"count": 400, "neighbourhood": 0},
        network={"bandwidth_mbit": [0.02, 0.1]},
        cloud=OFF,
    )
    streams = Streams(0, 0, 0)
    places = draw_gateway_places(scenario, streams)
    for column, side in enumerate((3000, 2000)):
        assert 0 <= places[:, column].min() <= places[:, column].max() < side
        assert stats.kstest(places[:, column] + 0.5, stats.uniform(0, side).cdf).pvalue > LEAST
    us_per_kb = array(draw_topology_of(scenario, streams), "us_per_kb")
    assert 80_000 <= us_per_kb.min() <= us_per_kb.max() <= 400_000
    assert stats.kstest(8000 / us_per_kb.ravel(), stats.uniform(0.02, 0.08).cdf).pvalue > LEAST


@pytest.mark.parametrize("tier", ["paper", "smoke"])
def test_published_servers_are_as_published(tier: str) -> None:
    facts = load_scenario(tier).model_dump(mode="json", exclude_defaults=True)
    published = draw_topology(load_scenario(tier))
    refund = Scenario.model_validate(facts | {"overload": facts["overload"] | {"refund": True}})
    assert topology_of(refund).arrays().keys() == {"capacity", "baseline", "curve"}
    near = Scenario.model_validate(
        facts | {"gateways": {"count": 4, "neighbourhood": 2}, "cloud": {"price_per_step": 0.1}}
    )
    topology = topology_of(near)
    for name, expected in published.arrays().items():
        np.testing.assert_array_equal(array(topology, name)[:-1], expected)
    np.testing.assert_array_equal(topology.baseline[-1], published.baseline[0])
    np.testing.assert_array_equal(topology.curve[-1], published.curve[0])
    assert (array(topology, "slowdown") == 1000).all()
    assert topology_of(near, 1).neighbours is not None
    assert not np.array_equal(
        array(topology, "neighbours"), array(topology_of(near, 1), "neighbours")
    )


def test_servers_of_devices_have_no_topology_without_an_episode() -> None:
    with pytest.raises(WorkloadError, match="draws its servers anew for each episode"):
        draw_topology(world())


def test_neighbourhood_of_one_with_a_cloud_is_the_cloud() -> None:
    topology = topology_of(world(gateways={"neighbourhood": 1}))
    assert array(topology, "neighbours").tolist() == [[12]] * 6


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"residency": OFF},
        {"servers": {"hosted": 0}},
        {"tasks": {"demand_share": OFF}},
        {"tasks": {"stages": OFF}},
    ],
)
def test_offered_load_is_the_mean_over_episodes(change: dict[str, Any]) -> None:
    """Against drawn servers: work per second on a uniform (server, hosted model) / capacity."""
    scenario = world(**{"cloud": OFF, **change})
    law = scenario.tasks
    demand = np.array(law.demand)
    weights = np.array(law.demand_share or [1, 1, 1])
    run_time = np.array([law.run_time_ms(t) / 1000 for t in law.demand])
    work = (weights * demand * run_time).sum() / weights.sum()
    stages = np.average(np.arange(1, len(law.stages) + 1), weights=law.stages)
    capacity, slowdown = [], []
    for seed in range(400):
        topology = topology_of(scenario, seed)
        hosted, slow = array(topology, "hosted"), array(topology, "slowdown") / 1000
        capacity.append(topology.capacity.mean())
        slowdown.append(((hosted * slow).sum(axis=1) / hosted.sum(axis=1)).mean())
    expected = 0.5 * stages * work * np.mean(slowdown) / (12 * np.mean(capacity))
    assert offered_load(scenario) == pytest.approx(expected, rel=0.02)


SLOW = ((1.0, 2.5), (0.5, 1.25))


@pytest.mark.parametrize("cloud", [None, {"price_per_step": 0.0, "slowdown": 3.0}])
def test_servers_that_are_written_out_have_their_own_speeds(cloud: dict[str, float] | None) -> None:
    facts = make_world([[[0.5], [0.5]]] * 2, [900, 900]).model_dump()
    facts["servers"]["slowdown"] = SLOW
    scenario = Scenario.model_validate(facts | {"cloud": cloud})
    assert scenario.extended
    assert scenario.max_slowdown == (7500 if cloud else 2500)
    workload = draw_workload(scenario, 0)
    assert workload.topology.slowdown is not None
    rows = [[1000, 2500], [500, 1250]] + ([[3000, 7500]] if cloud else [])
    assert workload.topology.slowdown.tolist() == rows
    simulator = Simulator(scenario)
    simulator.load(0, workload)
    run_time = workload.tasks[0, 1]
    simulator.step_row(0, 1)
    assert simulator.log(0).tasks[0, k.END] == workload.tasks[0, 0] + math.ceil(2.5 * run_time)
    assert parse_scenario(as_toml(scenario), "mine.toml").digest == scenario.digest


def test_each_server_says_all_of_its_speeds_or_none_does() -> None:
    facts = make_world([[[0.5], [0.5]]] * 2, [900, 900]).model_dump()
    facts["servers"]["slowdown"] = SLOW[:1]
    with pytest.raises(
        ValueError, match="give each of 2 servers one number for each of 2 services"
    ):
        Scenario.model_validate(facts)
