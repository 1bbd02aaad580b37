import json
import math
import os
from pathlib import Path

import pytest

from edge_marl.benchmarks.plan.cells import Anchors, Arena, Cell
from edge_marl.benchmarks.plan.sources import code_digest
from edge_marl.benchmarks.records import provenance
from edge_marl.benchmarks.records.records import (
    read_plan,
    read_record,
    record_path,
    set_aside,
    write_plan,
    write_record,
)
from edge_marl.errors import RecordError
from edge_marl.files import write_file
from edge_marl.scenario import load_scenario
from tests.worlds import fakes

CELL = fakes.plan().cells(fakes.ARENA, fakes.LEARNER)[1]


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    record = fakes.cell_record(CELL, 50.0, latency_p95_s=None)
    path = write_record(tmp_path, record)
    assert path == record_path(tmp_path, CELL)
    assert read_record(tmp_path, CELL) == record
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_run_of_before_tiers_had_versions_is_read(tmp_path: Path) -> None:
    """Its records have the tier's bare name in theirs; a version that came later has none such."""
    first = load_scenario("campus@1")
    later = first.model_copy(update={"version": 2})
    for scenario in (first, later):
        arena = Arena(scenario=scenario, api="parallel")
        plan = fakes.plan().model_copy(update={"arenas": (arena,), "split": "validation"})
        folder = tmp_path / scenario.label
        write_plan(folder, plan)
        [cell] = plan.cells(arena, fakes.HEURISTIC)
        for job in (plan.anchors(scenario), cell):
            assert isinstance(job, Anchors | Cell)
            record = fakes.failure_record(job)
            path = write_record(folder, record)
            assert path.name.startswith(f"{scenario.label}-")
            older = path.with_name(path.name.replace(scenario.label, "campus"))
            path.rename(older)
            assert read_record(folder, job) == (record if scenario is first else None)
            assert record_path(folder, job) == (older if scenario is first else path)
        assert read_plan(folder) == plan


def test_a_job_without_a_file_has_no_record(tmp_path: Path) -> None:
    assert read_record(tmp_path, CELL) is None


@pytest.mark.parametrize(
    "change",
    [
        {"scenario": fakes.SMOKE.in_world(1)},
        {"seed": 7},
        {"budget": 2000},
        {"episodes": 5},
        {"first": 1},
        {"split": "validation"},
        {"variant": "a name"},
        {"code": "2"},
        {"agent": "other"},
    ],
)
def test_whatever_a_result_depends_on_changes_the_key(change: dict[str, object]) -> None:
    assert CELL.model_copy(update=change).key != CELL.key


def test_the_key_is_the_same_in_every_process() -> None:
    cell = Cell(scenario=fakes.SMOKE, episodes=4, code="1", agent="student", seed=1, budget=1000)
    assert cell.key == CELL.key


def test_an_own_agents_source_is_part_of_the_code(tmp_path: Path) -> None:
    source = tmp_path / "mine.py"
    source.write_text("A = 1")
    before = code_digest(source)
    assert before == code_digest(source) != code_digest()
    source.write_text("A = 2")
    assert code_digest(source) != before


def damage(path: Path, how: str) -> None:
    text = path.read_text()
    if how == "cut":
        path.write_text(text[: len(text) // 2])
    elif how == "a digit":
        path.write_text(text.replace('"utility":52.0', '"utility":92.0'))
    elif how == "a bit":
        raw = bytearray(path.read_bytes())
        raw[len(raw) // 2] ^= 0x80
        path.write_bytes(raw)
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "foreign":
        path.write_text("[1, 2, 3]")
    elif how == "NaN":
        path.write_text(text.replace("52.0", "NaN"))
    elif how == "newer":
        path.write_text(json.dumps(json.loads(text) | {"schema_version": 4}))
    elif how == "another job":
        other = fakes.cell_record(CELL.model_copy(update={"seed": 0}), 1.0)
        path.write_bytes(write_record(path.parents[1] / "other", other).read_bytes())


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("cut", "not JSON"),
        ("a digit", "checksum"),
        ("a bit", "not JSON"),
        ("empty", "not JSON"),
        ("foreign", "not a record"),
        ("NaN", "checksum"),
        ("newer", "schema 4, this version reads 3"),
        ("another job", "another job's result"),
    ],
)
def test_a_file_that_is_not_the_jobs_record_is_refused_and_set_aside(
    tmp_path: Path, how: str, message: str
) -> None:
    path = write_record(tmp_path, fakes.cell_record(CELL, 50.0))
    damage(path, how)
    content = path.read_bytes()
    with pytest.raises(RecordError, match=message):
        read_record(tmp_path, CELL)
    place = set_aside(tmp_path, CELL)
    assert place.read_bytes() == content
    assert read_record(tmp_path, CELL) is None
    write_record(tmp_path, fakes.cell_record(CELL, 50.0))
    assert set_aside(tmp_path, CELL) != place


def test_a_write_that_fails_leaves_the_old_file_and_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_record(tmp_path, fakes.cell_record(CELL, 50.0))
    content = path.read_bytes()

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RecordError, match="No space left"):
        write_file(path, b"new", RecordError)
    assert path.read_bytes() == content
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_an_interrupt_in_a_write_leaves_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(fd: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_file(tmp_path / "table.md", b"new", RecordError)
    assert list(tmp_path.iterdir()) == []


def test_a_plan_comes_back_as_it_was(tmp_path: Path) -> None:
    write_plan(tmp_path, fakes.plan())
    assert read_plan(tmp_path) == fakes.plan()


def test_a_folder_without_a_plan_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="holds no run"):
        read_plan(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(RecordError, match="damaged"):
        read_plan(tmp_path)


def test_a_plan_has_one_cell_for_an_agent_that_depends_on_no_seed() -> None:
    plan = fakes.plan(seeds=3)
    assert [cell.seed for cell in plan.cells(fakes.ARENA, fakes.LEARNER)] == [0, 1, 2]
    (cell,) = plan.cells(fakes.ARENA, fakes.HEURISTIC)
    assert (cell.seed, cell.budget) == (0, None)
    assert len({job.file_name for job in plan.jobs()}) == len(plan.jobs()) == 5


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "50000 100000\n"}, 0.5),
        ({"cpu.max": "max 100000\n"}, math.inf),
        ({"cpu/cpu.cfs_quota_us": "150000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, math.inf),
        ({}, math.inf),
    ],
)
def test_a_control_groups_share_of_the_cores(
    tmp_path: Path, files: dict[str, str], cores: float
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert provenance._quota(tmp_path) == cores
    assert provenance.usable_cores() >= 1
