"""Recipes: what drawing an episode takes of a scenario, made once, for compiled code."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np

from edge_marl.kernel.loading import NO_ROOM
from edge_marl.kernel.world import Floats, Ints
from edge_marl.scenario import Scenario
from edge_marl.scenario.arrivals import Arrivals
from edge_marl.scenario.section import MAX_TASKS
from edge_marl.scenario.servers import DeviceServers
from edge_marl.workload import drawing
from edge_marl.workload import entries as r
from edge_marl.workload.arrivals import has_processes
from edge_marl.workload.called import addresses
from edge_marl.workload.draft import Draft, is_linked
from edge_marl.workload.drawing import address_of_part, draw_into
from edge_marl.workload.episode_servers import NOMINAL
from edge_marl.workload.requests import least_requests
from edge_marl.workload.sampling import Streams, limits, ranks, threshold
from edge_marl.workload.topology import draw_topology

__all__ = ["Recipe", "draw", "recipe_of"]

Entries = dict[int, Any]
"""Numbers, and arrays for tables, by their names."""


class Recipe:
    """What compiled code draws the episodes of a scenario from (`entries.py`); `recipe_of` has it.

    Args:
        scenario: of the episodes.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.words = _words_of(_entries(scenario))
        self.address = int(self.words.ctypes.data)

    def __reduce__(self) -> tuple[Any, ...]:
        """Have another process make its own: functions lie elsewhere there."""
        return recipe_of, (self.scenario,)


@lru_cache(maxsize=64)
def recipe_of(scenario: Scenario) -> Recipe:
    """Return the recipe of a scenario; the same object for the same scenario."""
    return Recipe(scenario)


def draw(recipe: Recipe, draft: Draft, streams: Streams) -> None:
    """Draw an episode into a draft, which gets the room that it takes."""
    while draw_into(recipe.words, draft.words, streams.entropy) == NO_ROOM:
        draft.grow()


def _words_of(entries: Entries) -> Ints:
    """Return a recipe's words: numbers in their places, and tables after them."""
    words = np.zeros(r.NUM_ENTRIES, dtype=np.int64)
    tables = [words]
    at = r.NUM_ENTRIES
    for name, value in entries.items():
        if isinstance(value, np.ndarray):
            bits = np.ascontiguousarray(value).ravel().view(np.int64)
            words[name : name + 2] = at, len(bits)
            tables.append(bits)
            at += len(bits)
        else:
            words[name] = np.array(value).view(np.int64) if isinstance(value, float) else value
    words[r.SIZE] = at
    return np.concatenate(tables)


def _entries(scenario: Scenario) -> Entries:
    entries: Entries = {
        r.PARTS: _integers(address_of_part(part) for part in _parts(scenario)),
        **addresses(),
        r.SERVERS: scenario.servers.count,
        r.SERVICES: scenario.num_services,
        r.TYPES: scenario.num_types,
        r.GATEWAYS: scenario.gateways.count,
    }
    entries |= _of_arrivals(scenario) | _of_tasks(scenario) | _of_links(scenario)
    if has_processes(scenario):
        entries |= _of_loads(scenario)
    if law := scenario.gateways.sleep:
        entries |= {r.AWAKE_MS: 1000 * law.awake_s, r.ASLEEP_MS: 1000 * law.asleep_s}
        entries[r.ASLEEP_SHARE] = law.share
    if scenario.extended:
        entries |= _of_servers(scenario) | _of_outages(scenario)
    return entries


def _parts(scenario: Scenario) -> list[int]:
    """Return the parts that are drawn for an episode, in order; none of those of recordings."""
    law = scenario.tasks
    if scenario.replay:
        return []
    parts = [drawing.ARRIVALS if has_processes(scenario) else drawing.POISSON]
    if has_processes(scenario) or law.zipf or law.demand_share or law.sticky:
        parts.append(drawing.KINDS)
    if scenario.gateways.sleep:
        parts.append(drawing.SLEEPS)
    if scenario.extended:
        parts.append(drawing.ROWS)
        if law.classes:
            parts.append(drawing.CLASSES)
        if scenario.outages:
            parts.append(drawing.OUTAGES)
        parts.append(drawing.SERVERS)
        if is_linked(scenario):
            parts.append(drawing.LINKS)
    return parts


def _of_arrivals(scenario: Scenario) -> Entries:
    law = scenario.arrivals
    entries: Entries = {
        r.HORIZON: law.horizon_ms,
        r.RESOLUTION: law.resolution_ms,
        r.LEAST: least_requests(scenario),
        r.MOST_ROWS: MAX_TASKS,
        r.MEAN_GAP: 1000 / law.rate_per_s,
        r.RATE: law.rate_per_s / 1000,
        r.SHAPE: 1.0 if law.gap_cv == 1.0 else 1.0 / (law.gap_cv * law.gap_cv),
    }
    if law.bursts:
        ratio, quiet, busy = law.bursts.ratio, law.bursts.quiet_s, law.bursts.busy_s
        low = (quiet + busy) / (quiet + ratio * busy)
        entries |= {r.BURSTS: True, r.BUSY_SHARE: busy / (quiet + busy)}
        entries |= {r.BUSY_FACTOR: ratio * low, r.QUIET_FACTOR: low}
        entries |= {r.BUSY_MS: 1000 * busy, r.QUIET_MS: 1000 * quiet}
    return entries


def _of_loads(scenario: Scenario) -> Entries:
    """When the gateways' rates change, and by what."""
    law, count = scenario.arrivals, scenario.gateways.count
    hours, daily = _daily(law)
    periods = np.zeros(1, dtype=np.int64)
    entries: Entries = {r.SPOT_RATIO: 1.0}
    if law.hot_spots:
        periods = np.arange(0, max(law.horizon_ms, 1), law.hot_spots.period_ms)
        entries = {r.SPOT_RATIO: law.hot_spots.ratio, r.SPOTS: law.hot_spots.count}
        entries[r.SPOT_GATEWAYS] = law.hot_spots.gateways
    starts = np.union1d(hours, periods)
    return entries | {
        r.PERIODS: len(periods),
        r.EDGES: np.append(starts, law.horizon_ms),
        r.DAILY: daily[np.searchsorted(hours, starts, side="right") - 1],
        r.PERIOD_OF: np.searchsorted(periods, starts, side="right") - 1,
        r.LOADS: ranks(scenario.gateways.zipf, count),
    }


def _daily(law: Arrivals) -> tuple[Ints, Floats]:
    """When the parts of days begin (ms), and the rate in each over the day's mean."""
    parts = law.daily or (1.0,)
    if len(set(parts)) == 1:
        return np.zeros(1, dtype=np.int64), np.ones(1)
    mean = math.fsum(parts) / len(parts)
    number = np.arange(len(parts) * (law.horizon_ms // law.day_ms + 1))
    starts = number // len(parts) * law.day_ms + number % len(parts) * law.day_ms // len(parts)
    before = starts < max(law.horizon_ms, 1)
    return starts[before], (np.array(parts) / mean)[number[before] % len(parts)]


def _of_tasks(scenario: Scenario) -> Entries:
    law = scenario.tasks
    weights = tuple(ranks(law.zipf, law.types).tolist()) if law.zipf else ()
    entries: Entries = {
        r.USERS: law.users,
        r.STICKY: threshold(law.sticky),
        r.FAILING: threshold(law.fail_share),
        r.UPLOAD_LEAST: law.upload_kb[0],
        r.UPLOAD_CHOICES: law.upload_kb[1] - law.upload_kb[0] + 1,
        r.DOWNLOAD_LEAST: law.download_kb[0],
        r.DOWNLOAD_CHOICES: law.download_kb[1] - law.download_kb[0] + 1,
        r.DEMANDS: np.array([(t, law.run_time_ms(t)) for t in law.demand], dtype=np.int64),
        r.TYPE_BEGINS: limits(weights),
        r.DEMAND_BEGINS: limits(law.demand_share),
        r.STAGE_BEGINS: limits(law.stages),
        r.DEADLINES: _integers(round(1000 * seconds) for seconds in law.deadline_s),
    }
    if law.classes:
        entries[r.CLASS_BEGINS] = limits(tuple(each.share for each in law.classes))
        entries[r.CLASS_WEIGHTS] = _integers(each.thousandths for each in law.classes)
    if scenario.residency:
        modes = scenario.residency.load
        entries[r.LOAD_BEGINS] = limits(tuple(mode.share for mode in modes))
        entries[r.LOAD_MEDIANS] = np.array([1000 * mode.median_s for mode in modes])
        entries[r.LOAD_SPREADS] = np.array([mode.sd_log for mode in modes])
    return entries


def _of_servers(scenario: Scenario) -> Entries:
    """Of servers that are drawn for each episode, and of those that are not."""
    servers, cloud = scenario.servers, scenario.cloud
    entries: Entries = {r.RESIDENCY: scenario.residency is not None, r.CLOUD: cloud is not None}
    factors = [1.0] * servers.services
    if isinstance(servers, DeviceServers):
        entries |= _of_devices(servers, scenario.tasks.max_demand)
        factors = [model.slowdown for model in servers.models]
    else:
        own = draw_topology(scenario)
        entries |= {r.OWN_CAPACITY: own.capacity, r.OWN_BASELINE: own.baseline}
        entries |= {r.OWN_CURVE: own.curve}
        if own.slowdown is not None:
            entries[r.OWN_SLOWDOWN] = own.slowdown
            factors = [float(factor) for factor in own.slowdown[0] / NOMINAL]
    if cloud:
        entries[r.CLOUD_SLOWDOWN] = _slowdowns(cloud.slowdown * factor for factor in factors)
    return entries


def _of_devices(servers: DeviceServers, max_demand: int) -> Entries:
    devices, models = servers.devices, servers.models
    low, high = (_integers(round(1000 * model.quality[end]) for model in models) for end in (0, 1))
    sizes = [len(device.capacity) for device in devices]
    return {
        r.DEVICES: True,
        r.HOSTED: servers.hosted or servers.services,
        r.MOST_DEMAND: float(max_demand),
        r.DEVICE_BEGINS: limits(tuple(device.share for device in devices)),
        r.CAPACITIES: _integers(c for device in devices for c in device.capacity),
        r.CAPACITIES_AT: np.cumsum([0, *sizes]),
        r.DEVICE_MEMORY: _integers(device.memory_mib for device in devices),
        r.SLOWDOWNS: _slowdowns(d.slowdown * m.slowdown for d in devices for m in models),
        r.ENERGIES: _integers(
            round(1000 * d.joule_per_step * m.slowdown) for d in devices for m in models
        ),
        r.MODEL_MEMORY: _integers(model.memory_mib for model in models),
        r.QUALITY_LEAST: low,
        r.QUALITY_CHOICES: high - low + 1,
    }


def _of_links(scenario: Scenario) -> Entries:
    area, network, cloud = scenario.gateways.area_km, scenario.network, scenario.cloud
    entries: Entries = {
        r.LINKS: scenario.num_neighbours - (cloud is not None),
        r.AREA_X: max(1, round(1000 * area[0])),
        r.AREA_Y: max(1, round(1000 * area[1])),
    }
    if network:
        low, high = network.bandwidth_mbit
        entries |= {r.NETWORK: True, r.LATENCY: network.latency_ms, r.BANDWIDTH: low}
        entries |= {r.MS_PER_KM: network.ms_per_km, r.BANDWIDTH_RANGE: high - low}
    if cloud:
        entries[r.CLOUD_PROPAGATION] = round(cloud.latency_ms)
        entries[r.CLOUD_US_PER_KB] = round(8000 / cloud.bandwidth_mbit)
    return entries


def _of_outages(scenario: Scenario) -> Entries:
    law = scenario.outages
    if law is None:
        return {}
    gap_ms = 1000 * law.every_s / scenario.servers.count
    return {r.OUTAGE_GAP: gap_ms, r.REPAIR: 1000 * law.repair_s}


def _slowdowns(factors: Iterable[float]) -> Ints:
    """Slowdowns in thousandths of the reference."""
    return _integers(max(1, round(NOMINAL * factor)) for factor in factors)


def _integers(values: Iterable[int]) -> Ints:
    return np.array(list(values), dtype=np.int64)
