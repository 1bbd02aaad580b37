"""Readers of what is asked for and of what runs leave: suites, plans, records, locks, anchors."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path
from random import Random

from edge_marl.benchmarks import suites
from edge_marl.benchmarks.plan.cells import Anchors, Cell, Plan
from edge_marl.benchmarks.plan.make_plan import make_plan
from edge_marl.benchmarks.records.records import (
    Record,
    load_record,
    read_plan,
    write_plan,
    write_record,
)
from edge_marl.benchmarks.run.locks import Locks, locked_jobs
from edge_marl.bound.anchor_pairs import cached_pair
from edge_marl.draw import draw_workload
from tests.fuzz.mutators import change, change_bytes
from tests.fuzz.property import Entry
from tests.worlds import fakes
from tests.worlds.by_hand import make_world

__all__ = ["ENTRIES"]

PLAN = fakes.plan()
JOB = PLAN.jobs()[0]
MOST_CELLS = 100
"""Of a plan whose jobs are listed."""


def suite_seeds() -> Sequence[bytes]:
    shipped = [
        resources.files(suites).joinpath(f"{name}.toml").read_bytes()
        for name in ("smoke", "games", "study-ablation")
    ]
    given = b'scenarios = ["smoke"]\nagents = ["random", "sac gamma=0.9"]\ngateways = "servers"\n'
    return (*shipped, given + b'apis = ["parallel"]\nslot_s = 30.0\nhold = true\nworlds = [0, 1]\n')


def plan_of(suite: suites.Suite) -> None:
    """Plan a suite that is not large."""
    if len(suite.scenarios) * max(1, len(suite.worlds)) <= 10:
        list_jobs(make_plan(suite))


def list_jobs(plan: Plan) -> None:
    """List what a plan consists of, and write it down and read it again."""
    with tempfile.TemporaryDirectory() as folder:
        write_plan(Path(folder), plan)
        assert read_plan(Path(folder)) == plan
    if len(plan.arenas) * len(plan.agents) * plan.seeds <= MOST_CELLS:
        assert all(job.file_name and job.label for job in plan.jobs())


@lru_cache(maxsize=1)
def record_seeds() -> Sequence[bytes]:
    cell = PLAN.cells(fakes.ARENA, fakes.LEARNER)[1]
    made = (
        fakes.with_lines(fakes.cell_record(cell, 50.0)),
        fakes.failure_record(cell),
        fakes.anchors_record(PLAN.anchors(fakes.SMOKE)),
    )
    with tempfile.TemporaryDirectory() as folder:
        return [write_record(Path(folder), record).read_bytes() for record in made]


def change_record(rng: Random, content: bytes) -> bytes:
    """Change a record's body, mostly with its checksum; or the whole file."""
    if rng.random() < 0.1:
        return change(rng, content)
    head, _, body = content.partition(b"\n")
    body = change(rng, body)
    if rng.random() < 0.9:
        head = f'{{"checksum":"{hashlib.sha256(body).hexdigest()}",'.encode()
    return head + b"\n" + body


def write_again(record: Record) -> None:
    """Write a record where it belongs, and read it again."""
    with tempfile.TemporaryDirectory() as folder:
        assert load_record(write_record(Path(folder), record)) == record


def locked(path: Path) -> list[Cell | Anchors]:
    """Return the jobs that somebody is at."""
    return locked_jobs(path.parents[1], [JOB])


@lru_cache(maxsize=1)
def lock_seeds() -> Sequence[bytes]:
    with tempfile.TemporaryDirectory() as folder, Locks(Path(folder)) as locks:
        locks.claim(JOB)
        own = next(Path(folder, "locks").glob("*.*")).read_bytes()
    return own, json.dumps(json.loads(own) | {"host": "elsewhere", "start": None}).encode()


TINY = make_world([[[0.5]]], [300])
TINY_WORKLOAD = draw_workload(TINY, seed=0)


@lru_cache(maxsize=1)
def kept_anchors() -> tuple[str, bytes]:
    """Return the place below a cache of a workload's anchors, and the file there."""
    with tempfile.TemporaryDirectory() as folder:
        cached_pair(TINY, TINY_WORKLOAD, folder)
        path = next(Path(folder).rglob("*.json"))
        return path.relative_to(folder).as_posix(), path.read_bytes()


def put_in_cache(path: Path, content: bytes) -> None:
    """Put a file where the anchors are kept."""
    place = path.parent / kept_anchors()[0]
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(content)


def check_pair(pair: tuple[float, float]) -> None:
    """Check both ends of a score."""
    assert float("-inf") < pair[0] <= pair[1] < float("inf")


ENTRIES = (
    Entry(
        "suite",
        "mine.toml",
        suite_seeds,
        change,
        lambda path: suites.load_suite(str(path)),
        plan_of,
        lists=True,
    ),
    Entry(
        "plan",
        "run.json",
        lambda: (PLAN.model_dump_json(indent=1).encode(),),
        change,
        lambda path: read_plan(path.parent),
        list_jobs,
    ),
    Entry("record", "record.json", record_seeds, change_record, load_record, write_again),
    Entry("lock", f"locks/{JOB.key[:32]}.1", lock_seeds, change, locked),
    Entry(
        "anchors-cache",
        "anchors.json",
        lambda: (kept_anchors()[1],),
        lambda rng, content: (change if rng.random() < 0.8 else change_bytes)(rng, content),
        lambda path: cached_pair(TINY, TINY_WORKLOAD, path.parent),
        check_pair,
        put_in_cache,
    ),
)
