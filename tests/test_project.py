"""What stands in several files of the project is the same in all of them."""

import re
from pathlib import Path

import pytest

from edge_marl import __version__

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TESTS_BY = {"tests.yml": "run: .ci/run\n", "release.yml": "uses: ./.github/workflows/tests.yml\n"}


def test_the_citation_is_of_this_version() -> None:
    cited = re.findall(r"^version: (\S+)", (ROOT / "CITATION.cff").read_text("utf-8"), re.MULTILINE)
    assert cited == [__version__]


def test_the_changelog_has_this_version() -> None:
    """Under its own heading once it is released, under `Unreleased` until then."""
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings
    assert headings[0] == "Unreleased" if "dev" in __version__ else __version__ in headings


def test_the_python_versions_are_the_same_everywhere() -> None:
    claimed = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text("utf-8"))
    tested = (ROOT / ".github/workflows/tests.yml").read_text("utf-8")
    assert re.findall(r'"(3\.\d+)"', tested) == claimed


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_only_read_and_leave_what_to_test_to_one_command(workflow: Path) -> None:
    text = workflow.read_text("utf-8")
    assert "\npermissions:\n  contents: read\n" in text
    assert TESTS_BY.get(workflow.name, "") in text
    assert "make test" not in text
    assert "pytest" not in text
