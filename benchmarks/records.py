"""Records: what a job found, one JSON file each, whole or not there at all.

A record is written to a temporary file beside its place, synced, and renamed onto it, so a reader
never sees half of one. It carries a checksum of its content and the job that it answers; a file
that fails either test is set aside and its job done again.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from edge_marl.benchmarks.cells import SCHEMA_VERSION, Anchors, Cell, Job, Plan, canonical_json
from edge_marl.errors import RecordError

__all__ = [
    "AnchorValues",
    "CellResult",
    "CurvePoint",
    "EpisodeResult",
    "Failure",
    "Load",
    "Record",
    "read_plan",
    "read_record",
    "record_path",
    "set_aside",
    "write_file",
    "write_plan",
    "write_record",
]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class EpisodeResult(_Model):
    """What an agent got on one test workload."""

    workload: str
    """SHA-256 (hex) of the workload."""
    metrics: dict[str, float | None]
    """Every metric of the episode; None where it is undefined (no task finished: no latency)."""


class CurvePoint(_Model):
    """An evaluation on validation workloads during training (`edge_marl.agents.selection`).

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


class CellResult(_Model):
    """What one agent with one seed got."""

    episodes: tuple[EpisodeResult, ...]
    settings: dict[str, Any]
    """The agent's settings as they were resolved."""
    decision_latency_us: float
    """Median time of one decision at batch 1, in microseconds. Reported, never ranked."""
    train_s: float
    evaluate_s: float
    curve: tuple[CurvePoint, ...] = ()
    """The learning curve; empty for heuristics and for a user's own trainer."""
    load: Load = Load()
    """Of the first test workload's episode."""


class AnchorValues(_Model):
    """The anchors on one test workload, as total utility."""

    workload: str
    random: float
    bound: float


class Failure(_Model):
    """Why a job has no result."""

    reason: str
    """One line."""
    traceback: str


class Record(_Model):
    """What a job found: a result, anchors, or the failure that left it without."""

    schema_version: Literal[1] = 1
    job: Job
    result: CellResult | None = None
    anchors: tuple[AnchorValues, ...] | None = None
    failure: Failure | None = None
    wall_s: float
    """Wall clock from the start of the job's process to its answer, in seconds."""
    versions: dict[str, str]


def record_path(folder: Path, job: Cell | Anchors) -> Path:
    """Place of a job's record below a run's folder."""
    return folder / "cells" / job.file_name


def write_record(folder: Path, record: Record) -> Path:
    """Write a record to its place, atomically, and return the place.

    Raises:
        RecordError: if it cannot be written (no space left, no permission).
    """
    facts = record.model_dump(mode="json")
    facts["checksum"] = _checksum(facts)
    path = record_path(folder, record.job)
    write_file(path, json.dumps(facts, indent=1, allow_nan=False).encode() + b"\n")
    return path


def read_record(folder: Path, job: Cell | Anchors) -> Record | None:
    """Return a job's record, or None if there is none yet.

    Raises:
        RecordError: if the file at its place is damaged, of another schema, or of another job.
    """
    path = record_path(folder, job)
    try:
        facts = json.loads(path.read_bytes(), parse_constant=_no_constant)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError:  # not UTF-8, or not JSON
        raise RecordError(f"{path.name}: damaged: it is not JSON") from None
    if not isinstance(facts, dict) or "schema_version" not in facts:
        raise RecordError(f"{path.name}: not a record of this benchmark")
    if facts["schema_version"] != SCHEMA_VERSION:
        raise RecordError(
            f"{path.name}: schema {facts['schema_version']!r}, this version reads {SCHEMA_VERSION}"
        )
    if facts.pop("checksum", None) != _checksum(facts):
        raise RecordError(f"{path.name}: damaged: its content does not have its checksum")
    try:
        record = Record.model_validate(facts)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise RecordError(f"{path.name}: {field}: {first['msg']}") from None
    if record.job.key != job.key:
        raise RecordError(f"{path.name}: holds another job's result ({record.job.label})")
    return record


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
    write_file(folder / "run.json", plan.model_dump_json(indent=1).encode() + b"\n")


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
        reason = error.errors()[0]["msg"]
        raise RecordError(f"{path}: damaged ({reason}): start the run again to renew it") from None


def write_file(path: Path, content: bytes) -> None:
    """Write a file so that at any moment the old or the new one is there, whole.

    Raises:
        RecordError: if it cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(path)
        except BaseException:  # an interrupt leaves no part behind either
            part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise RecordError(f"{path}: cannot be written ({error.strerror})") from error


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _checksum(facts: dict[str, Any]) -> str:
    return hashlib.sha256(canonical_json(facts).encode()).hexdigest()
