"""The most that a scenario can come to: how late an episode ends, how good a service is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from edge_marl.scenario.section import MAX_STAGES, MAX_TIME_MS
from edge_marl.scenario.servers import DeviceServers, DrawnServers, GivenServers

if TYPE_CHECKING:
    from edge_marl.scenario.scenario import Scenario

__all__ = ["latest_end_ms", "qualities"]

MAX_GAP = 37
"""More than the longest gap that is drawn, in mean gaps: the logarithm of 2^53."""

MAX_RISE = 0.95
"""The most that a drawn curve rises."""


def latest_end_ms(scenario: Scenario) -> int:
    """Return a time that no request of an extended scenario lasts past, in ms."""
    tasks, network, cloud = scenario.tasks, scenario.network, scenario.cloud
    arrival = scenario.arrivals.horizon_ms
    if scenario.episode.end == "last-task":  # the second request is waited for
        arrival = max(arrival, math.ceil(1000 * MAX_GAP / scenario.arrivals.rate_per_s))
    run_time = max(tasks.run_time_ms(demand) for demand in tasks.demand)
    stage = math.ceil(run_time * _max_slowdown(scenario)) + 1
    if scenario.residency:
        stage += MAX_TIME_MS // 8  # where drawn loads are cut
    if network:
        slowest = min(network.bandwidth_mbit[0], cloud.bandwidth_mbit if cloud else math.inf)
        size = 2 * max(tasks.upload_kb[1], tasks.download_kb[1]) + tasks.download_kb[1]
        apart = network.latency_ms + network.ms_per_km * math.hypot(*scenario.gateways.area_km)
        latency = max(apart, cloud.latency_ms if cloud else 0.0)
        stage += math.ceil(8 * size / slowest + 3 * latency) + 4
    return arrival + MAX_STAGES * stage


def _max_slowdown(scenario: Scenario) -> float:
    devices, models = [1.0], [1.0]
    if isinstance(scenario.servers, DeviceServers):
        devices = [device.slowdown for device in scenario.servers.devices]
        models = [model.slowdown for model in scenario.servers.models]
    if scenario.cloud:
        devices.append(scenario.cloud.slowdown)
    return max(devices) * max(models) + 0.001  # thousandths are rounded


def qualities(
    servers: DrawnServers | GivenServers | DeviceServers, own: float | None
) -> Iterator[tuple[str, float, float]]:
    """Yield where numbers are stated that may be large, and the qualities that they give.

    Args:
        servers: of which those that are drawn have qualities of the published range.
        own: baseline of services for their own type, if it is stated.
    """
    if not isinstance(servers, GivenServers):
        if own is not None:
            yield f"replay.own_quality = {own:g}", own, own + MAX_RISE
        return
    for s, (baselines, curves) in enumerate(zip(servers.baseline, servers.curve, strict=True)):
        for v, (kinds, (_, ay, _, by)) in enumerate(zip(baselines, curves, strict=True)):
            levels = kinds if own is None else (*kinds, own)
            rise = by - ay
            # The last bits of a point of the curve may lie past its end, which counts at 0 only.
            low = min(levels) + min(0.0, rise * (1 + 1e-12))
            place = f"servers.baseline.{s}.{v} and servers.curve.{s}.{v}"
            place += "" if own is None else f", with replay.own_quality = {own:g},"
            yield place, low, max(levels) + max(0.0, rise)
