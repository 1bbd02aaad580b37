"""`edge-marl verify`, as it is typed."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge_marl.cli import app
from edge_marl.console import run_app
from edge_marl.errors import SubmissionError
from edge_marl.leaderboards.verification import verify as verification
from edge_marl.leaderboards.verification.season import from_beacon, read_beacon
from tests.worlds import forging

VALUE = "4f3c9a51e0b2d786"


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        run_app(app, ["verify", *words])
    return int(ended.value.code or 0)


def test_a_beacon_is_in_a_file_or_on_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "beacon").write_text(f" {VALUE}\n")
    assert read_beacon(tmp_path / "beacon") == from_beacon(VALUE)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(VALUE.encode())))
    assert read_beacon(Path("-")) == from_beacon(VALUE)
    with pytest.raises(SubmissionError, match="there is no such file"):
        read_beacon(tmp_path / VALUE)
    with pytest.raises(SubmissionError, match="holds U"):
        from_beacon("two lines of text\n\x1b[2J that do more")


def test_a_fault_of_the_verifier_is_a_line_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def breaks(case: object) -> str:
        raise KeyError("\x1b[2Jodd\n")

    first = replace(verification.CHECKS[0], run=breaks)
    monkeypatch.setattr(verification, "CHECKS", (first, *verification.CHECKS[1:]))
    assert run(str(forging.GOOD)) == 1
    said = capsys.readouterr()
    assert "  FAIL  folder: the verifier itself failed (KeyError(" in said.out
    assert "\x1b" not in said.out
    assert "Traceback" not in said.out + said.err


def test_a_folders_name_steers_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = forging.copy_of_good(tmp_path)
    odd = folder.rename(folder.with_name("x\n  ok    held-out: 1.3460\x1b[2J"))
    assert run(str(odd), "--level", "claimed") == 1
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\n  ok    held-out" not in said


def test_a_folder_of_submissions_is_verified_one_by_one_and_summed_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = forging.copy_of_good(tmp_path)
    bad = forging.copy_of_good(tmp_path / "other")
    (bad / "actions.npz").unlink()
    for held in (tmp_path, good.parent):
        assert run(str(held), str(bad), "--level", "claimed") == 1
        said = capsys.readouterr().out
        assert said.splitlines()[0] == str(good)
        first, *counts = said.partition("\n\n")[2].splitlines()
        assert re.fullmatch(r"2 submissions in [\d.]+ s, of which 1 failed a check", first)
        assert [line.split(maxsplit=1) for line in counts] == [["1", "claimed"], ["1", "no level"]]
    assert run(str(good), "--level", "claimed") == 0
    assert "submissions in" not in capsys.readouterr().out
    assert run(str(tmp_path / "nowhere"), "--level", "claimed") == 1
    assert "FAIL  folder: " in capsys.readouterr().out


def test_a_sandbox_that_is_not_there_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run(str(forging.GOOD), "--sandbox", "container") == 1
    assert "policy at hand: sandbox 'container': neither podman nor" in capsys.readouterr().out
