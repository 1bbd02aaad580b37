"""Servers and gateways at recorded places: base stations and users in Melbourne's centre.

Places become whole metres first; what follows is integer arithmetic and the same everywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from edge_marl.data.copies import file_of
from edge_marl.data.loaders import Places, load_places
from edge_marl.errors import ScenarioError
from edge_marl.kernel.world import Ints

__all__ = ["Site", "settle"]

SITES = ("eua-melbourne", "edge-servers/site-optus-melbCBD.csv")
USERS = ("eua-melbourne", "users/users-melbcbd-generated.csv")

METRES_PER_DEGREE = 111_195
"""Of latitude, on a sphere of the Earth's mean radius, 6,371 km."""


@dataclass(frozen=True, eq=False)
class Site:
    """Where the servers and gateways of a scenario are."""

    servers: Ints
    """(S, 2) metres east and north of the south-western corner."""
    gateways: Ints
    """(G, 2) likewise."""
    gateway_of_user: Ints
    """(U,) the gateway nearest to each user's place."""


def settle(num_servers: int, num_gateways: int) -> Site:
    """Return servers and gateways at the base stations of eua-melbourne, users at their places.

    Stations are taken in one order for both: first the one nearest to the middle of the users, then
    always the one farthest from those taken (Gonzalez 1985), so that they cover the area. A gateway
    is a cluster of users: those to whom it is the nearest.

    Raises:
        DataError: eua-melbourne was not added, or is damaged.
        ScenarioError: more servers or gateways than stations.
    """
    return _settle(num_servers, num_gateways, file_of(*SITES), file_of(*USERS))


@lru_cache(maxsize=16)
def _settle(num_servers: int, num_gateways: int, sites: Path, users: Path) -> Site:
    stations, people = load_places(sites), load_places(users)
    corner = float(stations.latitude.min()), float(stations.longitude.min())
    at, users_at = _metres(stations, corner), _metres(people, corner)
    if max(num_servers, num_gateways) > len(at):
        raise ScenarioError(
            f"{num_servers} servers and {num_gateways} gateways: eua-melbourne has {len(at)} base "
            "stations: take fewer, or leave replay.places out"
        )
    taken = at[_spread_out(at, users_at.sum(axis=0) // len(users_at))]
    gateways = taken[:num_gateways]
    return Site(taken[:num_servers], gateways, squared_distances(users_at, gateways).argmin(axis=1))


def squared_distances(some: Ints, others: Ints) -> Ints:
    """Return the squared distances between places (A, 2) and (B, 2), (A, B), in square metres."""
    x = some[:, None, 0] - others[:, 0]
    y = some[:, None, 1] - others[:, 1]
    return x * x + y * y


def _metres(places: Places, corner: tuple[float, float]) -> Ints:
    """Places as whole metres east and north of a corner, (N, 2)."""
    east = METRES_PER_DEGREE * math.cos(math.radians(corner[0]))
    return np.column_stack(
        [
            np.rint((places.longitude - corner[1]) * east),
            np.rint((places.latitude - corner[0]) * METRES_PER_DEGREE),
        ]
    ).astype(np.int64)


def _spread_out(at: Ints, middle: Ints) -> Ints:
    """All stations in order: nearest to the middle, then farthest from those before."""
    order = [int(squared_distances(at, middle[None])[:, 0].argmin())]
    apart = squared_distances(at, at[order])[:, 0]
    for _ in range(len(at) - 1):
        # Twins of a taken station are 0 m away: those that are left come last, by number.
        farthest = np.where(np.isin(np.arange(len(at)), order), -1, apart).argmax()
        order.append(int(farthest))
        apart = np.minimum(apart, squared_distances(at, at[[farthest]])[:, 0])
    return np.array(order, dtype=np.int64)
