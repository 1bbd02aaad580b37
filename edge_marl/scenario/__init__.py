"""A scenario: everything that defines a world and its load."""

from edge_marl.scenario.facts import Api
from edge_marl.scenario.generalisation import test_sets
from edge_marl.scenario.reading import (
    check_scenario,
    find_release,
    load_scenario,
    parse_scenario,
    split_label,
)
from edge_marl.scenario.scenario import Scenario
from edge_marl.tiers.releases import list_games, list_tiers, read_tier

__all__ = [
    "Api",
    "Scenario",
    "check_scenario",
    "find_release",
    "list_games",
    "list_tiers",
    "load_scenario",
    "parse_scenario",
    "read_tier",
    "split_label",
    "test_sets",
]
