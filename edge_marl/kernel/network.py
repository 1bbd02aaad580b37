"""Times on the network and on servers of other speeds."""

from __future__ import annotations

from edge_marl.kernel.world import (
    AFTER,
    DOWNLOAD,
    GATEWAY,
    PROPAGATION,
    STAGE,
    TOPOLOGY,
    UPLOAD,
    US_PER_KB,
    VIA,
    World,
)


def link_time(w: World, e: int, g: int, link: int, size: int) -> int:
    """Time that `size` kB take over a link, in ms."""
    topology = w.episode[e, TOPOLOGY]
    sending = (size * w.links[topology, g, link, US_PER_KB] + 999) // 1000
    return int(w.links[topology, g, link, PROPAGATION] + sending)


def input_time(w: World, e: int, k: int, link: int) -> int:
    """Time until the input of task k is at the server of a link.

    That of a later stage lies at the server of the stage before and goes through the gateway.
    """
    g = w.tasks[e, k, GATEWAY]
    size = w.details[e, k, UPLOAD]
    time = link_time(w, e, g, link, size)
    if w.details[e, k, STAGE] > 0:
        source = w.details[e, k - 1, VIA]
        if source == link:
            return 0
        time += link_time(w, e, g, source, size)
    return time


def return_time(w: World, e: int, k: int, link: int) -> int:
    """Time that the result of task k takes to its gateway; 0 if a stage follows."""
    if w.details[e, k, AFTER] > 0:
        return 0
    return link_time(w, e, w.tasks[e, k, GATEWAY], link, w.details[e, k, DOWNLOAD])


def slowed(run_time: int, slowdown: int) -> int:
    """Run time with a slowdown in thousandths, rounded up."""
    return (run_time * slowdown + 999) // 1000
