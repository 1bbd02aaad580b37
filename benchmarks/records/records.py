"""Records: what a job found, one JSON file each, whole or not there at all.

A record is written to a temporary file beside its place, synced, and renamed onto it, so a reader
never sees half of one. Its first line holds the checksum of the bytes after it, and it names the
key of the job that it answers; a file that fails either test is set aside and its job done again.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from edge_marl.benchmarks.plan.cells import (
    PLAN_VERSION,
    SCHEMA_VERSION,
    Anchors,
    Cell,
    Job,
    Plan,
)
from edge_marl.errors import RecordError, show
from edge_marl.files import write_file

__all__ = [
    "AnchorValues",
    "CellResult",
    "Checkpoint",
    "CurvePoint",
    "EpisodeResult",
    "Failure",
    "Hardware",
    "Load",
    "Provenance",
    "Record",
    "load_record",
    "read_plan",
    "read_record",
    "record_path",
    "set_aside",
    "without_clock",
    "write_plan",
    "write_record",
]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class EpisodeResult(_Model):
    """What an agent got on one workload."""

    workload: str
    """SHA-256 (hex) of the workload."""
    metrics: dict[str, float | None]
    """Every metric of the episode; None where it is undefined (no task finished: no latency)."""


class CurvePoint(_Model):
    """An evaluation on validation workloads during training (`training/selection.py`).

    A mean is None where a workload without tasks leaves it undefined.
    """

    decisions: int
    updates: int
    training_utility_per_task: float
    utility: float | None
    utility_per_task: float | None
    server_crash_rate: float | None
    distinct_actions: int


class Load(_Model):
    """How full the servers were during an episode: equal intervals of time, in order."""

    time_s: tuple[float, ...] = ()
    """Middle of each interval, in seconds from the first arrival."""
    share: tuple[float, ...] = ()
    """Capacity in use as a share of the total (without the cloud's), mean over the interval."""
    crashes: tuple[int, ...] = ()
    """Server crashes within the interval."""


class Checkpoint(_Model):
    """A trained agent that a run has kept, in its folder."""

    folder: str
    """Where it is, below the run's folder: `agents/` and the stem of a record's file name."""
    sha256: str
    """Of its files (`benchmarks.run.kept_agents.digest_of`)."""


class CellResult(_Model):
    """What one agent with one seed got."""

    episodes: tuple[EpisodeResult, ...]
    distinct_actions: int
    """Different actions that it took, over all episodes: 1 is an agent that has collapsed."""
    settings: dict[str, Any]
    """The agent's settings as they were resolved."""
    decision_latency_us: float
    """Median time of one decision at batch 1, in microseconds. Reported, never ranked."""
    train_s: float
    """Seconds of training, in this cell: 0 where another cell's agent is evaluated."""
    train_cpu_s: float | None = None
    """Processor time of it, in seconds; None in records of before it was measured."""
    evaluate_s: float
    curve: tuple[CurvePoint, ...] = ()
    """The learning curve; empty for heuristics and for a user's own trainer."""
    load: Load = Load()
    """Of the first workload's episode."""
    checkpoint: Checkpoint | None = None
    """The trained agent; None for one that does not learn, or that cannot be saved."""


class AnchorValues(_Model):
    """The anchors on one workload, as total utility."""

    workload: str
    random: float
    bound: float


class Failure(_Model):
    """Why a job has no result."""

    reason: str
    """One line."""
    traceback: str


class Hardware(_Model):
    """What a job ran on."""

    cpu: str
    cores: int
    """Logical cores that its process could use."""
    memory_gb: float | None
    system: str
    """Operating system and architecture."""
    gpus: tuple[str, ...] = ()


class Provenance(_Model):
    """How a record came about: all that two records of equal results may differ in."""

    started: str
    """When its process started: UTC, ISO 8601."""
    wall_s: float
    """Wall clock of the job's process, in seconds."""
    cpu_s: float
    """Its processor time, in seconds."""
    energy_j: float | None
    """What the processor packages took in meanwhile, in J, for all processes of the machine; None
    where no counter (RAPL) can be read."""
    threads: int
    hardware: Hardware
    versions: dict[str, str]
    commit: str | None
    """Git commit of the sources, with `-dirty` where files differ from it; None without git."""


class Record(_Model):
    """What a job found: a result, anchors, or the failure that left it without."""

    schema_version: Literal[3] = 3
    job: Job
    result: CellResult | None = None
    anchors: tuple[AnchorValues, ...] | None = None
    failure: Failure | None = None
    provenance: Provenance


def without_clock(record: Record) -> Record:
    """Return a record with every reading of a clock at zero, and nobody's provenance.

    What is left does not depend on when, where and beside what its job was done.
    """
    result = record.result and record.result.model_copy(
        update={
            "decision_latency_us": 0.0,
            "train_s": 0.0,
            "train_cpu_s": 0.0,
            "evaluate_s": 0.0,
        }
    )
    return record.model_copy(update={"result": result, "provenance": NOBODYS})


NOBODYS = Provenance(
    started="1970-01-01T00:00:00+00:00",
    wall_s=0.0,
    cpu_s=0.0,
    energy_j=None,
    threads=1,
    hardware=Hardware(cpu="", cores=1, memory_gb=None, system=""),
    versions={},
    commit=None,
)


def record_path(folder: Path, job: Cell | Anchors) -> Path:
    """Place of a job's record below a run's folder; that of before, where one is there."""
    older = folder / "cells" / job.older_file_name
    return older if older.exists() else folder / "cells" / job.file_name


def write_record(folder: Path, record: Record) -> Path:
    """Write a record to its place, atomically, and return the place.

    Raises:
        RecordError: if it cannot be written (no space left, no permission).
    """
    body = f'"key":"{record.job.key}",\n{record.model_dump_json()[1:]}\n'.encode()
    path = record_path(folder, record.job)
    write_file(path, f'{{"checksum":"{_sha256(body)}",\n'.encode() + body, RecordError)
    return path


def read_record(folder: Path, job: Cell | Anchors) -> Record | None:
    """Return a job's record, or None if there is none yet.

    Raises:
        RecordError: if the file at its place is damaged, of another schema, or of another job.
    """
    path = record_path(folder, job)
    try:
        kept = _load(path)
    except FileNotFoundError:
        return None
    if kept.key != job.key:
        raise RecordError(f"{path.name}: holds another job's result ({kept.job.label})")
    return kept.record(job)


def load_record(path: Path) -> Record:
    """Return the record in a file.

    Raises:
        FileNotFoundError: if there is none.
        RecordError: if it is damaged, of another schema, or no record.
    """
    kept = _load(path)
    return kept.record(kept.job)


def _load(path: Path) -> _Kept:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror})") from None
    head, _, body = content.partition(b"\n")
    if head != f'{{"checksum":"{_sha256(body)}",'.encode():
        reason = _no_record(content) or "damaged: its content does not have its checksum"
        raise RecordError(f"{path.name}: {reason}")
    try:
        return _Kept.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        reason = _no_record(content) or f"{field}: {first['msg']}"
        raise RecordError(f"{path.name}: {reason}") from None


class _Kept(Record):
    """A record as it is on disk."""

    checksum: str
    key: str

    def record(self, job: Cell | Anchors) -> Record:
        """Return the record, with a job of the same key: one scenario for all, not one each."""
        facts = {name: getattr(self, name) for name in Record.model_fields}
        return Record.model_construct(**facts | {"job": job})


def _no_record(content: bytes) -> str | None:
    """Say what a file is instead of a record of this version; None if it may be one."""
    try:
        facts = json.loads(content)
    except (ValueError, RecursionError):  # not UTF-8, not JSON, or a trap
        return "damaged: it is not JSON"
    if not isinstance(facts, dict) or "schema_version" not in facts:
        return "not a record of this benchmark"
    if facts["schema_version"] != SCHEMA_VERSION:
        return _other_schema(facts["schema_version"], SCHEMA_VERSION)
    return None


def _other_schema(found: Any, known: int) -> str:
    return f"schema {show(found)}, this version reads {known}"


def set_aside(folder: Path, job: Cell | Anchors) -> Path:
    """Move the file at a job's place into `set-aside/`, keep it there, and return where it lies.

    Raises:
        RecordError: if it cannot be moved.
    """
    path = record_path(folder, job)
    aside = folder / "set-aside"
    number = 1
    while (target := aside / f"{path.stem}.{number}.json").exists():
        number += 1
    try:
        aside.mkdir(exist_ok=True)
        path.rename(target)
    except OSError as error:
        raise RecordError(f"{path}: cannot be set aside ({error.strerror}): move it away") from None
    return target


def write_plan(folder: Path, plan: Plan) -> None:
    """Write what a run was asked for to its folder.

    Raises:
        RecordError: if it cannot be written.
    """
    write_file(folder / "run.json", plan.model_dump_json(indent=1) + "\n", RecordError)


def read_plan(folder: Path) -> Plan:
    """Return what the run in a folder was asked for.

    Raises:
        RecordError: if the folder holds no run, or its plan cannot be read.
    """
    path = folder / "run.json"
    try:
        return Plan.model_validate_json(path.read_bytes())
    except OSError as error:
        raise RecordError(
            f"{path}: {error.strerror}: '{folder}' holds no run; give the folder of one (its --out)"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        other = first["loc"] == ("schema_version",)
        reason = f"damaged ({first['msg']})"
        if other:
            reason = _other_schema(first["input"], PLAN_VERSION)
        raise RecordError(f"{path}: {reason}: start the run again to renew it") from None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
