"""Runs for real, in processes of their own: the `smoke` tier with agents that take no training."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_marl.benchmarks.records.records import Record, load_record, without_clock, write_record
from edge_marl.benchmarks.report.report import make_report
from edge_marl.cli import app
from edge_marl.console import run_app
from edge_marl.draw import draw_workload
from edge_marl.metrics import metrics_of
from edge_marl.scenario import load_scenario

linux = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")

HANGS_S = 600.0
"""What has not happened by then never will: on no machine does a test wait as long."""

OWN_AGENTS = '''
import os, time
import numpy as np
from edge_marl.agents.base import Agent

class First(Agent):
    """Always action 0; prints, as people do."""

    name = "first"
    deterministic = True

    def reset(self, seed):
        print("reset", seed)

    def act(self, observation, info):
        return np.zeros(len(observation), dtype=np.int64)

class Slow(First):
    """Waits for a file to appear, so that a test can stop the run while this cell is running."""

    deterministic = False

    def reset(self, seed):
        while seed > 0 and not os.path.exists({gate!r}):
            time.sleep(0.05)

class Broken(First):
    """Has a mistake."""

    def act(self, observation, info):
        raise RuntimeError("no idea | what to do")

class Asking(First):
    """Waits for whoever sits at the terminal."""

    def act(self, observation, info):
        return int(input("which? "))

class Stopping(First):
    """Has a breakpoint that was forgotten."""

    def act(self, observation, info):
        breakpoint()

class Dying(First):
    """Takes its process with it."""

    def reset(self, seed):
        os._exit(7)
'''


def write_own(folder: Path) -> Path:
    path = folder / "own.py"
    path.write_text(OWN_AGENTS.replace("{gate!r}", repr(str(folder / "gate"))))
    return path


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return write_own(tmp_path)


def command(out: Path, agents: str, *more: str) -> list[str]:
    args = ["run", "--scenario", "smoke", "--agents", agents, "--seeds", "2", "--episodes", "3"]
    return [*args, "--jobs", "2", "--out", str(out), *more]


def run(out: Path, agents: str, *more: str) -> int:
    with pytest.raises(SystemExit) as end:
        run_app(app, command(out, agents, *more))
    return int(end.value.code or 0)


def start(out: Path, agents: str) -> subprocess.Popen[str]:
    # A shell's background jobs ignore Ctrl-C, and so do their children: ours is to heed it.
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from edge_marl.cli import main; main()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, *command(out, agents)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def records(out: Path) -> dict[str, Record]:
    found = {}
    for path in sorted((out / "cells").glob("*.json")):
        found[path.name] = load_record(path)
    return found


def without_times(out: Path) -> dict[str, Record]:
    """Records with every clock reading at zero: all that two runs may differ in."""
    still = {}
    for name, record in records(out).items():
        assert record.failure is None
        still[name] = without_clock(record)
    return still


def wait_for(condition: Callable[[], bool], runner: subprocess.Popen[str]) -> None:
    end = time.monotonic() + HANGS_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        assert runner.poll() is None or runner.returncode == -signal.SIGKILL, runner.communicate()
        time.sleep(0.05)


def workers_of(pid: int) -> list[int]:
    """Process ids of a process's children (Linux)."""
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def freeze_times(out: Path) -> None:
    """Set the clock readings of all records to zero: the tables hold one, the decision latency."""
    for name, record in without_times(out).items():
        (out / "cells" / name).unlink()
        write_record(out, record)


def files(out: Path) -> dict[str, bytes]:
    return {
        name: (out / name).read_bytes()
        for name in ("table.md", "table.csv", "report.json", "report.html")
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Folder of a finished run, to be copied, and its agents."""
    folder = tmp_path_factory.mktemp("finished")
    agents = f"random,round-robin,{write_own(folder)}:First"
    assert run(folder / "run", agents, "--quiet") == 0
    return folder / "run", agents


def times(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (out / "cells").iterdir()}


def test_a_second_run_does_nothing_again(
    finished: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    out, agents = finished
    before, tables = times(out), files(out)
    # Anchors, two seeds of random, and one cell of each agent that depends on no seed.
    assert len(before) == 5
    assert tables["table.csv"].count(b"\n") == 4
    assert run(out, agents) == 0
    shown = capsys.readouterr()
    assert "5 jobs, 5 of them done before" in shown.err
    assert "round-robin" in shown.out
    assert times(out) == before
    assert files(out) == tables


def test_a_result_does_not_depend_on_what_runs_beside_it(
    tmp_path: Path, finished: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "random", "--jobs", "1") == 0
    assert "[3/3]" in capsys.readouterr().err
    beside = without_times(finished[0])
    alone = without_times(tmp_path)
    assert alone == {name: beside[name] for name in alone}


def test_records_say_what_they_come_from(finished: tuple[Path, str]) -> None:
    record = next(r for r in records(finished[0]).values() if r.result)
    assert record.result is not None
    assert {"python", "numpy", "numba", "torch", "edge-marl"} <= record.provenance.versions.keys()
    assert record.result.decision_latency_us > 0
    assert len(record.result.episodes) == 3
    first = record.result.episodes[0]
    assert first.workload == draw_workload(load_scenario("smoke"), 0, split="test").digest
    assert first.metrics.keys() == metrics_of(load_scenario("smoke")).keys()


def test_a_damaged_record_is_set_aside_and_made_again(
    tmp_path: Path, finished: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    out, agents = tmp_path / "run", finished[1]
    shutil.copytree(finished[0], out)
    before = without_times(out)
    victim = next((out / "cells").glob("smoke_random_s1_*.json"))
    victim.write_bytes(victim.read_bytes()[:-100])
    assert run(out, agents, "--quiet") == 0
    said = capsys.readouterr().err
    assert "damaged" in said
    assert "set aside" in said
    assert [path.name for path in (out / "set-aside").iterdir()] == [f"{victim.stem}.1.json"]
    assert without_times(out) == before


@linux
def test_a_killed_run_goes_on_to_the_same_tables(tmp_path: Path, own: Path) -> None:
    agents = f"{own}:Slow"
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    runner = start(killed, agents)
    done = killed / "cells"
    # The gate is shut, so seed 1 of Slow cannot end; when the rest has, it alone is running.
    wait_for(lambda: len(list(done.glob("*.json"))) == 2, runner)
    (worker,) = workers_of(runner.pid)
    runner.kill()
    runner.communicate()
    wait_for(lambda: not is_alive(worker), runner)
    assert not (killed / "table.md").exists()
    assert len(list(done.iterdir())) == 2
    before = times(killed)

    (tmp_path / "gate").touch()
    assert run(killed, agents, "--quiet") == 0
    assert run(whole, agents, "--quiet") == 0
    assert before.items() <= times(killed).items()
    assert without_times(killed) == without_times(whole)
    for out in (killed, whole):
        freeze_times(out)
        make_report(out, show=False)
    assert files(killed) == files(whole)


@linux
def test_ctrl_c_ends_the_workers_and_keeps_what_is_finished(tmp_path: Path, own: Path) -> None:
    runner = start(tmp_path, f"{own}:Slow")
    wait_for(lambda: len(list((tmp_path / "cells").glob("*.json"))) == 2, runner)
    (worker,) = workers_of(runner.pid)
    runner.send_signal(signal.SIGINT)
    said, _ = runner.communicate(timeout=60)
    assert runner.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said
    assert not is_alive(worker)
    assert len(list((tmp_path / "cells").iterdir())) == 2


def test_a_failure_is_a_hole_and_is_tried_again(
    tmp_path: Path, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agents = f"round-robin,{own}:Broken,{own}:Dying"
    assert run(tmp_path, agents, "--quiet") == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("FAILED") == 2
    assert "RuntimeError: no idea | what to do" in said.err
    text = (tmp_path / "table.md").read_text("utf-8")
    assert "RuntimeError: no idea | what to do" in text
    assert "its process ended without an answer (exit status 7)" in text
    assert "| 0 of 1 |" in text
    failures = [record.failure for record in records(tmp_path).values() if record.failure]
    assert any('raise RuntimeError("no idea' in failure.traceback for failure in failures)

    own.write_text(own.read_text().replace("os._exit(7)", "pass"))
    assert run(tmp_path, agents) == 1
    # Editing the file made cells of both its agents new; the heuristic's and the anchors stay.
    assert "2 of them done before" in capsys.readouterr().err


def test_an_agent_of_a_run_has_no_terminal(
    tmp_path: Path, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, f"{own}:Asking,{own}:Stopping", "--quiet") == 1
    said = capsys.readouterr().err
    for reason in ("EOFError: EOF when reading a line", "BdbQuit:"):
        (line,) = (line for line in said.splitlines() if f"act raised {reason}" in line)
        assert "(an agent of a run has no terminal: take out input()" in line


def test_a_folder_that_cannot_be_written_to_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert run(tmp_path / "file", "random") == 2
    said = capsys.readouterr().err
    assert "cannot be written" in said
    assert "Traceback" not in said
