"""The digest of sources: of all that an agent's results depend on."""

from pathlib import Path

from edge_marl.benchmarks.plan.sources import agent_code, code_digest
from tests.worlds.own_agent import write


def test_an_edit_of_whatever_an_agent_imports_is_another_key(tmp_path: Path) -> None:
    name = f"{write(tmp_path)}:Own"
    seen = {agent_code(name)}
    for file in ("own.py", "choice.py", "later.py", "tools/number.py"):
        path = tmp_path / file
        path.write_text(path.read_text() + "# edited\n")
        seen.add(agent_code(name))
    assert len(seen) == 5
    (tmp_path / "unused.py").write_text("")
    (tmp_path / "data.csv").write_text("1\n")
    assert agent_code(name) in seen


def test_the_key_is_the_same_wherever_the_folder_lies(tmp_path: Path) -> None:
    one, two = (agent_code(f"{write(tmp_path / name)}:Own") for name in ("b", "a"))
    assert one == two


def test_an_agent_of_one_file_has_the_key_of_that_file(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "from edge_marl.agents import Trainer\nclass Own(Trainer):\n    pass\n"
    )
    assert agent_code(f"{tmp_path}/own.py:Own") == code_digest(tmp_path / "own.py")
