"""The docs hold: their tables are the code's, their Python runs, their links lead somewhere."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium
import pytest

from edge_marl import draw_workload  # importing it registers the environment
from edge_marl.scenario import load_scenario, parse_scenario, read_tier
from tests.worlds.made_up_evidence import evidence, learner

ROOT = Path(__file__).parents[1]
PAGES = [path for part in ("*.md", "docs/**/*.md", "leaderboards/*.md") for path in ROOT.glob(part)]


def code_blocks(page: Path) -> list[tuple[str, str]]:
    """Return a page's Python: of each block the file that it is to be saved as, and the code."""
    blocks = r"```python(?: title=\"([\w.]+)\")?\n(.*?)```"
    return re.findall(blocks, page.read_text("utf-8"), flags=re.DOTALL)


def blocks_to_save(page: Path) -> list[tuple[str, str]]:
    return [(name, block) for name, block in code_blocks(page) if name]


def commands(page: Path) -> list[str]:
    """Return the blocks of a page that a shell runs."""
    return re.findall(r"```bash\n(.*?)```", page.read_text("utf-8"), flags=re.DOTALL)


def load_make_tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_tables", ROOT / "docs" / "make_tables.py")
    assert spec is not None
    assert spec.loader is not None
    make_tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_tables)
    return make_tables


def test_tables_are_those_of_the_code() -> None:
    make_tables = load_make_tables()
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        text = page.read_text("utf-8")
        assert make_tables.with_tables(text) == text, f"{page}: run python docs/make_tables.py"
    schema = make_tables.SCHEMA.read_text("utf-8")
    assert make_tables.submission_schema() == schema, "run python docs/make_tables.py"


def test_a_card_says_what_is_left_without_each_part(monkeypatch: pytest.MonkeyPatch) -> None:
    make_tables = load_make_tables()
    found = evidence() | {"learner": learner(0.9)}
    monkeypatch.setattr(make_tables, "read_evidence", lambda scenario: found)
    card = make_tables.tier_card("metro")
    assert "\nA learner: ppo network=pairs, 1,000,000 decisions" in card
    lines = card.split("Without each part:\n\n")[1].splitlines()
    assert {line.count("|") for line in lines[:-2]} == {7}
    assert len(lines) == 2 + 1 + len(found["parts"]) + 2
    assert (
        lines[-1] == f"![What each part does](../figures/parts-{load_scenario('metro').label}.png)"
    )


def test_sections_of_the_extended_model_can_be_added_to_a_tier() -> None:
    page = (ROOT / "docs" / "model" / "extended.md").read_text("utf-8")
    (sections,) = re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL)
    scenario = parse_scenario(f"{read_tier('metro@1')}\n{sections}", "")
    assert scenario.num_actions == 12 * 6 * 3 + 1
    assert draw_workload(scenario, 0).weights is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"env": gymnasium.make("EdgeAIGC-v0", scenario="paper")}
    for name, block in code_blocks(page):
        if name:
            Path(name).write_text(block, "utf-8")
        exec(compile(block, str(page), "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
        assert "://" in target or (page.parent / target).exists(), f"{page}: {target}"
