"""The released tiers, a TOML file each, with their games, test sets, anchors and evidence: data.

A tier of one version is a file of its name, `paper.toml`; one of several has a file per version,
`campus@1.toml`, `campus@2.toml`, and so have its anchors, prices and evidence. Games and test sets
lie in folders of their own and always state their version.
"""

from functools import lru_cache
from importlib import resources

__all__ = [
    "FOLDER",
    "names_of_games",
    "names_of_test_sets",
    "read_text",
    "tier_names",
    "versions_of",
]

FOLDER = resources.files(__name__)
GAMES = "games"
TEST_SETS = "generalisation"


def tier_names() -> list[str]:
    """Names of the tiers, without versions, sorted."""
    return sorted(_listed(str(FOLDER), ""))


def names_of_games() -> list[str]:
    """Names of the tiers' games, without versions, sorted."""
    return sorted(_listed(str(FOLDER), GAMES))


def names_of_test_sets() -> list[str]:
    """Names of the tiers' test sets, without versions, sorted."""
    return sorted(_listed(str(FOLDER), TEST_SETS))


def versions_of(name: str) -> tuple[int, ...]:
    """Return the versions that the names of a release's files state, from the oldest.

    None where it has one file of its plain name, or is neither tier, game nor test set.
    """
    place = str(FOLDER)
    folders = ("", GAMES, TEST_SETS)
    return next((found for one in folders if (found := _listed(place, one).get(name))), ())


def read_text(release: str) -> str:
    """Return what is in the file of a release: `paper`, `campus@2`, `paper-game@1`."""
    name, place = release.partition("@")[0], str(FOLDER)
    folder = next((one for one in (GAMES, TEST_SETS) if name in _listed(place, one)), "")
    return FOLDER.joinpath(folder, f"{release}.toml").read_text("utf-8")


@lru_cache(maxsize=8)
def _listed(place: str, folder: str) -> dict[str, tuple[int, ...]]:
    """Return the versions of each name: read once per place, as every label of a scenario asks."""
    found: dict[str, list[int]] = {}
    where = FOLDER.joinpath(folder) if folder else FOLDER
    for file in where.iterdir() if where.is_dir() else ():
        if file.name.endswith(".toml"):
            name, _, version = file.name.removesuffix(".toml").partition("@")
            found.setdefault(name, []).extend([int(version)] if version else [])
    return {name: tuple(sorted(versions)) for name, versions in found.items()}
