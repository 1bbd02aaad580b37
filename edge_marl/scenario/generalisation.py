"""Test sets of a tier: worlds on which what was trained on it is evaluated, and nothing else.

*New days* are the tier's own test workloads. The others are scenarios of their own, released with
the tier (`edge_marl/tiers/generalisation/`): half and twice its size, and another city.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from pydantic import ValidationError

from edge_marl.errors import ScenarioError
from edge_marl.scenario.reading import load_scenario
from edge_marl.scenario.scenario import Scenario
from edge_marl.scenario.section import rule_of
from edge_marl.tiers.releases import list_test_sets

__all__ = [
    "NEW_DAYS",
    "TITLES",
    "check_trainable",
    "labels_of",
    "resized",
    "test_sets",
    "tier_of",
    "title_of",
]

LARGEST_KM = 10_000.0
"""Side of an area that a scenario may have (`Gateways.area_km`)."""

NEW_DAYS = "new days"
TITLES = {"half": "half", "double": "double", "city": "new city"}
"""What the test sets are called, by what their names have after the tier's."""


def test_sets(tier: str | Scenario) -> dict[str, Scenario]:
    """Return the test sets of a tier: `new days`, `half`, `double`, `new city`, in this order.

    All have the observations and the actions of the tier in number and meaning, so that a policy
    can be moved. `new days` is the tier itself: its test workloads.

    Args:
        tier: a tier's name, or the tier.

    Raises:
        ScenarioError: no such tier, or none that test sets are released with.
    """
    home = load_scenario(tier)
    names = labels_of(home)
    if len(names) < len(TITLES):
        known = sorted({name.rpartition("-")[0] for name in list_test_sets()})
        told = f"the tiers that have them are {', '.join(known)}" if known else "no tier has them"
        raise ScenarioError(
            f"scenario '{home.name}', version {home.version}, has no test sets: {told}"
        )
    return {NEW_DAYS: home} | {title: load_scenario(name) for title, name in names.items()}


test_sets.__test__ = False  # type: ignore[attr-defined]  # pytest would take it for a test


def labels_of(tier: Scenario) -> dict[str, str]:
    """Return the labels of the test sets that are released with a tier, by what they are called."""
    released = list_test_sets()
    labels = {title: f"{tier.name}-{end}@{tier.version}" for end, title in TITLES.items()}
    return {title: label for title, label in labels.items() if label in released}


def tier_of(test_set: Scenario) -> Scenario:
    """Return the tier that a scenario is a test set of.

    Raises:
        ScenarioError: it is no test set, or of no tier of this package.
    """
    if test_set.test_set_of is None:
        raise ScenarioError(f"scenario '{test_set.name}' is no test set: it has no test_set_of")
    return load_scenario(f"{test_set.test_set_of}@{test_set.version}")


def title_of(test_set: Scenario) -> str:
    """Return what a test set is called beside the others of its tier; `new days` is the tier."""
    if test_set.test_set_of is None:
        return NEW_DAYS
    end = test_set.name.removeprefix(f"{test_set.test_set_of}-")
    return TITLES.get(end, end)


def resized(scenario: Scenario, factor: Fraction) -> Scenario:
    """Return the scenario so many times as large, with the same load per server.

    The numbers of servers and gateways are multiplied. The load goes with the servers, and the
    sides of the area with the square root of them, so that as many servers as before lie around a
    gateway (up to the largest area that a scenario may have). Hot spots keep their size, and their
    number goes with the gateways. Parts of a server, a gateway or a hot spot are rounded up.

    Args:
        scenario: whose servers are not written out one by one.
        factor: above 0.

    Raises:
        ScenarioError: what comes out is no scenario.
    """
    facts: dict[str, Any] = scenario.model_dump(mode="json", exclude_defaults=True)
    servers, arrivals = dict(facts["servers"]), dict(facts["arrivals"])
    if "count" not in servers:
        raise ScenarioError(
            f"scenario '{scenario.name}' has its servers written out (law = 'given'): it has no "
            "other size"
        )
    gateways = dict(facts.get("gateways", {}))
    before = servers["count"]
    servers["count"] = math.ceil(before * factor)
    gateways["count"] = math.ceil(scenario.gateways.count * factor)
    share = servers["count"] / before
    longer = [min(side * math.sqrt(share), LARGEST_KM) for side in scenario.gateways.area_km]
    gateways["area_km"] = [round(side, 3) for side in longer]
    arrivals["rate_per_s"] = float(f"{arrivals['rate_per_s'] * share:.6g}")
    if hot := arrivals.get("hot_spots"):
        arrivals["hot_spots"] = hot | {"count": math.ceil(hot["count"] * factor)}
    try:
        return Scenario.model_validate(
            facts | {"servers": servers, "gateways": gateways, "arrivals": arrivals}
        )
    except ValidationError as error:
        raise ScenarioError(
            f"'{scenario.label}' with {gateways['count']} gateways: {rule_of(error)}"
        ) from None


def check_trainable(scenario: Scenario) -> None:
    """Raise ScenarioError if a scenario is a test set: nothing is trained or chosen on one."""
    tier = scenario.test_set_of
    if tier is not None:
        raise ScenarioError(
            f"scenario '{scenario.label}' is a test set of '{tier}': nothing is trained or chosen "
            f"on it, or it would test nothing; train on '{tier}' and evaluate here (run with "
            "--generalise or --train-on, or edge-marl evaluate --transfer)"
        )
