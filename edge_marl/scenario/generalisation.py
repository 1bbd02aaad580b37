"""Test sets of a tier: worlds on which what was trained on it is evaluated, and nothing else.

*New days* are the tier's own test workloads. The others are scenarios of their own, released with
the tier (`edge_marl/tiers/generalisation/`): half and twice its size, and another city.
"""

from __future__ import annotations

from edge_marl.errors import ScenarioError
from edge_marl.scenario.reading import load_scenario
from edge_marl.scenario.scenario import Scenario
from edge_marl.tiers.releases import list_test_sets

__all__ = [
    "NEW_DAYS",
    "TITLES",
    "check_trainable",
    "labels_of",
    "test_sets",
    "tier_of",
    "title_of",
]

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


def check_trainable(scenario: Scenario) -> None:
    """Raise ScenarioError if a scenario is a test set: nothing is trained or chosen on one."""
    tier = scenario.test_set_of
    if tier is not None:
        raise ScenarioError(
            f"scenario '{scenario.label}' is a test set of '{tier}': nothing is trained or chosen "
            f"on it, or it would test nothing; train on '{tier}' and evaluate here (run with "
            "--generalise or --train-on, or edge-marl evaluate --transfer)"
        )
