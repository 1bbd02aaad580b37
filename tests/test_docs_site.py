"""The documentation site has every page: `mkdocs.yml` names each file once, and no other."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
IN_SITE = ("*.md", "docs/**/*.md", "benchmarks/study/*.md")
"""Pages that have to be in the navigation. Boards are not: the page of the leaderboards links to each."""


def test_the_navigation_has_every_page_once() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text("utf-8").split("\nnav:\n")[1]
    named = re.findall(r"^ +- (?:[^:]+: )?([^: ]+\.md)$", navigation, flags=re.MULTILINE)
    pages = {path.relative_to(ROOT).as_posix() for part in IN_SITE for path in ROOT.glob(part)}
    assert sorted(named) == sorted(pages | {"leaderboards/README.md"})
