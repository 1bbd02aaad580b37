"""The script that the workflow runs on a pull request, on repositories made for it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.worlds.forging import GOOD, copy_of_good, edit

SCRIPT = Path(__file__).parents[2] / ".github" / "verify_proposed.sh"
SUBMISSIONS = Path("leaderboards/submissions")


def git(folder: Path, *args: str) -> str:
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", *who, *args], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A checkout of the base branch, with a command `edge-marl`."""
    folder = tmp_path / "base"
    (folder / SUBMISSIONS).mkdir(parents=True)
    (folder / SUBMISSIONS / "digests.json").write_text('{"schema_version": 1, "entries": {}}')
    (folder / "README.md").write_text("hello")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "base")
    command = folder / ".venv" / "bin" / "edge-marl"
    command.parent.mkdir(parents=True)
    code = "from edge_marl.cli import main; main()"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}" "$@"\n')
    command.chmod(0o755)
    return folder


def propose(base: Path, change: Callable[[Path], object]) -> subprocess.CompletedProcess[str]:
    """Run the script on a branch with a change."""
    proposed = base.parent / "proposed"
    git(base, "clone", "-q", str(base), str(proposed))
    change(proposed)
    git(proposed, "add", ".")
    git(proposed, "commit", "-qm", "proposal")
    args = ["bash", str(SCRIPT), str(base), str(proposed), git(base, "rev-parse", "HEAD")]
    return subprocess.run(args, capture_output=True, text=True)


def test_a_good_submission_passes(base: Path) -> None:
    done = propose(base, lambda checkout: copy_of_good(checkout / SUBMISSIONS))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith(f"{GOOD.parent.name}/{GOOD.name}: re-executed\n")


def inflate(checkout: Path) -> None:
    folder = copy_of_good(checkout / SUBMISSIONS)
    edit(folder, lambda facts: facts["means"].update(utility=1e6))


def link(checkout: Path) -> None:
    folder = copy_of_good(checkout / SUBMISSIONS)
    shutil.rmtree(folder / "policy")
    (folder / "policy").symlink_to("/etc")


def of_a_version(checkout: Path) -> None:
    """A board whose name has a version is one; this submission is of another."""
    folder = copy_of_good(checkout / SUBMISSIONS)
    board = checkout / SUBMISSIONS / "campus@1-v0"
    board.mkdir()
    folder.rename(board / folder.name)


def of_settings(checkout: Path) -> None:
    """A folder may tell class and settings; this submission has none to tell."""
    folder = copy_of_good(checkout / SUBMISSIONS)
    folder.rename(folder.with_name(f"{folder.name},standard,network=pairs"))


def odd_name(checkout: Path) -> None:
    folder = copy_of_good(checkout / SUBMISSIONS)
    folder.parent.rename(checkout / SUBMISSIONS / "campus@1-v0$")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (of_a_version, "folder of the board: expected smoke-v0, found campus@1-v0"),
        (of_settings, f"folder: expected {GOOD.name}, found {GOOD.name},standard,network=pairs"),
        (odd_name, "no name of a submission"),
        (inflate, "sums: "),
        (link, "policy: a link: a submission holds files only"),
        (lambda c: (c / "README.md").write_text("mine"), "README.md: a submission changes nothing"),
        (lambda c: (c / SUBMISSIONS / "digests.json").write_text("{}"), "changes nothing outside"),
        (lambda c: (c / "$(touch hacked)").write_text("x"), "a submission changes nothing"),
    ],
)
def test_others_fail(base: Path, change: Callable[[Path], object], says: str) -> None:
    done = propose(base, change)
    assert done.returncode == 1
    assert says in done.stdout


def test_what_is_there_may_not_be_changed(base: Path) -> None:
    copy_of_good(base / SUBMISSIONS)
    git(base, "add", str(SUBMISSIONS))
    git(base, "commit", "-qm", "taken in")
    name = f"{GOOD.parent.name}/{GOOD.name}"
    done = propose(base, lambda c: (c / SUBMISSIONS / name / "chain.json").write_text("{}"))
    assert done.returncode == 1
    assert "what was taken in may not change (M)" in done.stdout
