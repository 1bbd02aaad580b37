"""Where policies run: what is asked for, what works, and how a container is started."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_marl.errors import SubmissionError
from edge_marl.leaderboards.policies import sandbox
from edge_marl.leaderboards.policies.no_processes import no_processes
from edge_marl.leaderboards.policies.sandbox import command_of, usable_sandbox
from edge_marl.leaderboards.verification.verify import verify
from tests.worlds import forging


@pytest.fixture
def no_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the one folder in which programs are found; there is none in it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture(autouse=True)
def tried_anew() -> Iterator[None]:
    """Whether bubblewrap works is tried once per process; here it changes."""
    sandbox._problem_of_bwrap.cache_clear()
    yield
    sandbox._problem_of_bwrap.cache_clear()


def script(folder: Path, name: str, *lines: str) -> None:
    (folder / name).write_text("\n".join(["#!/bin/sh", *lines, ""]))
    (folder / name).chmod(0o755)


def test_where_there_is_none(no_tools: Path) -> None:
    assert usable_sandbox() == "none"
    with pytest.raises(SubmissionError, match="'bwrap': it is not installed: install bubblewrap"):
        usable_sandbox("bwrap")
    with pytest.raises(SubmissionError, match="neither podman nor docker is installed: install"):
        usable_sandbox("container")


def test_one_that_does_not_work_says_why_in_one_line(no_tools: Path) -> None:
    script(no_tools, "bwrap", "printf 'no\\nnamespaces\\033[2J' >&2; exit 1")
    assert usable_sandbox() == "none"
    with pytest.raises(SubmissionError, match="it does not start a process") as caught:
        usable_sandbox("bwrap")
    assert "\n" not in str(caught.value)


def test_a_container_gets_no_more_than_it_needs(no_tools: Path, tmp_path: Path) -> None:
    script(no_tools, "docker", "exit 0")
    assert usable_sandbox("container") == "container"
    policy, code = tmp_path / "policy", tmp_path / "own.py"
    with command_of("container", policy, f"{code}:Own") as command:
        argv = command.argv
    assert (command.folder, command.code) == ("/policy", "/agent/own.py:Own")
    assert argv[:2] == ["docker", "run"]
    for needed in ("--network=none", "--read-only", "--cap-drop=ALL", "--user=65534:65534"):
        assert needed in argv
    volumes = [part for part in argv if part.startswith("--volume")]
    assert volumes == [
        f"--volume={policy}:/policy:ro",
        f"--volume={code}:/agent/own.py:ro",
    ]
    inside = argv[argv.index(sandbox.IMAGE) + 1 :]
    assert inside == ["python", "-P", "-m", "edge_marl.leaderboards.policies.process"]


def test_a_policy_answers_from_a_container(no_tools: Path) -> None:
    """With an engine that runs its command here, its volume where it lies."""
    script(
        no_tools,
        "podman",
        'for part in "$@"; do case "$part" in --volume=*) from=${part#--volume=};; esac; done',
        f"exec {sys.executable} {no_tools}/inside.py ${{from%:/policy:ro}}",
    )
    (no_tools / "inside.py").write_text(
        "import io, json, sys\n"
        "from edge_marl.leaderboards.policies import process\n"
        "load = process.load_policy\n"
        "process.load_policy = lambda order: load(order | {'folder': sys.argv[1]})\n"
        "process.main()\n"
    )
    verdict = verify(forging.GOOD, "re-executed", sandbox="container")
    assert verdict.failure is None
    assert "in a container: no network" in dict(verdict.passed)["re-execution"]
    assert ", run by podman run --rm" in dict(verdict.passed)["policy at hand"]


def test_no_secret_is_kept_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONANYWHERE_API_TOKEN", "NUMBA_TOKEN", "HTTPS_PROXY", "PYTHONPATH"):
        monkeypatch.setenv(name, "secret")
    with command_of("none", Path("policy"), None) as command:
        assert "secret" not in command.env.values()
        assert command.env["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_is_a_program_that_ends(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    program = no_processes()
    count = len(program) // 8
    codes = [program[8 * k] for k in range(count)]
    assert codes[-1] == 0x06  # a return
    for k in range(count):
        yes, no = program[8 * k + 2], program[8 * k + 3]
        assert k + 1 + max(yes, no) < count or codes[k] == 0x06


def test_an_unknown_machine_has_a_filter_that_lets_all_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert no_processes() == bytes.fromhex("060000000000ff7f")


def test_bubblewrap_is_started_where_it_was_found(
    no_tools: Path, tmp_path: Path, bwrap: None
) -> None:
    script(no_tools, "bwrap", "exit 0")
    with command_of("bwrap", tmp_path, None) as command:
        assert command.argv[0] == str(no_tools / "bwrap")


def test_a_policy_cannot_start_a_process_but_can_start_threads(tmp_path: Path, bwrap: None) -> None:
    with command_of("bwrap", tmp_path, None) as command:
        code = (
            "import os, threading\n"
            "thread = threading.Thread(target=print, args=('thread',))\n"
            "thread.start(); thread.join()\n"
            "try:\n    os.fork()\n"
            "except PermissionError:\n    print('no fork')"
        )
        done = subprocess.run(
            [*command.argv[:-1], "-c", code],
            capture_output=True,
            text=True,
            pass_fds=command.pass_fds,
            env=command.env,
            check=False,
        )
    assert done.stdout.split("\n")[:2] == ["thread", "no fork"], done.stderr
