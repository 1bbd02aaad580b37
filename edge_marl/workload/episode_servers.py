"""The servers of an episode of the extended model: devices and models, places, links, cloud."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl.kernel.world import Ints
from edge_marl.scenario import Scenario
from edge_marl.scenario.servers import Device, DeviceServers, Model
from edge_marl.workload.sampling import (
    GATEWAY_PLACE_STREAM,
    HOSTED_STREAM,
    LINK_STREAM,
    QUALITY_STREAM,
    SERVER_PLACE_STREAM,
    TOPOLOGY_STREAM,
    Streams,
    choose,
    choose_evenly,
    fractions,
    limits,
)
from edge_marl.workload.topology import Topology, draw_topology

__all__ = ["draw_episode_topology", "draw_gateway_places", "spread", "squared_distances"]

Arrays = dict[str, npt.NDArray[Any]]

NOMINAL = 1000
"""Slowdown of the reference, in thousandths."""


def draw_episode_topology(
    scenario: Scenario, streams: Streams, places: tuple[Ints, Ints] | None = None
) -> Topology:
    """Return the servers, services and links that one episode of an extended scenario has.

    Args:
        scenario: with parts of the extended model on.
        streams: of the episode.
        places: of edge servers (S, 2) and gateways (G, 2) in metres; None draws them.
    """
    servers = scenario.servers
    if isinstance(servers, DeviceServers):
        arrays = _draw_devices(scenario, servers, streams)
    else:
        arrays = draw_topology(scenario).arrays()
    if scenario.cloud:
        arrays = _with_cloud(scenario, arrays)
    return Topology(**arrays, **_draw_links(scenario, streams, places))


def draw_gateway_places(scenario: Scenario, streams: Streams) -> Ints:
    """Return where the gateways are, (G, 2), in metres."""
    words = streams.words((scenario.gateways.count, 2), GATEWAY_PLACE_STREAM)
    return spread(words, scenario.gateways.area_km)


def spread(words: npt.NDArray[np.uint64], area_km: tuple[float, float]) -> Ints:
    """Return places that are uniform over an area, in whole metres, of words (..., 2)."""
    sides = [max(1, round(1000 * side)) for side in area_km]
    return choose_evenly(words, np.array(sides, dtype=np.uint64))


def squared_distances(some: Ints, others: Ints) -> Ints:
    """Return the squared distances between places (A, 2) and (B, 2), (A, B), in square metres."""
    x = some[:, None, 0] - others[:, 0]
    y = some[:, None, 1] - others[:, 1]
    return x * x + y * y


def _draw_devices(scenario: Scenario, servers: DeviceServers, streams: Streams) -> Arrays:
    """The arrays of edge servers of device classes; one row of words per server."""
    devices, models = servers.devices, servers.models
    words = streams.words((servers.count, 2), TOPOLOGY_STREAM)
    kinds = choose(words[:, 0], limits(tuple(device.share for device in devices)))
    capacity = np.empty(servers.count, dtype=np.int64)
    for kind, device in enumerate(devices):
        of_kind = kinds == kind
        picked = choose_evenly(words[of_kind, 1], len(device.capacity))
        capacity[of_kind] = np.array(device.capacity)[picked]
    memory = np.array([device.memory_mib for device in devices], dtype=np.int64)[kinds]
    model_memory = np.array([model.memory_mib for model in models], dtype=np.int64)
    fits = np.ones((servers.count, len(models)), dtype=np.bool_)
    if scenario.residency:
        fits = model_memory <= memory[:, None]
    baseline, curve = _draw_qualities(scenario, servers, streams)
    arrays = {
        "capacity": capacity,
        "baseline": np.repeat(baseline[None], servers.count, axis=0),
        "curve": np.repeat(curve[None], servers.count, axis=0),
        "slowdown": np.array([[_slowdown(d, m) for m in models] for d in devices])[kinds],
        "hosted": _draw_hosted(servers, fits, streams),
        "energy": np.array([[_energy(d, m) for m in models] for d in devices])[kinds],
    }
    if scenario.residency:
        arrays |= {"memory": memory, "model_memory": model_memory}
    return arrays


def _slowdown(device: Device, model: Model) -> int:
    return max(1, round(NOMINAL * device.slowdown * model.slowdown))


def _energy(device: Device, model: Model) -> int:
    return round(1000 * device.joule_per_step * model.slowdown)


def _draw_hosted(
    servers: DeviceServers, fits: npt.NDArray[np.bool_], streams: Streams
) -> npt.NDArray[np.bool_]:
    """Which models each server has: the first of those that fit, in an order of its own."""
    words = streams.words(fits.shape, HOSTED_STREAM) >> np.uint64(1)
    order = np.argsort(words | (~fits).astype(np.uint64) << np.uint64(63), axis=1, kind="stable")
    hosted = np.zeros_like(fits)
    np.put_along_axis(hosted, order[:, : servers.hosted or servers.services], True, axis=1)
    return hosted & fits


def _draw_qualities(
    scenario: Scenario, servers: DeviceServers, streams: Streams
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Baseline (V, K) and curve (V, 4) of the models; the curve's law is the published one.

    There corners are at 0, 10, .., 90 and 150, 160, .., 240 denoising steps, where 240 is the
    largest demand, and qualities at 0, .05, .., .45 and .5, .55, .., .95.
    """
    models, types = servers.models, scenario.num_types
    words = streams.words((len(models), 4 + types), QUALITY_STREAM)
    low, high = (np.array([round(1000 * model.quality[end]) for model in models]) for end in (0, 1))
    steps = (high - low + 1).astype(np.uint64)[:, None]
    baseline = (low[:, None] + choose_evenly(words[:, 4:], steps)) / 1000
    i = choose_evenly(words[:, :4], 10)
    most = scenario.tasks.max_demand
    curve = np.column_stack(
        [most * i[:, 0] / 24, i[:, 1] / 20, most * (15 + i[:, 2]) / 24, (10 + i[:, 3]) / 20]
    )
    return baseline, curve


def _with_cloud(scenario: Scenario, edge: Arrays) -> Arrays:
    """The arrays with one more row per server array: the cloud, which does what server 0 does."""
    servers, cloud = scenario.servers, scenario.cloud
    assert cloud is not None
    factors = [1.0] * servers.services
    if isinstance(servers, DeviceServers):
        factors = [model.slowdown for model in servers.models]
    edge = {"slowdown": np.full(edge["curve"].shape[:2], NOMINAL), **edge}
    last: dict[str, Any] = {
        "capacity": edge["capacity"].max(),
        "baseline": edge["baseline"][0],
        "curve": edge["curve"][0],
        "slowdown": [max(1, round(NOMINAL * cloud.slowdown * factor)) for factor in factors],
        "hosted": True,
        "memory": edge["memory"].max() if "memory" in edge else 0,
        "energy": 0,
    }
    return {
        name: np.concatenate([array, np.broadcast_to(last[name], (1, *array.shape[1:]))])
        if name in last
        else array
        for name, array in edge.items()
    }


def _draw_links(scenario: Scenario, streams: Streams, places: tuple[Ints, Ints] | None) -> Arrays:
    """Neighbours of each gateway, nearest first and the cloud last, and times of the links."""
    law, network, cloud = scenario.gateways, scenario.network, scenario.cloud
    if not (law.neighbourhood or network or cloud or scenario.telemetry.period_ms):
        return {}
    edge_servers = scenario.num_servers - (cloud is not None)
    count = scenario.num_neighbours - (cloud is not None)
    if places is None:
        sites = spread(streams.words((edge_servers, 2), SERVER_PLACE_STREAM), law.area_km)
        places = sites, draw_gateway_places(scenario, streams)
    numbers, apart = _nearest(*places, count)
    links: Arrays = {"neighbours": numbers}
    if network:
        # A correctly rounded square root below 2^26, cut down, is the integer one.
        metres = np.floor(np.sqrt(apart))
        time = np.rint(network.latency_ms + network.ms_per_km * (metres / 1000))
        links["propagation"] = time.astype(np.int64)
        low, high = network.bandwidth_mbit
        # One row of words per place in the order, so that a longer one leaves the others' draws.
        words = streams.words((count, law.count), LINK_STREAM).T
        links["us_per_kb"] = _us_per_kb(low + fractions(words) * (high - low))
    if not cloud:
        return links
    last = {
        "neighbours": edge_servers,
        "propagation": round(cloud.latency_ms),
        "us_per_kb": int(_us_per_kb(np.array(cloud.bandwidth_mbit))),
    }
    column = (law.count, 1)
    return {name: np.hstack([array, np.full(column, last[name])]) for name, array in links.items()}


def _nearest(servers: Ints, gateways: Ints, count: int) -> tuple[Ints, Ints]:
    """Numbers and squared distances of the nearest servers of each gateway, (G, count) each."""
    numbers = np.empty((len(gateways), count), dtype=np.int64)
    apart = np.empty_like(numbers)
    last = max(count - 1, 0)
    for g, gateway in enumerate(gateways):
        every = squared_distances(gateway[None], servers)[0]
        near = np.flatnonzero(every <= np.partition(every, last)[last])
        # Stable: of equals the lower number is nearer.
        numbers[g] = near[np.argsort(every[near], kind="stable")[:count]]
        apart[g] = every[numbers[g]]
    return numbers, apart


def _us_per_kb(mbit_per_s: npt.NDArray[np.float64]) -> Ints:
    return np.rint(8000 / mbit_per_s).astype(np.int64)
