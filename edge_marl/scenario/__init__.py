"""A scenario: everything that defines a world and its load."""

from typing import Literal

from edge_marl.scenario.reading import (
    check_scenario,
    list_tiers,
    load_scenario,
    parse_scenario,
)
from edge_marl.scenario.scenario import Scenario

__all__ = ["Api", "Scenario", "check_scenario", "list_tiers", "load_scenario", "parse_scenario"]

Api = Literal["single", "parallel"]
"""What a scenario is played on: the single environment, or the game of gateways."""
