"""The documentation site has every page: `mkdocs.yml` names each file once, each world has one."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

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


def hooks(name: str) -> Any:
    """Return a file of `docs/site`, which needs the extra `docs`."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / "site" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.docs
def test_equations_are_set_as_mathml_and_unknown_ones_refused() -> None:
    from mkdocs.exceptions import PluginError

    def set_equations(text: str) -> str:
        page = type("Page", (), {"file": type("File", (), {"src_uri": "docs/page.md"})})
        return str(hooks("equations").on_page_content(text, page=page, config=None, files=None))

    line = set_equations(r'<p>of <span class="arithmatex">\(a_x &lt; t\)</span></p>')
    assert line.startswith("<p>of <math ")
    assert "<mo>&#x0003C;</mo><mi>t</mi>" in line
    block = r'<div class="arithmatex">\[\%s{1}{2}\]</div>'
    assert 'display="block"><mrow><mfrac>' in set_equations(block % "frac")
    with pytest.raises(PluginError, match=r"docs/page.md: cannot set the equation \\fraction"):
        set_equations(block % "fraction")


@pytest.mark.docs
@pytest.mark.parametrize("name", ["smoke", "smoke-game"])
def test_a_picture_of_a_world_is_drawn(name: str) -> None:
    png = hooks("frames").picture(edge_marl.load_scenario(name))
    assert png.startswith(b"\x89PNG")
    assert len(png) > 10_000
