"""The names of what is released: tiers, their games, their test sets."""

from __future__ import annotations

import tomllib

from edge_marl import tiers
from edge_marl.errors import ScenarioError, did_you_mean

__all__ = ["labels_of_releases", "list_games", "list_test_sets", "list_tiers", "read_tier"]


def list_tiers(newest: bool = False) -> list[str]:
    """Return the labels of all releases of tiers, sorted: `paper`, `campus@1`.

    Args:
        newest: whether only the newest version of each tier is wanted.
    """
    return _labels(tiers.tier_names(), newest)


def list_games(newest: bool = False) -> list[str]:
    """Return the labels of all releases of games, sorted: `paper-game@1`.

    Args:
        newest: whether only the newest version of each game is wanted.
    """
    return _labels(tiers.names_of_games(), newest)


def list_test_sets() -> list[str]:
    """Return the labels of all releases of test sets, sorted: `metro-half@2`."""
    return _labels(tiers.names_of_test_sets(), newest=False)


def _labels(names: list[str], newest: bool) -> list[str]:
    found = [labels_of_releases(name)[-1 if newest else 0 :] for name in names]
    return sorted(label for labels in found for label in labels)


def labels_of_releases(name: str) -> list[str]:
    """Return the labels of the releases of one name, from the oldest."""
    return [f"{name}@{version}" for version in tiers.versions_of(name)] or [name]


def read_tier(name: str) -> str:
    """Return the text of a tier's, game's or test set's file, given its name, or with its version.

    Raises:
        ScenarioError: unknown name or version: what there is.
    """
    tier, at, version = name.partition("@")
    names = [*tiers.tier_names(), *tiers.names_of_games(), *tiers.names_of_test_sets()]
    if tier not in names:
        hint = did_you_mean(name, [*names, *list_tiers(), *list_games(), *list_test_sets()])
        games = f"the games {', '.join(found)}; " if (found := list_games()) else ""
        raise ScenarioError(
            f"unknown tier '{name}': {hint}the tiers are {', '.join(list_tiers())}; {games}"
            "a scenario of your own is given by the path of its .toml file"
        )
    newest = tiers.read_text(labels_of_releases(tier)[-1])
    if not at:
        return newest
    known = tiers.versions_of(tier) or (tomllib.loads(newest)["version"],)
    if version not in map(str, known):
        told = ", ".join(f"{tier}@{number}" for number in known)
        raise ScenarioError(f"tier '{tier}' has no version '{version}': it has {told}")
    return tiers.read_text(name) if tiers.versions_of(tier) else newest
