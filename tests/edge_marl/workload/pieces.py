"""Parts of an episode, each drawn alone: of a scenario and its streams."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge_marl import Topology
from edge_marl.jit import program
from edge_marl.kernel.loading import NO_ROOM
from edge_marl.kernel.world import ARRIVAL, GATEWAY
from edge_marl.scenario import Scenario
from edge_marl.workload import arrivals, episode_servers
from edge_marl.workload import entries as r
from edge_marl.workload.draft import Draft
from edge_marl.workload.parts import draw_around
from edge_marl.workload.recipe import recipe_of
from edge_marl.workload.sampling import GATEWAY_PLACE_STREAM, Streams

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_draw_places, _table = program(episode_servers.draw_places), program(r.table)
_draw_rates, _draw_bursts, _draw_arrivals = map(
    program, (arrivals.draw_rates, arrivals.draw_bursts, arrivals.draw_arrivals)
)


def draw_topology_of(scenario: Scenario, streams: Streams) -> Topology:
    return draw_around(scenario, streams, None)[0]


def draw_places(scenario: Scenario, streams: Streams, name: np.uint32, count: int) -> Ints:
    drawn: Ints = _draw_places(recipe_of(scenario).words, streams.entropy, name, count)
    return drawn


def draw_gateway_places(scenario: Scenario, streams: Streams) -> Ints:
    return draw_places(scenario, streams, GATEWAY_PLACE_STREAM, scenario.gateways.count)


def draw_rates(scenario: Scenario, streams: Streams) -> tuple[Ints, Floats]:
    """When rates change (P + 1,), and rates up to then (G, P)."""
    words = recipe_of(scenario).words
    return _table(words, r.EDGES), _draw_rates(words, streams.entropy)


def draw_bursts(scenario: Scenario, streams: Streams) -> tuple[Ints, Floats]:
    drawn: tuple[Ints, Floats] = _draw_bursts(recipe_of(scenario).words, streams.entropy)
    return drawn


def draw_arrivals(scenario: Scenario, streams: Streams) -> tuple[Ints, Ints]:
    """Arrival and gateway of every request, (R,) each."""
    recipe, draft = recipe_of(scenario), Draft(scenario)
    while _draw_arrivals(recipe.words, draft.words, streams.entropy) == NO_ROOM:
        draft.grow()
    return draft.tasks[:, ARRIVAL], draft.tasks[:, GATEWAY]
