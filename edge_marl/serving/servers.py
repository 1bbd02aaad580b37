"""The servers of a gateway's file, as the simulator's topology."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from edge_marl.errors import ServingError
from edge_marl.kernel.world import Ints
from edge_marl.scenario import Scenario
from edge_marl.scenario.servers import DeviceServers, GivenServers
from edge_marl.serving.config import Backend, Config
from edge_marl.workload.topology import Topology, draw_topology

__all__ = ["topology_of"]

NOMINAL = 1000
"""Slowdown of the reference, in thousandths."""


def topology_of(config: Config, scenario: Scenario) -> Topology:
    """Return the servers as they are told: what the scenario itself states of them stands.

    Raises:
        ServingError: what one of them needs in the scenario is not stated.
    """
    drawn = isinstance(scenario.servers, DeviceServers)
    topology = _from_services(config, scenario) if drawn else _from_scenario(config, scenario)
    if not scenario.extended:
        return topology
    hosted = np.array([[model != "" for model in one.models] for one in config.backends])
    more: dict[str, Any] = {
        "slowdown": _slowdowns(config, scenario),
        "energy": _energy(config, scenario),
    }
    if scenario.residency:
        more |= _memory(config, scenario)
    if scenario.gateways.neighbourhood or scenario.network or scenario.cloud:
        more |= _links(config, scenario)
    return dataclasses.replace(topology, hosted=hosted, **more)


def _from_scenario(config: Config, scenario: Scenario) -> Topology:
    """Servers that the scenario states or draws once; the cloud does what server 0 does."""
    for backend in config.backends:
        if not scenario.extended and "" in backend.models:
            raise ServingError(
                f"backend '{backend.name}' does not host every model: scenario "
                f"'{scenario.label}' has no part of the extended model on, where all do"
            )
    if config.services:
        raise ServingError(
            f"services: scenario '{scenario.label}' states their qualities; leave the section out"
        )
    own = draw_topology(scenario)
    capacity, baseline, curve = own.capacity, own.baseline, own.curve
    if scenario.cloud:
        capacity = np.append(capacity, capacity.max())
        baseline, curve = (np.concatenate([part, part[:1]]) for part in (baseline, curve))
    stated = [
        int(known) if backend.capacity is None else backend.capacity
        for backend, known in zip(config.backends, capacity, strict=True)
    ]
    return dataclasses.replace(own, capacity=np.array(stated), baseline=baseline, curve=curve)


def _from_services(config: Config, scenario: Scenario) -> Topology:
    """Servers of a scenario that draws them for each episode: the file states them."""
    if len(config.services) != scenario.num_services:
        raise ServingError(
            f"services has {len(config.services)} entries: scenario '{scenario.label}' draws "
            f"qualities for each episode, so that those of its {scenario.num_services} services "
            "have to be stated"
        )
    for service in config.services:
        if len(service.quality) != scenario.num_types:
            raise ServingError(
                f"services.quality = {list(service.quality)}: scenario '{scenario.label}' has "
                f"{scenario.num_types} types of tasks; give a quality for each"
            )
    capacity = [_capacity_of(backend, scenario) for backend in config.backends]
    shape = (len(config.backends), 1, 1)
    baseline = np.array([service.quality for service in config.services], dtype=np.float64)
    curve = np.array([service.curve for service in config.services], dtype=np.float64)
    return Topology(np.array(capacity), np.tile(baseline, shape), np.tile(curve, shape))


def _capacity_of(backend: Backend, scenario: Scenario) -> int:
    if backend.capacity is None:
        raise ServingError(
            f"backend '{backend.name}' has no capacity: scenario '{scenario.label}' draws those "
            "of its servers, so that it has to be stated"
        )
    return backend.capacity


def _slowdowns(config: Config, scenario: Scenario) -> Ints:
    """Run times against the reference, (S, V) in thousandths; the cloud's models are server 0's."""
    servers = scenario.servers
    models = np.ones((len(config.backends), scenario.num_services))
    if isinstance(servers, DeviceServers):
        models[:] = [one.slowdown for one in servers.models]
    elif isinstance(servers, GivenServers) and servers.slowdown:
        models[:] = servers.slowdown[0]
        models[: servers.count] = servers.slowdown
    own = np.array([[one.slowdown] for one in config.backends])
    return np.maximum(1, np.rint(NOMINAL * own * models)).astype(np.int64)


def _energy(config: Config, scenario: Scenario) -> Ints:
    """Energy of a step, (S, V) in millijoules."""
    speed = _slowdowns(config, scenario) / [[NOMINAL * one.slowdown] for one in config.backends]
    per_step = np.array([[one.joule_per_step] for one in config.backends])
    return np.rint(1000 * per_step * speed).astype(np.int64)


def _memory(config: Config, scenario: Scenario) -> dict[str, Ints]:
    """Memory of servers, (S,), and of models, (V,)."""
    assert isinstance(scenario.servers, DeviceServers)
    needs = [model.memory_mib for model in scenario.servers.models]
    for backend in config.backends[: scenario.servers.count]:
        for model, need in zip(backend.models, needs, strict=True):
            if model and need > backend.memory_mib:
                raise ServingError(
                    f"backend '{backend.name}' has memory_mib = {backend.memory_mib}: its model "
                    f"'{model}' takes {need}; state its memory, or name the model \"\""
                )
    memory = [backend.memory_mib for backend in config.backends]
    return {
        "memory": np.array(memory, dtype=np.int64),
        "model_memory": np.array(needs, dtype=np.int64),
    }


def _links(config: Config, scenario: Scenario) -> dict[str, Ints]:
    """Neighbours of the gateway, nearest first and the cloud last, (G, N): all gateways' alike."""
    edge, cloud = scenario.servers.count, scenario.cloud
    apart = [math.dist(config.place_km, backend.place_km) for backend in config.backends[:edge]]
    count = scenario.num_neighbours - (cloud is not None)
    near = sorted(range(edge), key=lambda server: apart[server])[:count]
    links = {"neighbours": near + [edge] * (cloud is not None)}
    if network := scenario.network:
        middle = sum(network.bandwidth_mbit) / 2
        far = [round(network.latency_ms + network.ms_per_km * apart[one]) for one in near]
        slow = [round(8000 / (config.backends[one].bandwidth_mbit or middle)) for one in near]
        if cloud:
            far.append(round(cloud.latency_ms))
            slow.append(
                round(8000 / (config.backends[edge].bandwidth_mbit or cloud.bandwidth_mbit))
            )
        links |= {"propagation": far, "us_per_kb": slow}
    gateways = scenario.gateways.count
    return {name: np.tile(np.array(row), (gateways, 1)) for name, row in links.items()}
