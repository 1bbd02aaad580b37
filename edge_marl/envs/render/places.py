"""Places on a map, found from who reaches whom.

Where a server is decides only which gateways have it among their nearest, and in what order: that
is what a workload holds, a drawn one, a recorded one or one of a user's own. From those lists come
places at which the near are near, up to a turn and a mirror image. The r-th nearest of servers that
lie evenly is sqrt(r) away, what is not linked is as far as the shortest way there, and the plane
that fits those distances best is that of classical scaling with landmarks (de Silva and Tenenbaum
2004).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from scipy.sparse import coo_array

__all__ = ["places_of"]

Floats = npt.NDArray[np.float64]

LANDMARKS = 64
"""Gateways that distances are measured from, at most."""

ROUNDS = 100
"""Times that every place is moved to where its links would have it."""


def places_of(neighbours: npt.NDArray[np.int64], num_servers: int) -> tuple[Floats, Floats] | None:
    """Return where edge servers (S, 2) and gateways (G, 2) are, in a square of side 1.

    Servers that no gateway reaches are nowhere (NaN). None if all gateways have the same list, or
    there is only one: then there are no places.

    Args:
        neighbours: (G, N) edge servers that each gateway may send to, nearest first.
        num_servers: edge servers S.
    """
    if not neighbours.size or (neighbours == neighbours[0]).all():
        return None
    from scipy.sparse.csgraph import connected_components

    gateways, count = neighbours.shape
    at = np.full((gateways + num_servers, 2), np.nan)
    graph = _ways(neighbours, num_servers)
    _, parts = connected_components(graph, directed=False)
    x = y = 0.0
    for part in _by_size(parts, gateways):
        found = _scaled(graph, part, np.flatnonzero(part < gateways))
        found = _relaxed(found, graph[part][:, part].tocoo()) + count**0.5
        at[part] = found + np.array([x, y])
        # The largest part is the mainland; the others are islands in a column beside it.
        y = y + float(found[:, 1].max()) if x else 0.0
        x = x or float(found[:, 0].max())
    known = np.isfinite(at[:, 0])
    at[known] = _in_a_square(at[known])
    return at[gateways:], at[:gateways]


def _ways(neighbours: npt.NDArray[np.int64], servers: int) -> coo_array:
    """Return how far gateways and servers that are linked are from each other (G + S, G + S)."""
    from scipy.sparse import coo_array

    gateways, count = neighbours.shape
    length = np.tile(np.sqrt(np.arange(1, count + 1)), gateways)
    ends = np.repeat(np.arange(gateways), count), gateways + neighbours.ravel()
    return coo_array((length, ends), shape=(gateways + servers, gateways + servers)).tocsr()


def _by_size(parts: npt.NDArray[np.int32], gateways: int) -> list[npt.NDArray[np.int64]]:
    """Return the gateways and servers of each part that has a gateway, the largest part first."""
    having = [np.flatnonzero(parts == part) for part in np.unique(parts[:gateways])]
    return sorted(having, key=len, reverse=True)


def _scaled(
    graph: coo_array, part: npt.NDArray[np.int64], gateways: npt.NDArray[np.int64]
) -> Floats:
    """Return the places (K, 2) of a connected part that fit its ways best, from (0, 0) on.

    Args:
        graph: ways between all.
        part: (K,) who is in it.
        gateways: which of the K are gateways.
    """
    from scipy.sparse.csgraph import dijkstra

    some = np.linspace(0, len(gateways) - 1, min(len(gateways), LANDMARKS)).astype(np.int64)
    landmarks = gateways[some]
    squares = dijkstra(graph, directed=False, indices=part[landmarks])[:, part] ** 2
    mean = squares[:, landmarks].mean(axis=1)
    centred = squares[:, landmarks] - mean[:, None] - mean[None, :] + mean.mean()
    values, vectors = np.linalg.eigh(-centred / 2)
    # Of one or two gateways there are fewer than two directions that count.
    axes = np.maximum(values[:-3:-1], 1e-9), vectors[:, :-3:-1]
    found = np.zeros((len(part), 2))
    found[:, : axes[1].shape[1]] = (mean[:, None] - squares).T @ (axes[1] / np.sqrt(axes[0])) / 2
    return found


def _relaxed(at: Floats, links: coo_array) -> Floats:
    """Return places (K, 2), from (0, 0) on, of which each is at the links' lengths from others.

    Long ways round a hole make the rest of a map narrow: links that are then too short widen it.
    """
    ends = np.concatenate([links.row, links.col]), np.concatenate([links.col, links.row])
    length = np.tile(links.data, 2)
    degree = np.bincount(ends[0], minlength=len(at))[:, None]
    # Of places on one line none leaves it by itself: each is moved a little, by its number.
    turn = 2.4 * np.arange(len(at))
    at = at + 0.3 * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    for _ in range(ROUNDS):
        away = at[ends[0]] - at[ends[1]]
        apart = np.maximum(np.sqrt((away**2).sum(axis=1)), 1e-6)
        push = away * ((length - apart) / (2 * apart))[:, None]
        moves = [np.bincount(ends[0], push[:, axis], len(at)) for axis in range(2)]
        at = at + np.stack(moves, axis=1) / degree
    from_zero: Floats = at - at.min(axis=0)
    return from_zero


def _in_a_square(at: Floats) -> Floats:
    """Return places that fill a square of side 1, half of the way to filling it evenly."""
    low, high = at.min(axis=0), at.max(axis=0)
    plain = (at - low) / np.maximum(high - low, 1e-9)
    ranks = at.argsort(axis=0).argsort(axis=0) / max(len(at) - 1, 1)
    even: Floats = (plain + ranks) / 2
    return even
