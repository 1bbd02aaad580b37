"""A scenario: everything that defines a world and its load."""

from edge_marl.scenario.reading import (
    check_scenario,
    list_tiers,
    load_scenario,
    parse_scenario,
)
from edge_marl.scenario.scenario import Scenario

__all__ = ["Scenario", "check_scenario", "list_tiers", "load_scenario", "parse_scenario"]
