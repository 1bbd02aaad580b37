"""Games: tiers in slots, with a number of gateways of their own where they state one."""

from __future__ import annotations

from edge_marl.scenario.reading import load_scenario, read_layers
from edge_marl.scenario.scenario import Scenario
from edge_marl.scenario.servers import DrawnServers
from edge_marl.tiers.extending import EXTENDS
from edge_marl.tiers.releases import list_games

__all__ = ["tier_of_game"]


def tier_of_game(scenario: Scenario) -> Scenario | None:
    """Return the tier that a scenario is a game of, in the same world.

    That is the one which a released game of its label extends; slots and number of gateways may be
    others than the release's. None if it is no such game, or differs in anything else.
    """
    if scenario.release not in list_games():
        return None
    base = read_layers(scenario.release).sources[0].facts[EXTENDS]
    world = scenario.servers.world if isinstance(scenario.servers, DrawnServers) else None
    tier = load_scenario(base, world)
    named = {"name": tier.name, "version": tier.version, "summary": tier.summary}
    same = scenario.on_events().model_copy(update=named)
    return tier if same == tier.with_gateways(scenario.gateways.count) else None
