"""Times on the network and on servers of other speeds."""

from __future__ import annotations

from edge_marl.kernel.world import (
    AFTER,
    DOWNLOAD,
    GATEWAY,
    NOWHERE,
    PROPAGATION,
    STAGE,
    TOPOLOGY,
    UPLOAD,
    US_PER_KB,
    VIA,
    World,
)

WHOLE = 2.0**52
"""From here to its double, numbers of 64 bits are whole: adding it rounds to the nearest."""


def thousandths(amount: float) -> float:
    """Return a whole amount of thousandths in wholes, rounded up, without an integer division.

    Exact for amounts up to 2^51, and those of a workload are below 2^51 (`Workload._check_times`):
    1000 n - r with r from 0 to 999 gives n + (499.5 - r) / 1000, which is at least .0005 from what
    would be rounded to another number than n; the errors of the factor and of the product, 2^-55
    and 2^-53 of n < 2^42, come to less.
    """
    return (amount + 499.5) * 0.001 + WHOLE - WHOLE


def sending(size: float, us_per_kb: int) -> float:
    """Time to send `size` kB, in ms."""
    return thousandths(size * us_per_kb)


def slowed(run_time: float, slowdown: int) -> float:
    """Run time with a slowdown in thousandths, in ms."""
    return thousandths(run_time * slowdown)


def stretched(run_time: int, slowdown: int, growth: int) -> int:
    """Run time with a slowdown, and then grown by more thousandths, in ms."""
    duration = slowed(float(run_time), slowdown)
    return int(thousandths(duration * (1000 + growth)))


def link_time(w: World, e: int, g: int, link: int, size: int) -> int:
    """Time that `size` kB take over a link, in ms."""
    topology = w.episode[e, TOPOLOGY]
    took = sending(float(size), w.links[topology, g, link, US_PER_KB])
    return int(w.links[topology, g, link, PROPAGATION] + took)


def moving_time(w: World, e: int, k: int) -> int:
    """Time that the input of task k takes to its gateway: of a later stage it is on a server."""
    if w.details[e, k, STAGE] == 0:
        return 0
    g = w.tasks[e, k, GATEWAY]
    return link_time(w, e, g, w.details[e, k - 1, VIA], w.details[e, k, UPLOAD])


def source_of(w: World, e: int, k: int) -> int:
    """Return the link whose server the input of task k lies on, or NOWHERE."""
    return int(w.details[e, k - 1, VIA]) if w.details[e, k, STAGE] > 0 else NOWHERE


def input_time(w: World, e: int, k: int, link: int) -> int:
    """Time until the input of task k is at the server of a link.

    That of a later stage lies at the server of the stage before and goes through the gateway.
    """
    if link == source_of(w, e, k):
        return 0
    there = link_time(w, e, w.tasks[e, k, GATEWAY], link, w.details[e, k, UPLOAD])
    return moving_time(w, e, k) + there


def return_time(w: World, e: int, k: int, link: int) -> int:
    """Time that the result of task k takes to its gateway; 0 if a stage follows."""
    if w.details[e, k, AFTER] > 0:
        return 0
    return link_time(w, e, w.tasks[e, k, GATEWAY], link, w.details[e, k, DOWNLOAD])
