"""Policies that reach for what is outside of their process get nothing in a sandbox."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from edge_marl.leaderboards.submission.files import read_ledger
from edge_marl.leaderboards.verification.verify import record_verdict, verify
from tests.leaderboards.cheats import reaching_out
from tests.leaderboards.cheats.reaching_out import MARK, PORT, Reaching

ALL = [cheat.__name__ for cheat in Reaching.__subclasses__()]

WITHOUT = [
    "ReadsTheCommandLine",
    "ReadsTheSecret",
    "WritesTheLedger",
    "ReadsOtherSubmissions",
    "SignalsTheVerifier",
    "FillsTheDisk",
    "Forks",
    "StartsAProgram",
    "ConnectsToASocketFile",
]
"""Some that get what they want where there is no sandbox: they are no straw men."""


@pytest.fixture(scope="module")
def folder(played: Callable[..., Path]) -> Path:
    """Return a submission that any of them could have handed in: their code is one file."""
    return played(f"{reaching_out.__file__}:Forks")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put there all that they look for."""
    monkeypatch.setenv("PYTHONANYWHERE_API_TOKEN", MARK)
    monkeypatch.setenv("NUMBA_TOKEN", MARK)
    with ExitStack() as stack:
        place = Path(stack.enter_context(TemporaryDirectory(prefix=MARK, dir="/tmp")))
        for name in ("spring.secret", "digests.json", "actions.npz"):
            (place / name).write_text("secret")
        for name in (str(place / "socket"), f"\0{MARK}"):
            listening = stack.enter_context(socket.socket(socket.AF_UNIX))
            with suppress(OSError):  # another worker's is as good
                listening.bind(name)
                listening.listen()
        stack.enter_context(socket.create_server(("127.0.0.1", PORT), reuse_port=True))
        yield


@pytest.mark.usefixtures("bwrap", "world")
@pytest.mark.parametrize("name", ALL)
def test_it_gets_nothing_in_a_sandbox(name: str, folder: Path, tmp_path: Path) -> None:
    code, said = f"{reaching_out.__file__}:{name}", tmp_path / "said.txt"
    verdict = verify(folder, "re-executed", code=code, sandbox="bwrap", output=said)
    assert verdict.level == "replayed"
    assert verdict.failure is not None
    assert "re-execution: when it was loaded: the policy raised an error; " in verdict.failure
    assert "Stopped: " in said.read_text()  # and not by a fault of its own


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("name", WITHOUT)
def test_without_a_sandbox_the_ledger_does_not_believe_it(
    name: str, folder: Path, tmp_path: Path
) -> None:
    code, said = f"{reaching_out.__file__}:{name}", tmp_path / "said.txt"
    review = "Ada: looked at it"
    verdict = verify(folder, "re-executed", code=code, sandbox="none", output=said, reviewed=review)
    assert verdict.failure is None, said.read_text()
    assert "WITHOUT A SANDBOX" in dict(verdict.passed)["re-execution"]
    record_verdict(tmp_path, verdict)
    (entry,) = read_ledger(tmp_path).entries.values()
    assert entry.level == "replayed"
    assert entry.reviewed == review
    assert (entry.differing, entry.twins, entry.held_out) == (None, None, None)
