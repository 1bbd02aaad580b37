"""Scenario and topology as the kernel's arrays."""

from __future__ import annotations

import numpy as np

from edge_marl.kernel import world as k
from edge_marl.kernel.agenda import first_leaf
from edge_marl.kernel.world import Floats, Ints
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario
from edge_marl.workload.topology import Topology

__all__ = [
    "pack_growth",
    "pack_levels",
    "pack_rates",
    "pack_services",
    "pack_spec",
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
    spec[k.NETWORK] = scenario.network is not None
    spec[k.MAX_CAPACITY] = layout.max_capacity
    spec[k.PRICED] = scenario.energy.weight > 0
    spec[k.FIRST_LEAF] = first_leaf(scenario.num_servers)
    spec[k.TERMS] = scenario.has_terms
    spec[k.MAX_WAITING] = layout.max_waiting
    spec[k.CONCURRENCY] = scenario.concurrency is not None
    spec[k.NUM_LEVELS] = scenario.num_levels
    spec[k.MAY_DECLINE] = scenario.decline is not None
    spec[k.WEIGHTED] = bool(scenario.tasks.classes)
    return spec


def pack_rates(scenario: Scenario, layout: ObservationLayout) -> Floats:
    """Return the kernel's `rates`."""
    rates = np.zeros(k.NUM_RATES)
    rates[k.PENALTY] = scenario.overload.penalty
    rates[k.MAX_DEADLINE] = layout.max_deadline_ms
    rates[k.MAX_DELAY] = layout.max_delay_ms
    rates[k.MAX_DURATION] = layout.max_duration_ms
    rates[k.ENERGY_WEIGHT] = scenario.energy.weight
    rates[k.MAX_WEIGHT] = layout.max_weight
    if scenario.cloud is not None:
        rates[k.CLOUD_PRICE] = scenario.cloud.price_per_step
    if scenario.decline is not None:
        rates[k.DECLINE_PRICE] = scenario.decline.price
    return rates


def pack_levels(scenario: Scenario) -> Ints:
    """Return the kernel's `levels`."""
    shares = scenario.levels.thousandths if scenario.levels else (1000,)
    return np.array(shares, dtype=np.int64)


def pack_growth(scenario: Scenario) -> Ints:
    """Return the kernel's `growth`."""
    services, part = scenario.num_services, scenario.concurrency
    growth = part.thousandths(services) if part else (0,) * services
    return np.array(growth, dtype=np.int64)


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
