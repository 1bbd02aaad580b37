"""What commands print survives any encoding and any width."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from edge_marl import console

PRINT = (
    "from edge_marl.console import results, run_command\n"
    "def show() -> None:\n"
    "    results().print('decision (\\u00b5s) \\u2020 \\u4e2d', '-' * 120, '|')\n"
    "run_command(show)\n"
)


def printed(*, code: str = PRINT, **environment: str) -> str:
    wanted = {**os.environ, "PYTHONUTF8": "0", **environment}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=wanted, check=True)
    return done.stdout.decode(environment.get("PYTHONIOENCODING", "utf-8"))


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437", "utf-8"])
def test_a_character_that_an_encoding_lacks_has_something_in_its_place(encoding: str) -> None:
    text = printed(PYTHONIOENCODING=encoding)
    if encoding == "utf-8":
        assert "(\u00b5s) \u2020 \u4e2d" in text
    else:
        assert "s) + ?" in text
    assert ("(us)" in text) == (encoding == "ascii")


def test_colours_in_a_pipe_leave_it_wide() -> None:
    lines = printed(FORCE_COLOR="1", PYTHONIOENCODING="utf-8").splitlines()
    assert len(lines) == 1


@pytest.mark.parametrize(
    "args",
    [
        ["evaluate", "--agent", "prophet", "--scenario", "smoke", "--episodes", "2"],
        ["scenarios", "show", "paper"],
        ["data", "list"],
    ],
)
def test_numbers_in_tables_are_whole_on_a_narrow_terminal(args: list[str]) -> None:
    code = (
        "import sys\nsys.stdout.isatty = lambda: True\n"
        "from edge_marl.cli import app\nfrom edge_marl.console import run_app\n"
        f"run_app(app, {args})"
    )
    text = printed(code=code, COLUMNS="40", PYTHONIOENCODING="utf-8")
    wide = printed(code=code, COLUMNS="200", PYTHONIOENCODING="utf-8")
    numbers = re.compile(r"\d+\.\d+")
    assert sorted(numbers.findall(text)) == sorted(numbers.findall(wide))
    assert "\u2026" not in text


def test_a_long_word_in_a_row_is_broken_and_not_cut() -> None:
    code = (
        "import sys\nsys.stdout.isatty = lambda: True\n"
        "from edge_marl.console import print_rows\n"
        "print_rows([('agent', 'results/' + 'x' * 100 + '/agent')])"
    )
    text = printed(code=code, COLUMNS="80", PYTHONIOENCODING="utf-8")
    assert "".join(text.split()) == "agentresults/" + "x" * 100 + "/agent"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_report_on_a_terminal_without_unicode(tmp_path: Path, encoding: str) -> None:
    code = (
        "from edge_marl.cli import app\nfrom edge_marl.console import run_app\n"
        f"run_app(app, ['run', '--scenario', 'smoke', '--agents', 'random', '--seeds', '1', "
        f"'--episodes', '2', '--out', {str(tmp_path / 'r')!r}])"
    )
    text = printed(code=code, PYTHONIOENCODING=encoding)
    assert "decision" in text
    assert (tmp_path / "r" / "table.md").is_file()


def test_a_bar_is_for_terminals_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with console.bar(4000, "episodes") as show:
        show(2000)
    assert capsys.readouterr() == ("", "")
    terminal = io.StringIO()
    monkeypatch.setattr(console, "problems", lambda: Console(file=terminal, force_terminal=True))
    with console.bar(4000, "episodes") as show:
        show(2000)
    assert "2,000 of 4,000 episodes" in terminal.getvalue()
