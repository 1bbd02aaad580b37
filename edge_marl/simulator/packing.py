"""Scenario and topology as the kernel's arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl.kernel import world as k
from edge_marl.kernel.world import Floats, Ints
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario
from edge_marl.workload.topology import Topology

__all__ = [
    "or_else",
    "pack_links",
    "pack_offers",
    "pack_prices",
    "pack_rates",
    "pack_services",
    "pack_spec",
    "services_alike",
]


def pack_spec(scenario: Scenario, layout: ObservationLayout) -> Ints:
    """Return the kernel's `spec`."""
    spec = np.zeros(k.NUM_SPEC_ENTRIES, dtype=np.int64)
    spec[k.NUM_SERVERS] = scenario.num_servers
    spec[k.NUM_SERVICES] = scenario.num_services
    spec[k.NUM_TYPES] = scenario.num_types
    spec[k.END_AT_LAST_TASK] = scenario.episode.end == "last-task"
    spec[k.SUM_BY_SERVICE] = scenario.overload.loss_sum == "by-service"
    spec[k.HORIZON] = scenario.arrivals.horizon_ms
    spec[k.MAX_DEMAND] = layout.max_demand
    spec[k.MAX_RUN_TIME] = layout.max_run_time_ms
    spec[k.NUM_GATEWAYS] = scenario.gateways.count
    spec[k.SLOT] = scenario.clock.slot_ms
    spec[k.MAY_HOLD] = scenario.clock.hold
    spec[k.EXTENDED] = scenario.extended
    spec[k.NUM_LINKS] = scenario.num_neighbours
    spec[k.RESIDENCY] = scenario.residency is not None
    spec[k.CLOUD] = scenario.cloud is not None
    spec[k.REFUND] = scenario.overload.refund
    spec[k.RESTART] = scenario.overload.restart_ms
    spec[k.PERIOD] = scenario.telemetry.period_ms
    spec[k.MAX_CAPACITY] = layout.max_capacity
    return spec


def pack_rates(scenario: Scenario, layout: ObservationLayout) -> Floats:
    """Return the kernel's `rates`."""
    rates = np.zeros(k.NUM_RATES)
    rates[k.PENALTY] = scenario.overload.penalty
    rates[k.MAX_DEADLINE] = layout.max_deadline_ms
    rates[k.MAX_DELAY] = layout.max_delay_ms
    rates[k.MAX_DURATION] = layout.max_duration_ms
    return rates


def pack_services(topology: Topology) -> Floats:
    """Return the kernel's `services` row of a topology, (S * V, 4 + K)."""
    s, v, kinds = topology.baseline.shape
    packed = np.empty((s * v, k.BASELINE + kinds))
    ax, ay, bx, by = topology.curve.reshape(s * v, 4).T
    packed[:, k.AX], packed[:, k.BX] = ax, bx
    packed[:, k.RISE] = by - ay
    packed[:, k.SLOPE] = (by - ay) / (bx - ax)
    packed[:, k.BASELINE :] = topology.baseline.reshape(s * v, kinds)
    return packed


def pack_offers(topology: Topology) -> npt.NDArray[np.int32]:
    """Return the kernel's `offers` row of a topology, (S * V, 2)."""
    s, v, _ = topology.baseline.shape
    packed = np.empty((s, v, k.NUM_OFFER_COLUMNS), dtype=np.int32)
    packed[..., k.SLOWDOWN] = or_else(topology.slowdown, 1000)
    packed[..., k.NEEDS] = or_else(topology.model_memory, 0)
    if topology.hosted is not None:
        packed[..., k.SLOWDOWN] *= topology.hosted
    return packed.reshape(s * v, k.NUM_OFFER_COLUMNS)


def services_alike(topology: Topology) -> bool:
    """Return whether every service has the same qualities on all servers."""
    return bool(
        (topology.baseline == topology.baseline[0]).all()
        and (topology.curve == topology.curve[0]).all()
    )


def pack_prices(topology: Topology, scenario: Scenario) -> Floats:
    """Return the price of a denoising step at each place in utility, (S * V,)."""
    s, v, _ = topology.baseline.shape
    price = np.zeros((s, v))
    if topology.energy is not None:
        price += scenario.energy.weight * topology.energy / 1000
    if scenario.cloud is not None:
        price[-1] += scenario.cloud.price_per_step
    return price.reshape(s * v)


def pack_links(topology: Topology, scenario: Scenario) -> Ints:
    """Return the kernel's `links` row of a topology, (G, N, 3); no times without a network."""
    shape = (scenario.gateways.count, scenario.num_neighbours, k.NUM_LINK_COLUMNS)
    packed = np.empty(shape, dtype=np.int64)
    packed[..., k.SERVER] = or_else(topology.neighbours, np.arange(scenario.num_neighbours))
    packed[..., k.PROPAGATION :] = 0
    if scenario.network is not None:
        packed[..., k.PROPAGATION] = or_else(topology.propagation, 0)
        packed[..., k.US_PER_KB] = or_else(topology.us_per_kb, 0)
    return packed


def or_else(array: Any, default: Any) -> Any:
    """Return an array of a topology or a workload, or what stands for one that is not there."""
    return default if array is None else array
