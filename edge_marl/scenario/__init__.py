"""A scenario: everything that defines a world and its load."""

from typing import Literal

from edge_marl.scenario.generalisation import test_sets
from edge_marl.scenario.reading import (
    check_scenario,
    find_release,
    list_tiers,
    load_scenario,
    parse_scenario,
    read_tier,
    split_label,
)
from edge_marl.scenario.scenario import Scenario

__all__ = [
    "Api",
    "Scenario",
    "check_scenario",
    "find_release",
    "list_tiers",
    "load_scenario",
    "parse_scenario",
    "read_tier",
    "split_label",
    "test_sets",
]

Api = Literal["single", "parallel"]
"""What a scenario is played on: the single environment, or the game of gateways."""
