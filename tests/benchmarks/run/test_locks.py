import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from queue import Queue

import pytest

from edge_marl.benchmarks.run import locks
from edge_marl.benchmarks.run.locks import Locks, locked_jobs
from tests.worlds import fakes

JOBS = fakes.plan().jobs()
CELL = JOBS[0]


def no_link(*_: object) -> None:
    raise PermissionError(1, "Operation not permitted")


@pytest.fixture(params=["hard links", "no hard links"])
def links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "no hard links":
        monkeypatch.setattr(os, "link", no_link)


@pytest.mark.usefixtures("links")
def test_a_job_is_one_runners_until_it_is_released(tmp_path: Path) -> None:
    with Locks(tmp_path) as one, Locks(tmp_path) as other:
        assert one.claim(CELL)
        assert not other.claim(CELL)
        assert not one.claim(CELL)
        assert locked_jobs(tmp_path, JOBS) == [CELL]
        one.release(CELL)
        assert other.claim(CELL)
    assert list((tmp_path / "locks").iterdir()) == []


def leave_lock(folder: Path) -> None:
    """Let a process claim the job and die with it, as under SIGKILL."""
    code = (
        "import os, sys\nfrom pathlib import Path\n"
        "from edge_marl.benchmarks.run.locks import Locks\nfrom tests.worlds import fakes\n"
        "assert Locks(Path(sys.argv[1])).__enter__().claim(fakes.plan().jobs()[0])\n"
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True, cwd=Path.cwd())


@pytest.mark.usefixtures("links")
def test_a_dead_processs_lock_is_taken_over_by_one(tmp_path: Path) -> None:
    leave_lock(tmp_path)
    assert locked_jobs(tmp_path, JOBS) == []
    with Locks(tmp_path) as one, Locks(tmp_path) as other:
        assert one.claim(CELL)
        assert one.holds(CELL)
        assert not other.claim(CELL)


def test_a_job_that_was_cut_twice_can_be_claimed(tmp_path: Path) -> None:
    leave_lock(tmp_path)
    leave_lock(tmp_path)
    with Locks(tmp_path) as one:
        assert one.claim(CELL)
        one.release(CELL)
        assert list((tmp_path / "locks").iterdir()) == [one._own]


def test_what_killed_runners_leave_is_removed(tmp_path: Path) -> None:
    leave_lock(tmp_path)
    (tmp_path / "cells").mkdir()
    part = tmp_path / "cells" / ".a.json.0.part"
    part.touch()
    with Locks(tmp_path) as one:
        assert not part.exists()
        part.touch()
        with Locks(tmp_path):
            assert part.exists()  # it may be the first one's
        one.clear(JOBS)
    assert list((tmp_path / "locks").iterdir()) == []


@pytest.mark.usefixtures("links")
def test_another_hosts_lock_is_stale_only_when_it_is_not_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "STALE_S", -1.0)  # any time of watching is enough
    with Locks(tmp_path) as one, Locks(tmp_path) as other:
        assert one.claim(CELL)
        own = next((tmp_path / "locks").glob("*.1"))
        own.write_text(json.dumps(json.loads(own.read_text()) | {"host": "elsewhere"}))
        os.utime(own, ns=(1, 1))
        other._seen[own] = (0, 0.0)  # it was touched since the last look
        assert not other.claim(CELL)
        assert other.claim(CELL)
        assert not one.holds(CELL)
        assert other.holds(CELL)


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"token": 3}', "half of a li"])
def test_a_lock_that_says_nothing_is_stale_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / f"{CELL.key[:32]}.1").write_text(content)
    with Locks(tmp_path) as one:
        assert not one.claim(CELL)
        monkeypatch.setattr(locks, "STALE_S", -1.0)  # any time of watching is enough
        assert one.claim(CELL)
        assert one.holds(CELL)
        one.release(CELL)
        assert list((tmp_path / "locks").iterdir()) == [one._own]


def test_one_beat_that_fails_is_not_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "BEAT_S", 0.01)
    beats = threading.Semaphore(0)

    def fail(path: Path) -> None:
        beats.release()
        raise OSError(116, "Stale file handle")

    monkeypatch.setattr(os, "utime", fail)
    with Locks(tmp_path):
        assert all(beats.acquire(timeout=60) for _ in range(3))


def test_locks_that_are_no_links_are_kept_alive_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "BEAT_S", 0.01)
    monkeypatch.setattr(os, "link", no_link)
    touched: Queue[Path] = Queue()
    monkeypatch.setattr(os, "utime", touched.put)
    with Locks(tmp_path) as one:
        assert one.claim(CELL)
        while touched.get(timeout=60) != tmp_path / "locks" / f"{CELL.key[:32]}.1":
            pass
