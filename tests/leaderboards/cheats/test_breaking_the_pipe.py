"""Policies that answer otherwise than agreed are refused in time, in one line of the verifier's."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_marl.leaderboards.policies import asking
from edge_marl.leaderboards.submission.ledger import Sandbox
from edge_marl.leaderboards.verification.verify import verify
from tests.leaderboards.cheats import breaking_the_pipe

SAYS = {
    "SaysNoJson": "when it was loaded: the policy's process does not answer as agreed",
    "ForgesLines": "when it was loaded: the policy's process does not answer as agreed",
    "AnswersTooEarly": "decision 1: the policy's process does not answer as agreed",
    "ChoosesNoAction": "expected -9223372036854775808 as the policy decides, found 0",
    "Fails": "decision 0: the policy raised an error",
    "Asks": "decision 0: the policy raised an error",
    "Dies": "decision 0: the policy's process ended (status 3",
    "Hoards": "decision 0: the policy raised an error",
}


LATE = "decision 0: no answer within 1 s: the policy was stopped"


@pytest.fixture(scope="module")
def folder(played: Callable[..., Path]) -> Path:
    return played(f"{breaking_the_pipe.__file__}:First")


def failure_of(name: str, folder: Path, sandbox: Sandbox, output: Path | None = None) -> str:
    code = f"{breaking_the_pipe.__file__}:{name}"
    verdict = verify(folder, "re-executed", code=code, sandbox=sandbox, output=output)
    assert verdict.level == "replayed"
    assert verdict.failure is not None
    assert verdict.failure.startswith("re-execution: ")
    return verdict.failure


@pytest.mark.usefixtures("bwrap")
@pytest.mark.parametrize("name", SAYS)
def test_it_is_refused(name: str, folder: Path) -> None:
    failure = failure_of(name, folder, "bwrap")
    assert SAYS[name] in failure
    assert failure.isprintable()
    assert "1.3460" not in failure


@pytest.mark.usefixtures("bwrap")
@pytest.mark.parametrize(
    ("name", "deadline", "seconds", "says"),
    [
        ("StopsAnswering", "ANSWER_S", 1.0, LATE),
        ("Dribbles", "ANSWER_S", 1.0, LATE),
        ("SaysNothing", "START_S", 5.0, "no answer within 5 s"),
        ("StopsAnswering", "WALL_S", 5.0, "more than 5 s in all"),
    ],
)
def test_one_that_does_not_answer_is_not_waited_for(
    name: str,
    deadline: str,
    seconds: float,
    says: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asking, deadline, seconds)
    assert says in failure_of(name, folder, "bwrap")


def test_what_it_printed_is_kept_so_that_a_terminal_can_show_it(
    folder: Path, tmp_path: Path
) -> None:
    said = tmp_path / "said.txt"
    assert f"what it printed is in {said}" in failure_of("ForgesLines", folder, "none", said)
    text = said.read_text()
    assert "1.3460" in text
    assert all(character.isprintable() or character == "\n" for character in text)


def test_its_package_is_not_imported_by_the_verifier(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L10: `--agent-code package.module:Class`, where the working folder has such a package."""
    package = tmp_path / "a_cheats_package"
    package.mkdir()
    (package / "__init__.py").write_text("open('imported', 'w').close()")
    code = Path(breaking_the_pipe.__file__).read_text()
    (package / "own.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    verdict = verify(folder, "re-executed", code="a_cheats_package.own:First")
    assert "a submitted agent is one file" in str(verdict.failure)
    assert not (tmp_path / "imported").exists()
    assert "a_cheats_package" not in sys.modules
