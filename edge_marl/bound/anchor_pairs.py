"""The two ends of the normalised score for each workload: random dispatch and the upper bound.

Of a scenario in slots both are those of the game of gateways. They are functions of scenario and
workload alone, so they are computed once: released tiers ship those of their test workloads
(`edge_marl/tiers/anchors`, `edge_marl.benchmarks.release.anchors`), all others are kept in a folder
of the user's, one small JSON file per workload.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_marl import tiers
from edge_marl.bound.by_model import upper_bound
from edge_marl.errors import DataError
from edge_marl.files import cache_folder, write_file
from edge_marl.kernel.world import GOING_ON
from edge_marl.scenario import Scenario
from edge_marl.simulator import Simulator
from edge_marl.simulator.gateways import GatewaySimulator
from edge_marl.workload import Workload

__all__ = ["VERSION", "Anchors", "anchors", "cached_pair", "shipped_name", "shipped_pairs"]

VERSION = 1
"""Of the definitions of both ends: raised when either would come out differently."""

RANDOM_EPISODES = 64
"""Action sequences that the random end is the mean of."""
MOST_SERVERS = 2**14
"""Servers of all environments that are played at one time, for the sake of memory."""

Pair = tuple[float, float]
"""Random end and bound of one workload, in return (sum of rewards)."""


@dataclass(frozen=True, eq=False)
class Anchors:
    """Both ends of the normalised score, (return - random) / (bound - random), per workload."""

    random: npt.NDArray[np.float64]
    """(n,) mean return of uniform random dispatch."""
    bound: npt.NDArray[np.float64]
    """(n,) certified upper bound on any return."""


def anchors(
    scenario: Scenario, workloads: Sequence[Workload], cache_dir: str | Path | None = None
) -> Anchors:
    """Return both ends for each workload: shipped, from the cache, or computed and cached.

    Args:
        scenario: what the workloads are played in.
        workloads: n workloads.
        cache_dir: folder of the cache; by default `$EDGE_MARL_CACHE`, or else the user's cache
            folder. A folder that cannot be written to costs only time.

    Raises:
        ScenarioError: if there is no bound for the scenario (`bound.has_bound`).
        WorkloadError: if a workload does not fit the scenario, or is too large to be bounded.
    """
    known = shipped_pairs(scenario)
    pairs = [
        known.get(workload.digest) or cached_pair(scenario, workload, cache_dir)
        for workload in workloads
    ]
    table = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    return Anchors(random=table[:, 0].copy(), bound=table[:, 1].copy())


def cached_pair(
    scenario: Scenario, workload: Workload, cache_dir: str | Path | None = None
) -> Pair:
    """Return the pair of one workload from the cache, computing it where it is not there."""
    folder = Path(cache_dir or cache_folder()) / "anchors"
    path = folder / f"{_key(scenario, workload)}.json"
    pair = _read(path)
    if pair is None:
        bound = upper_bound(scenario, workload).value
        pair = random_return(scenario, workload), bound
        _write(path, pair)
    return pair


def random_return(scenario: Scenario, workload: Workload) -> float:
    """Return the mean return of 64 uniform random sequences of legal actions, to six decimals.

    Their words come from a PCG64 stream seeded by the workload's digest, so that the figure is the
    same everywhere and workloads do not share their luck. In slots each gateway takes a random
    action for its task, as agent `random` does in the game: none is held.
    """
    decisions = workload.num_decisions(scenario)
    words = np.random.PCG64(int(workload.digest, 16)).random_raw(decisions * RANDOM_EPISODES)
    shares = (words >> np.uint64(32)).astype(np.int64).reshape(decisions, RANDOM_EPISODES)
    in_slots = scenario.clock.slot_ms > 0
    each = scenario.num_servers * (scenario.gateways.count if in_slots else 1)
    at_once = max(1, min(RANDOM_EPISODES, MOST_SERVERS // each))
    rewards_of = _random_rewards_in_slots if in_slots else _random_rewards
    returns = []
    for first in range(0, RANDOM_EPISODES, at_once):
        rows = shares[:, first : first + at_once]
        returns.append(rewards_of(scenario, workload, rows))
    return round(math.fsum(chain.from_iterable(returns)) / RANDOM_EPISODES, 6)


def _random_rewards(
    scenario: Scenario, workload: Workload, shares: npt.NDArray[np.int64]
) -> Iterable[float]:
    """Return the rewards of the episodes that words of 32 bits choose, (decisions, episodes)."""
    simulator = Simulator(scenario, num_envs=shares.shape[1])
    for episode in range(shares.shape[1]):
        simulator.load(episode, workload)
    rewards = np.zeros(shares.shape)
    for words, row in zip(shares, rewards, strict=True):
        simulator.step(_pick(simulator.feasible, words), row)
        if (simulator.done != GOING_ON).all():
            break
    return rewards.flat


def _random_rewards_in_slots(
    scenario: Scenario, workload: Workload, shares: npt.NDArray[np.int64]
) -> Iterable[float]:
    """Return the same of the game in slots: of a row's words, gateways in order take the next."""
    count = shares.shape[1]
    simulator = GatewaySimulator(scenario, num_envs=count)
    for episode in range(count):
        simulator.load(episode, workload)
    taken = np.zeros((count, 1), dtype=np.int64)
    rewards = np.zeros((count, simulator.num_gateways))
    returns: list[float] = []
    while (simulator.done == GOING_ON).any():
        waiting = simulator.waiting
        turn = np.minimum(taken + np.cumsum(waiting, axis=1), len(shares)) - 1
        words = np.take_along_axis(shares.T, turn, axis=1)
        choices = _pick(simulator.masks[:, :-1], words.ravel()).reshape(waiting.shape)
        simulator.play(np.where(waiting, choices, simulator.nothing), rewards)
        returns.extend(rewards.flat)
        taken += waiting.sum(axis=1, keepdims=True)
    return returns


def _pick(masks: npt.NDArray[np.int8], words: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the legal action that a word of each row, of 32 bits, chooses; 0 if none is legal."""
    legal = np.cumsum(masks, axis=1, dtype=np.int64)
    # The word, scaled to the number of legal actions (bias below count / 2**32).
    rank = words * legal[:, -1] >> 32
    action: npt.NDArray[np.int64] = (legal > rank[:, None]).argmax(axis=1)
    return action


def shipped_name(scenario: Scenario) -> str:
    """File name of a tier's shipped anchors, such as `paper-w0.json` or `campus@1-w0.json`."""
    return f"{scenario.release}-w{scenario.servers.world}.json"


def shipped_pairs(scenario: Scenario) -> Mapping[str, Pair]:
    """Return the shipped pairs by workload digest; none where the package has none."""
    return _shipped(shipped_name(scenario), scenario.digest)


@lru_cache(maxsize=16)
def _shipped(name: str, scenario_digest: str) -> dict[str, Pair]:
    """Pairs by workload digest; none for a scenario or a version that they are not of."""
    file = tiers.FOLDER.joinpath("anchors", name)
    if not file.is_file():
        return {}
    content = json.loads(file.read_text("utf-8"))
    if (content["scenario"], content["version"]) != (scenario_digest, VERSION):
        return {}
    return {digest: (low, high) for digest, (low, high) in content["workloads"].items()}


def _key(scenario: Scenario, workload: Workload) -> str:
    """SHA-256 of all that a pair depends on: the workload holds the servers and the tasks."""
    facts: tuple[object, ...]
    if scenario.clock.slot_ms:
        facts = (VERSION, workload.digest, scenario.digest, "of the game in slots")
    elif scenario.extended:
        facts = (VERSION, workload.digest, scenario.digest)
    else:
        rules = scenario.overload.model_dump(mode="json", include={"penalty", "loss_sum"})
        facts = (VERSION, workload.digest, scenario.episode.end, sorted(rules.items()))
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _read(path: Path) -> Pair | None:
    """The pair in a cache file, or None where there is none or the file is damaged."""
    try:
        content = json.loads(path.read_text("utf-8"))
        pair = float(content["random"]), float(content["bound"])
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    return pair if math.isfinite(pair[0]) and pair[0] <= pair[1] < math.inf else None


def _write(path: Path, pair: Pair) -> None:
    """Write a cache file; where the folder is closed to us, none."""
    with suppress(DataError):
        write_file(path, json.dumps({"random": pair[0], "bound": pair[1]}) + "\n", DataError)
