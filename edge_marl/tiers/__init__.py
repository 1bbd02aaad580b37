"""The released tiers, a TOML file each, with their anchors and evidence: package data.

A tier of one version is a file of its name, `paper.toml`; one of several has a file per version,
`campus@1.toml`, `campus@2.toml`, and so have its anchors, prices and evidence.
"""

from functools import lru_cache
from importlib import resources

__all__ = ["FOLDER", "tier_names", "versions_of"]

FOLDER = resources.files(__name__)


def tier_names() -> list[str]:
    """Names of the tiers, without versions, sorted."""
    return sorted(_listed(str(FOLDER)))


def versions_of(name: str) -> tuple[int, ...]:
    """Return the versions that the names of a tier's files state, from the oldest.

    None where it has one file of its plain name, or is no tier.
    """
    return _listed(str(FOLDER)).get(name, ())


@lru_cache(maxsize=4)
def _listed(place: str) -> dict[str, tuple[int, ...]]:
    """Return the versions of each tier: read once per place, as every label of a scenario asks."""
    found: dict[str, list[int]] = {}
    for file in FOLDER.iterdir():
        if file.name.endswith(".toml"):
            name, _, version = file.name.removesuffix(".toml").partition("@")
            found.setdefault(name, []).extend([int(version)] if version else [])
    return {name: tuple(sorted(versions)) for name, versions in found.items()}
