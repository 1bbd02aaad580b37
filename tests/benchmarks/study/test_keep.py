"""What a run is condensed to: a line per finished cell, whole or not there at all."""

import json
import os
from pathlib import Path

import pytest

from edge_marl.benchmarks.plan.cells import Arena
from edge_marl.benchmarks.plan.make_plan import make_plan
from edge_marl.benchmarks.records.records import Record, record_path, write_plan, write_record
from edge_marl.benchmarks.run.executors import Processes
from edge_marl.benchmarks.run.progress import Lines
from edge_marl.benchmarks.run.runner import run_plan
from edge_marl.benchmarks.study.keep import keep, read_lines
from edge_marl.benchmarks.suites import Suite, Variant
from edge_marl.console import problems
from edge_marl.errors import RecordError
from edge_marl.scenario import load_scenario
from tests.worlds import fakes

CELLS = [
    *fakes.plan().cells(fakes.ARENA, fakes.HEURISTIC),
    *fakes.plan().cells(fakes.ARENA, fakes.LEARNER),
]


def at(record: Record, started: str) -> Record:
    provenance = fakes.PROVENANCE.model_copy(update={"started": started, "commit": "abc"})
    return record.model_copy(update={"provenance": provenance})


def make_run(folder: Path, level: float, started: str = "2026-01-02") -> Path:
    write_plan(folder, fakes.plan())
    for cell in CELLS:
        write_record(folder, at(fakes.cell_record(cell, level), started))
    return folder


def test_a_run_of_variants_on_validation_workloads_is_kept(tmp_path: Path) -> None:
    patient = Variant(agent="ppo", settings={"gamma": 0.99}, budget=192)
    suite = Suite(
        scenarios=("smoke",),
        agents=("prophet", "ppo gamma=0.5"),
        variants={"ppo, patient": patient},
        split="validation",
        first=10,
        episodes=2,
        seeds=1,
        budget=128,
    )
    with Lines(problems(), quiet=True) as display:
        assert run_plan(make_plan(suite), tmp_path / "run", Processes(2), display) == 0
    path = tmp_path / "lines.jsonl"
    assert keep(tmp_path / "run", path) == 0
    prophet, spelled, named = read_lines(path)
    assert [row["agent"] for row in (prophet, spelled, named)] == ["prophet", "ppo", "ppo"]
    assert [row["variant"] for row in (prophet, spelled, named)] == [
        "default",
        "ppo gamma=0.5",
        "patient",
    ]
    assert (named["budget"], named["settings"]) == (192, {"gamma": 0.99})
    assert named["settings_used"]["gamma"] == 0.99
    assert (named["split"], named["first"]) == ("validation", 10)
    assert named["digest"] == load_scenario("smoke").digest
    assert all(len(values) == 2 for values in named["test"].values())
    assert named["distinct_actions"] >= 1
    assert named["curve"]
    assert prophet["curve"] == []
    before = path.read_bytes()
    assert keep(tmp_path / "run", path) == 0
    assert path.read_bytes() == before


def test_a_newer_result_takes_the_place_of_an_older_line(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    first = make_run(tmp_path / "first", 10.0)
    keep(first, path)
    rows = read_lines(path)
    # As the study wrote lines before: without a commit and without a time, other keys first.
    old = {"agent": "greedy", **rows[0], "world": None}
    del old["commit"], old["started"], old["trained_on"]
    other = {**old, "agent": "another"}
    spaced = json.dumps(other, separators=(", ", ":  "))
    texts = [spaced, *map(json.dumps, (old, rows[1]))]
    path.write_text("".join(f"{text}\n" for text in texts), "utf-8")
    keep(make_run(tmp_path / "second", 20.0, "2026-01-03"), path)
    lines = path.read_text("utf-8").splitlines()
    assert lines[0] == texts[0]  # of another cell: byte for byte
    assert [json.loads(text)["test"]["utility"][0] for text in lines] == [10.0, 20.0, 20.0, 20.0]
    assert json.loads(lines[1])["commit"] == "abc"
    after = path.read_bytes()
    keep(first, path)  # the older run once more
    assert path.read_bytes() == after


def test_lines_of_before_tiers_had_versions_are_of_version_1(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    arena = Arena(scenario=load_scenario("metro@1"), train_on=load_scenario("campus@1"))
    plan = fakes.plan(fakes.LEARNER, seeds=1).model_copy(update={"arenas": (arena,)})
    write_plan(tmp_path / "run", plan)
    [cell] = plan.cells(arena, fakes.LEARNER)
    write_record(tmp_path / "run", at(fakes.cell_record(cell, 20.0), "2026-01-03"))
    keep(tmp_path / "run", path)
    [row] = read_lines(path)
    assert (row["scenario"], row["trained_on"]) == ("metro@1", "campus@1")
    old = {**row, "scenario": "metro", "trained_on": "campus", "started": "2026-01-02"}
    others = [{**old, "scenario": name, "trained_on": None} for name in ("nation", "paper", "mine")]
    texts = [json.dumps(line) for line in (old, *others)]
    path.write_text("".join(f"{text}\n" for text in texts), "utf-8")
    found = [(line["scenario"], line["trained_on"]) for line in read_lines(path)]
    assert found[0] == ("metro@1", "campus@1")
    assert found[1:] == [("nation@1", None), ("paper", None), ("mine", None)]
    keep(tmp_path / "run", path)
    lines = path.read_text("utf-8").splitlines()
    assert json.loads(lines[0]) == row  # the newer one of the same cell
    assert lines[1:] == texts[1:]


def test_what_is_not_finished_is_counted_and_not_kept(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", 1.0)
    record_path(run, CELLS[0]).unlink()
    write_record(run, fakes.failure_record(CELLS[1]))
    assert keep(run, tmp_path / "lines.jsonl") == 2
    assert [row["seed"] for row in read_lines(tmp_path / "lines.jsonl")] == [1]


def test_lines_of_other_workloads_are_not_mixed(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text(
        json.dumps(
            {
                **{
                    name: None
                    for name in ("agent", "scenario", "budget", "seed", "variant", "world")
                },
                "test": {"utility": [1.0]},
            }
        )
        + "\n"
    )
    before = path.read_bytes()
    with pytest.raises(RecordError, match=r"has results of 4 workloads, .* give another file"):
        keep(make_run(tmp_path / "run", 1.0), path)
    assert path.read_bytes() == before


def test_a_game_is_not_kept(tmp_path: Path) -> None:
    arena = fakes.ARENA.model_copy(update={"api": "parallel"})
    plan = fakes.plan().model_copy(update={"arenas": (arena,)})
    fakes.make_run(tmp_path, plan, {"greedy": 1.0})
    with pytest.raises(RecordError, match="only results on the single environment are kept"):
        keep(tmp_path, tmp_path / "lines.jsonl")


def test_lines_that_cannot_be_read_or_written_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, run = tmp_path / "lines.jsonl", make_run(tmp_path / "run", 1.0)
    path.write_text("{")
    with pytest.raises(RecordError, match="not readable as JSON"):
        keep(run, path)
    assert path.read_text() == "{"
    path.unlink()
    keep(run, path)
    before = path.read_bytes()

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RecordError, match="No space left"):
        keep(run, path)
    assert path.read_bytes() == before
