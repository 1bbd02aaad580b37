"""Places found from lists of neighbours are those that the lists were made of."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge_marl.envs.render.places import places_of

Floats = npt.NDArray[np.float64]


def nearest(gateways: Floats, servers: Floats, count: int) -> npt.NDArray[np.int64]:
    apart = ((gateways[:, None] - servers[None]) ** 2).sum(axis=-1)
    return np.ascontiguousarray(apart.argsort(axis=1)[:, :count])


def likeness(one: Floats, other: Floats) -> float:
    """How well one fits the other, turned, mirrored, moved and scaled (Procrustes): 1 is exact."""
    one, other = one - one.mean(axis=0), other - other.mean(axis=0)
    turned = np.linalg.svd(one.T @ other, compute_uv=False).sum()
    return float(turned / np.sqrt((one**2).sum() * (other**2).sum()))


def test_the_near_are_near() -> None:
    generator = np.random.default_rng(0)
    servers, gateways = generator.random((50, 2)), generator.random((20, 2))
    found = places_of(nearest(gateways, servers, 11), 50)
    assert found is not None
    assert likeness(np.concatenate([servers, gateways]), np.concatenate(found)) > 0.9
    assert all(places.min() >= 0 and places.max() <= 1 for places in found)


def test_islands_lie_beside_the_mainland_and_who_is_reached_by_nobody_nowhere() -> None:
    mainland, island = [[0, 1, 2], [1, 2, 3], [2, 3, 0]], [[5, 6, 7]]
    found = places_of(np.array(mainland + island), 9)
    assert found is not None
    servers, gateways = found
    assert np.isnan(servers[[4, 8]]).all()
    assert np.isfinite(servers[[0, 1, 2, 3, 5, 6, 7]]).all()
    assert servers[:4, 0].max() < servers[5:8, 0].min()
    assert gateways[:3, 0].max() < gateways[3, 0]


def test_where_all_reach_the_same_there_are_no_places() -> None:
    assert places_of(np.array([[0, 1, 2], [0, 1, 2]]), 3) is None
    assert places_of(np.array([[2, 0, 1]]), 3) is None
    assert places_of(np.zeros((2, 0), dtype=np.int64), 3) is None
