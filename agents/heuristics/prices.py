"""What a denoising step of capacity is worth for a millisecond, learnt once per scenario.

Seconds to a minute of linear programs: their result is kept in the cache, by the scenario's digest,
and shipped for the tiers.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl import tiers
from edge_marl.bound import upper_bound
from edge_marl.draw import draw_workload
from edge_marl.errors import DataError
from edge_marl.files import cache_folder, write_file
from edge_marl.kernel.world import ARRIVAL
from edge_marl.scenario import Scenario
from edge_marl.scenario.games import tier_of_game
from edge_marl.scenario.generalisation import tier_of
from edge_marl.workload import Workload

__all__ = ["WORKLOADS", "Prices", "content_of", "learn_prices", "shipped_at", "solve_prices"]

WORKLOADS = 4
"""Training workloads, seeds 0 and up, that the prices are the mean over."""

VERSION = 1
"""Of the way prices are made: raised with every change of it, or of the bound's."""

Prices = npt.NDArray[np.float64]


@lru_cache(maxsize=16)
def learn_prices(scenario: Scenario) -> Prices:
    """Return prices per denoising step and ms of each neighbour, (N,), from training workloads.

    Those of a test set are its tier's: nothing is learnt on it. Those of a game are as well: what
    capacity is worth does not hang on when the gateways look.
    """
    if scenario.test_set_of is not None:
        return learn_prices(tier_of(scenario))
    if (tier := tier_of_game(scenario)) is not None:
        return learn_prices(tier)
    known = _read(scenario, shipped_at(scenario))
    if known is not None:
        return known
    path = cache_folder() / "prices" / f"{_key(scenario)}.json"
    known = _read(scenario, path)
    if known is None:
        known = solve_prices(scenario)
        with suppress(DataError):  # a folder that is closed to us costs time only
            write_file(path, content_of(scenario, known), DataError)
    return known


def solve_prices(scenario: Scenario) -> Prices:
    """Return the same, computed."""
    workloads = [draw_workload(scenario, k, split="train") for k in range(WORKLOADS)]
    prices = [_mean_prices(scenario, workload) for workload in workloads]
    if scenario.extended:
        edge = slice(scenario.servers.count)
        means = [
            np.average(price[edge], weights=workload.topology.capacity[edge])
            for price, workload in zip(prices, workloads, strict=True)
        ]
        return np.full(scenario.num_neighbours, np.mean(means))
    return np.asarray(np.mean(prices, axis=0))


def _mean_prices(scenario: Scenario, workload: Workload) -> Prices:
    """Return each server's price of a denoising step for a ms, mean over time, (S,)."""
    bound = upper_bound(scenario, workload)
    if bound.edges is not None:
        return np.average(bound.prices, axis=0, weights=np.diff(bound.edges))
    arrivals = workload.tasks[:, ARRIVAL]
    mean: Prices = bound.prices.sum(axis=0) / max(1, int(arrivals[-1] - arrivals[0]))
    return mean


def shipped_at(scenario: Scenario) -> Path:
    """Return where the prices of a tier are in the package; other scenarios have none there."""
    name = f"{scenario.release}-w{scenario.servers.world}.json"
    return Path(str(tiers.FOLDER)) / "prices" / name


def content_of(scenario: Scenario, prices: Prices) -> str:
    """Return the file that keeps prices: every bit of them."""
    facts = {"key": _key(scenario), "prices": prices.tolist()}
    return json.dumps(facts) + "\n"


def _key(scenario: Scenario) -> str:
    """SHA-256 (hex) of all that prices depend on."""
    facts = ["bid-price", VERSION, WORKLOADS, scenario.digest]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _read(scenario: Scenario, path: Path) -> Prices | None:
    """Return the prices in a file, or None where there is none or it is damaged or another's."""
    try:
        content: Any = json.loads(path.read_text("utf-8"))
        prices = np.array(content["prices"], dtype=np.float64)
        whole = content["key"] == _key(scenario) and prices.shape == (scenario.num_neighbours,)
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    return prices if whole and np.isfinite(prices).all() and (prices >= 0.0).all() else None
