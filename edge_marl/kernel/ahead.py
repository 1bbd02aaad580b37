"""What a step will touch, asked for ahead of its use.

With hundreds of environments none of it is in the first cache any more, and the processor waits for
one line after the other. Asked for early, they come at the same time. Nothing here changes
anything.
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from edge_marl.kernel.terms import number_of
from edge_marl.kernel.world import (
    ALIKE,
    DONE,
    FIRST_LEAF,
    GATEWAY,
    GOING_ON,
    NUM_LINKS,
    NUM_SERVICES,
    NUM_TASKS,
    SERVER,
    SERVER_FEATURES,
    SHOWN,
    TOPOLOGY,
    Ints,
    World,
)

LINE = 16  # 32-bit numbers of a cache line


def fetch_line(array: npt.NDArray[Any], index: tuple[int, ...]) -> None:
    """Ask for the memory at an index ahead of its use: nothing here, `compiled.py` has its own."""


def fetch_base(w: World, e: int, server: int) -> None:
    """Base model: ask for what a step of environment e will touch."""
    k = w.episode[e, SHOWN]
    fetch_line(w.tasks, (e, k, 0))
    fetch_line(w.tasks, (e, k + 1, 0))
    fetch_line(w.rewards, (e, k))
    fetch_line(w.servers, (e, 0, 0))
    fetch_line(w.servers, (e, server, 0))
    fetch_line(w.running, (e, server, 0, 0))
    fetch_line(w.ends, (e, server, 0))
    fetch_line(w.soonest, (e, 0))
    fetch_line(w.soonest, (e, w.spec[FIRST_LEAF] + server))
    fetch_line(w.observations, (e, 0))
    fetch_line(w.observations, (e, SERVER_FEATURES * server))


# The extended model's come in turn for a group of environments, each with what the one before it
# brought: the task that is shown, the link that it goes by, the server there; and after the
# decision the links of the next task's gateway, and the servers there.


def fetch_ahead(w: World, first: int, stop: int, actions: Ints) -> None:
    """Extended model: ask for what decisions of environments first..stop-1 will touch."""
    for e in range(first, stop):
        fetch_task(w, e)
    for e in range(first, stop):
        fetch_link(w, e, actions[e])
    for e in range(first, stop):
        fetch_server(w, e, actions[e])


def fetch_task(w: World, e: int) -> None:
    """Ask for the task that is shown, and those after it."""
    k = w.episode[e, SHOWN]
    fetch_line(w.tasks, (e, k, 0))
    fetch_line(w.tasks, (e, k + 1, 0))
    fetch_line(w.tasks, (e, k + 2, 0))
    fetch_line(w.details, (e, k, 0))
    fetch_line(w.details, (e, k + 1, 0))
    fetch_line(w.details, (e, k + 2, 0))
    fetch_line(w.rewards, (e, k))
    fetch_line(w.values, (e, k))
    fetch_line(w.agenda, (e, 0))
    fetch_line(w.soonest, (e, 0))
    fetch_line(w.soonest, (e, 8))
    fetch_line(w.needs, (w.episode[e, TOPOLOGY], 0))


def link_of(w: World, action: int) -> int:
    """Return the link that an action goes by; the last for one that goes by none."""
    return int(min(number_of(w, action) // w.spec[NUM_SERVICES], w.spec[NUM_LINKS] - 1))


def fetch_link(w: World, e: int, action: int) -> None:
    """Ask for the link that an action goes by."""
    if w.episode[e, DONE] == GOING_ON:
        k = w.episode[e, SHOWN]
        link = link_of(w, action)
        fetch_line(w.links, (w.episode[e, TOPOLOGY], w.tasks[e, k, GATEWAY], link, SERVER))


def fetch_server(w: World, e: int, action: int) -> None:
    """Ask for the server that an action goes to."""
    if w.episode[e, DONE] == GOING_ON:
        k = w.episode[e, SHOWN]
        topology = w.episode[e, TOPOLOGY]
        services = w.spec[NUM_SERVICES]
        server = w.links[topology, w.tasks[e, k, GATEWAY], link_of(w, action), SERVER]
        service = number_of(w, action) % services
        place = server * services + service
        fetch_line(w.slowdowns, (topology, place))
        judged = action % services if w.episode[e, ALIKE] == 1 else place
        fetch_line(w.services, (topology, judged, 0))
        fetch_line(w.sites, (e, server, 0))
        fetch_line(w.servers, (e, server, 0))
        fetch_line(w.models, (e, server, service, 0))
        fetch_line(w.memory, (topology, server))
        fetch_line(w.running, (e, server, 0, 0))
        fetch_line(w.ends, (e, server, 0))
        fetch_line(w.soonest, (e, w.spec[FIRST_LEAF] + server))


def fetch_gateway(w: World, e: int) -> None:
    """Ask for the links of the gateway that will look, and for what its own services are worth."""
    k = w.episode[e, SHOWN]
    if k < w.episode[e, NUM_TASKS]:
        topology, g = w.episode[e, TOPOLOGY], w.tasks[e, k, GATEWAY]
        for link in range(0, w.spec[NUM_LINKS], 4):
            fetch_line(w.links, (topology, g, link, 0))
        for service in range(w.spec[NUM_SERVICES]):
            fetch_line(w.services, (topology, service, 0))


def fetch_neighbours(w: World, e: int) -> None:
    """Ask for the servers that the gateway will look at, and for where what it sees is written."""
    k = w.episode[e, SHOWN]
    if k < w.episode[e, NUM_TASKS]:
        topology = w.episode[e, TOPOLOGY]
        g = w.tasks[e, k, GATEWAY]
        own = w.links[topology, g, 0, SERVER]
        fetch_line(w.sites, (e, own, 0))
        fetch_line(w.servers, (e, own, 0))
        for link in range(w.spec[NUM_LINKS]):
            server = w.links[topology, g, link, SERVER]
            fetch_line(w.telemetry, (e, server, 0))
            fetch_line(w.slowdowns, (topology, server * w.spec[NUM_SERVICES]))
    for at in range(0, w.observations.shape[1], LINE):
        fetch_line(w.observations, (e, at))
