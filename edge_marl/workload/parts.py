"""The names of workloads: splits and seeds; and parts that are drawn for recorded requests too."""

from __future__ import annotations

import operator
from typing import Any, Literal

import numpy as np

from edge_marl.errors import WorkloadError
from edge_marl.jit import program
from edge_marl.kernel.loading import NO_ROOM
from edge_marl.kernel.world import Ints
from edge_marl.scenario import Scenario
from edge_marl.workload import arrivals, episode_servers, requests
from edge_marl.workload.draft import Draft, is_linked
from edge_marl.workload.recipe import recipe_of
from edge_marl.workload.sampling import Streams
from edge_marl.workload.topology import Topology
from edge_marl.workload.words import Words

__all__ = [
    "PUBLIC_SEEDS",
    "SPLITS",
    "Split",
    "check_seed",
    "draw_around",
    "draw_details",
    "draw_sleeps",
    "draw_weights",
]

Split = Literal["train", "validation", "test"]
SPLITS: dict[Split, int] = {"train": 0, "validation": 1, "test": 2}
"""Spawn key of each split: no workload of one is a workload of another."""

PUBLIC_SEEDS = 100
"""`validation` and `test` have the seeds 0..99."""


fill_details, fill_weights = map(program, (requests.fill_details, requests.fill_weights))
draw_outages = program(episode_servers.draw_outages)
fill_sleeps = program(arrivals.draw_sleeps)
draw_servers, draw_links = map(program, (episode_servers.draw_servers, episode_servers.draw_links))


def check_seed(seed: Any, name: str = "seed") -> int:
    """Return a seed, or another number that names a stream, as Python's whole number.

    Raises:
        WorkloadError: if it is none, or negative.
    """
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if number < 0:
        raise WorkloadError(f"{name} {seed!r}: must be a whole number, 0 or larger")
    return number


def draw_details(scenario: Scenario, words: Words) -> Ints:
    """Return load time, input, result and failure of tasks, (N, 4): columns LOAD_TIME .. FAILS.

    Args:
        scenario: whose residency and tasks state the laws.
        words: (N, WORDS_PER_DETAIL) of them per task.
    """
    drawn: Ints = fill_details(recipe_of(scenario).words, words.ravel())
    return drawn


def draw_weights(scenario: Scenario, words: Words) -> Ints:
    """Return the weights of requests in thousandths, (R,).

    Args:
        scenario: whose classes of service state the law.
        words: (R,).
    """
    drawn: Ints = fill_weights(recipe_of(scenario).words, words)
    return drawn


def draw_around(
    scenario: Scenario, streams: Streams, places: tuple[Ints, Ints] | None
) -> tuple[Topology, Ints | None]:
    """Return the servers of an episode of an extended scenario, and their failures (None: never).

    Args:
        scenario: of the episode.
        streams: of the episode.
        places: of edge servers (S, 2) and gateways (G, 2) in metres; None draws them.
    """
    recipe, draft, entropy = recipe_of(scenario), Draft(scenario), streams.entropy
    while scenario.outages and draw_outages(recipe.words, draft.words, entropy) == NO_ROOM:
        draft.grow()
    draw_servers(recipe.words, draft.words, entropy)
    if is_linked(scenario):
        nowhere = np.empty((0, 2), dtype=np.int64)
        draw_links(recipe.words, draft.words, entropy, *(places or (nowhere, nowhere)))
    return draft.topology, draft.outages


def draw_sleeps(scenario: Scenario, streams: Streams) -> Ints | None:
    """Return the sleeps of gateways in an episode, (Z, 3); None where the scenario has none."""
    if scenario.gateways.sleep is None:
        return None
    recipe, draft = recipe_of(scenario), Draft(scenario)
    while fill_sleeps(recipe.words, draft.words, streams.entropy) == NO_ROOM:
        draft.grow()
    return draft.sleeps
