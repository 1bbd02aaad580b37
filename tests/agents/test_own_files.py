"""What a user's agent imports that nobody has installed: found, importable, and not mixed up."""

import sys
from pathlib import Path

import numpy as np
import pytest

from edge_marl.agents import Agent, make
from edge_marl.agents.own_files import file_of, own_sources
from edge_marl.scenario import load_scenario
from tests.worlds.own_agent import write

SMOKE = load_scenario("smoke")


def acts(agent: object) -> int:
    assert isinstance(agent, Agent)
    return int(agent.act(np.zeros((1, 3), np.float32), {})[0])


def test_all_that_a_file_imports_is_found_and_nothing_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "choice", raising=False)
    found = own_sources(str(write(tmp_path)))
    tools = ["tools/__init__.py", "tools/deep.py", "tools/number.py"]
    assert sorted(found) == ["", "choice.py", "later.py", *tools]
    assert found[""] == tmp_path / "own.py"
    assert "choice" not in sys.modules


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("try:\n    import choice as c\nexcept ImportError:\n    c = None", True),
        ("import importlib\nm = importlib.import_module('choice')", True),
        ("m = __import__('choice')", True),
        ("from space.choice import ACTION", True),
        ("# import choice", False),
        ("def half(:", False),
    ],
)
def test_every_way_to_import_by_name(tmp_path: Path, line: str, found: bool) -> None:
    (tmp_path / "own.py").write_text(line + "\n")
    (tmp_path / "choice.py").write_text("")
    (tmp_path / "space").mkdir()  # a package without an __init__.py
    (tmp_path / "space" / "choice.py").write_text("")
    files = own_sources(str(tmp_path / "own.py")).values()
    assert any(path.name == "choice.py" for path in files) == found


def test_a_module_is_found_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "my_package_for_test"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit\n")
    (package / "agent.py").write_text("import helper_for_test\n")
    (tmp_path / "helper_for_test.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    assert file_of("my_package_for_test.agent") == package / "agent.py"
    names = {path.name for path in own_sources("my_package_for_test.agent").values()}
    assert names == {"__init__.py", "agent.py", "helper_for_test.py"}
    assert list(own_sources("numpy")) == [""]  # installed


def test_what_lies_beside_can_be_imported_also_while_it_acts(tmp_path: Path) -> None:
    assert acts(make(f"{write(tmp_path)}:Own", SMOKE)) == 0  # its json.py stands in for nothing


def test_modules_of_one_name_beside_two_files_are_two(tmp_path: Path) -> None:
    places = [write(tmp_path / "one", 1), write(tmp_path / "two", 2)]
    one, two, again = (make(f"{place}:Own", SMOKE) for place in (*places, places[0]))
    assert [acts(agent) for agent in (again, two, one)] == [1, 2, 1]


def test_two_files_do_not_share_a_module(tmp_path: Path) -> None:
    """One that lacks a module does not get it from another's folder for its key."""
    make(f"{write(tmp_path / 'one')}:Own", SMOKE)
    (tmp_path / "alone.py").write_text("import choice\n")
    assert list(own_sources(str(tmp_path / "alone.py"))) == [""]
