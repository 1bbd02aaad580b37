"""What a run says to people and machines, and what it does where a disk or an agent fails it."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_marl.benchmarks.plan.cells import Cell
from edge_marl.benchmarks.records.records import load_record, without_clock, write_record
from edge_marl.cli import app
from edge_marl.console import run_app
from tests.benchmarks.run.test_runner import records, run

FLAKY = """
import os
import numpy as np
from edge_marl.agents.base import Agent

class Flaky(Agent):
    name = "flaky"
    deterministic = True

    def reset(self, seed):
        pass

    def act(self, observation, info):
        if not os.path.exists({gate!r}):
            raise RuntimeError("the gate is shut")
        return np.zeros(len(observation), dtype=np.int64)
"""


def edge_marl(*args: str) -> int:
    with pytest.raises(SystemExit) as end:
        run_app(app, list(args))
    return int(end.value.code or 0)


def row_of(said: str, name: str) -> list[str]:
    (line,) = (line for line in said.splitlines() if name in line)
    return line.split(name)[1].split()


def test_a_failed_cell_is_a_hole_until_it_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own, gate, out = tmp_path / "own.py", tmp_path / "gate", tmp_path / "run"
    own.write_text(FLAKY.replace("{gate!r}", repr(str(gate))))
    agents = f"round-robin,{own}:Flaky"
    plan = ["plan", "--scenario", "smoke", "--agents", agents, "--seeds", "2", "--episodes", "3"]
    assert run(out, agents, "--json") == 1
    said = capsys.readouterr()
    events = [json.loads(line) for line in said.out.splitlines()]
    assert [events[0][name] for name in ("event", "jobs", "done")] == ["start", 3, 0]
    ends = [event for event in events if event["event"] == "end"]
    (failure,) = (event["failure"] for event in ends if event["failure"] is not None)
    assert "agent 'flaky', decision 1: act raised RuntimeError: the gate is shut, at " in failure
    assert len(ends) == 3
    assert {event["key"] for event in ends} == {e["key"] for e in events if e["event"] == "begin"}
    for name in ("table.md", "table.csv", "report.json", "report.html"):
        assert "the gate is shut" in (out / name).read_text("utf-8"), name

    assert edge_marl(*plan, "--out", str(out)) == 0
    said = capsys.readouterr()
    assert row_of(said.out, "Flaky")[:5] == ["1", "0", "1", "0", "0"]  # jobs, done, failed, ...
    assert "all is done" in said.out

    gate.touch()
    assert run(out, agents) == 1  # not asked for
    capsys.readouterr()
    assert run(out, agents, "--retry-failed") == 0
    assert "[3/3]" in capsys.readouterr().err
    assert "the gate is shut" not in (out / "table.md").read_text("utf-8")


def test_a_record_is_reproduced_or_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "prophet", "--quiet") == 0
    (path,) = (tmp_path / "cells").glob("*prophet*")
    assert edge_marl("reproduce", str(path)) == 0
    assert "reproduced to the last bit" in capsys.readouterr().out
    record = load_record(path)
    assert record.result is not None
    episodes = list(record.result.episodes)
    metrics = episodes[1].metrics | {"utility": 1.5}
    episodes[1] = episodes[1].model_copy(update={"metrics": metrics})
    result = record.result.model_copy(update={"episodes": tuple(episodes)})
    write_record(tmp_path, record.model_copy(update={"result": result}))
    assert edge_marl("reproduce", str(path)) == 1
    said = capsys.readouterr().out
    assert "DIFFERS" in said
    assert row_of(said, "utility ")[:2] == ["3", "1"]
    assert edge_marl("reproduce", str(tmp_path / "none.json")) == 2
    assert "there is no such record" in capsys.readouterr().err


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", str(place)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("name", ["secrets", "random"])
def test_a_file_of_the_working_folder_does_not_stand_in_for_a_librarys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / f"{name}.py").write_text("API_KEY = 'x'")
    monkeypatch.chdir(tmp_path)
    arguments = ("--scenario", "smoke", "--agents", "random", "--seeds", "1", "--episodes", "2")
    assert edge_marl("run", *arguments, "--out", "r", "--quiet") == 0


def test_a_full_disk_is_one_message_and_no_wrong_record(
    small_disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(bytes(24 * 1024))
    assert run(small_disk / "run", "random,round-robin,prophet", "--quiet") == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "No space left on device" in said
    assert "Traceback" not in said
    for path in (small_disk / "run" / "cells").iterdir():
        assert load_record(path).failure is None
    assert not (small_disk / "run" / "table.md").exists()


def test_a_folder_that_nobody_can_write_to(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Path("/proc/edge-marl"), "random", "--quiet") == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "cannot be written" in said
    assert "Traceback" not in said


def test_recordings_that_are_not_there_are_one_message_and_no_failed_cells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_MARL_CACHE", str(tmp_path / "empty"))
    assert edge_marl("run", "--suite", "replay", "--out", str(tmp_path / "run")) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "replay-gentd26: data set 'alibaba-gentd26' is not here" in said
    assert "replay-azure-code, replay-azure-conv: data set 'azure-llm-2023' is not here" in said
    assert said.count("edge-marl data add azure-llm-2023 downloads it") == 1
    assert not (tmp_path / "run").exists()


def test_clocks_are_all_that_differs(tmp_path: Path) -> None:
    assert run(tmp_path / "a", "random", "--quiet") == 0
    assert run(tmp_path / "b", "random", "--quiet") == 0
    one, other = records(tmp_path / "a"), records(tmp_path / "b")
    assert one != other
    still = {name: without_clock(record) for name, record in other.items()}
    assert {name: without_clock(record) for name, record in one.items()} == still


VARIANTS = """
scenarios = ["smoke"]
agents = ["prophet", "ppo"]
split = "validation"
first = 10
episodes = 2
seeds = 2
budget = 128

[variants."ppo, patient"]
agent = "ppo"
settings = { gamma = 0.99 }
budget = 192
"""


def test_variants_on_validation_workloads_end_in_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite, out = tmp_path / "mine.toml", tmp_path / "run"
    suite.write_text(VARIANTS)
    assert edge_marl("run", "--suite", str(suite), "--out", str(out), "--quiet") == 0
    for name in ("table.md", "report.json", "report.html"):
        text = (out / name).read_text("utf-8")
        assert "ppo, patient" in text, name
        assert "2 validation workloads from number 10" in text, name
        assert "trained on 128 decisions (small), ppo, patient on 192 (small)" in text, name
    kept = {record.job.file_name: record for record in records(out).values()}
    patient = next(r for name, r in kept.items() if "ppo-patient_s1" in name)
    assert isinstance(patient.job, Cell)
    assert patient.result is not None
    assert (patient.job.budget, patient.result.settings["gamma"]) == (192, 0.99)
    assert patient.result.distinct_actions >= 1
    assert (patient.job.split, patient.job.first) == ("validation", 10)
    capsys.readouterr()
    assert edge_marl("plan", "--suite", str(suite), "--out", str(out)) == 0
    assert row_of(capsys.readouterr().out, "ppo, patient")[:2] == ["2", "2"]  # jobs, done
