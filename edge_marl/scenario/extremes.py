"""The best and the worst that a service can be, from what a scenario states."""

from __future__ import annotations

from collections.abc import Iterator

from edge_marl.scenario.servers import DeviceServers, DrawnServers, GivenServers

__all__ = ["qualities"]

MAX_RISE = 0.95
"""The most that a drawn curve rises."""


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
