"""The documentation site has every page: `mkdocs.yml` names each file once, each world has one."""

import re
from pathlib import Path

import edge_marl
from edge_marl import list_games, list_tiers

ROOT = Path(__file__).parents[1]
IN_SITE = ("*.md", "docs/**/*.md", "docs/**/*.ipynb", "benchmarks/study/*.md")
"""Pages that have to be in the navigation. Boards are not: the page of all boards has them."""


def test_the_navigation_has_every_page_once() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8").split("\nnav:\n")[1]
    named = re.findall(r"^ +- (?:[^:\n]+: )?([^:\s]+\.md)$", navigation, flags=re.MULTILINE)
    files = [path.relative_to(ROOT) for part in IN_SITE for path in ROOT.glob(part)]
    pages = {path.with_suffix(".md").as_posix() for path in files}  # notebooks become pages
    assert sorted(named) == sorted(pages | {"leaderboards/README.md"})


def test_every_tier_and_game_has_a_page_with_all_of_its_versions() -> None:
    for folder, labels in (("tiers", list_tiers()), ("games", list_games())):
        pages = {page.stem: page.read_text("utf-8") for page in (ROOT / "docs" / folder).iterdir()}
        assert set(pages) == {label.split("@")[0] for label in labels}
        for label in labels:
            assert f"<!-- table: tier {label} -->" in pages[label.split("@")[0]]


def test_the_reference_has_every_public_name() -> None:
    pages = (ROOT / "docs" / "reference").iterdir()
    told = re.findall(r"^::: (\S+)$", "\n".join(map(Path.read_text, pages)), flags=re.MULTILINE)
    assert len(told) == len(set(told))
    public = {f"edge_marl.{name}" for name in edge_marl.__all__} - {"edge_marl.__version__"}
    assert public <= set(told)
