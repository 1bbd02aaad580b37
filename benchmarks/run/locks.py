"""Locks on jobs, so that several runners on one folder share the work and do no job twice.

A runner has one file in `locks/` that says who it is, and sets its time anew every few seconds. To
claim a job is to make a hard link to that file under the job's name: one step that fails if the
name is taken, on a local disk and on NFS, and the lock's content and time are the runner's. Where a
file system has no hard links, it is to make a new file of the same content; its time is set too.

A lock is stale when its process is dead (seen at once on its own host), or when it has not been
touched for `STALE_S` seconds of watching (another host, or a file that says nothing; no clocks are
compared). It is not removed but surpassed: names end in a generation, the highest holds, and only
one runner can make the next one. So a runner that was believed dead can tell that it has lost its
job (`Locks.holds`).
"""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ValidationError

from edge_marl.benchmarks.plan.cells import Anchors, Cell
from edge_marl.errors import RecordError

__all__ = ["Locks", "locked_jobs"]

BEAT_S = 10.0
STALE_S = 120.0

PARTS = (".*.part", "cells/.*.part", "agents/.*.part")
"""Files and folders of a run that were being written."""


class Locks:
    """The locks of one runner on a run's folder; none is left after the `with`.

    Raises:
        RecordError: if the folder cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "locks"
        self._token = uuid.uuid4().hex
        self._own = self._folder / f"runner-{self._token}"
        self._held: dict[str, Path] = {}
        self._links = True
        self._seen: dict[Path, tuple[int, float]] = {}
        self._over = threading.Event()

    def __enter__(self) -> Locks:
        own = _Owner(token=self._token, host=_host(), pid=os.getpid(), start=_start())
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._own.write_text(own.model_dump_json(), "utf-8")
            self._clean()
        except OSError as error:
            raise RecordError(f"{self._own}: cannot be written ({error.strerror})") from None
        threading.Thread(target=self._beat, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for stem in list(self._held):
            self._remove(stem)
        self._own.unlink(missing_ok=True)

    def _clean(self) -> None:
        """Remove what killed runners have left: half-written files, and their own files here."""
        run = self._folder.parent
        parts = [part for place in PARTS for part in run.glob(place)]
        # Whoever writes one of them was there before they were listed, so is seen below.
        others = [path for path in self._folder.glob("runner-*") if path != self._own]
        dead = [path for path in others if self._token_if_stale(path)]
        if dead == others:
            for part in parts:
                shutil.rmtree(part, ignore_errors=True) if part.is_dir() else part.unlink(
                    missing_ok=True
                )
        for path in dead:
            path.unlink(missing_ok=True)

    def clear(self, jobs: Iterable[Cell | Anchors]) -> None:
        """Remove the locks that killed runners have left on jobs, which are done by now."""
        left = {path.stem for path in self._folder.glob("*.*")}
        for job in jobs:
            if _stem(job) in left and self.claim(job):
                self.release(job)

    def claim(self, job: Cell | Anchors) -> bool:
        """Take a job, and return whether it is this runner's now."""
        stem = _stem(job)
        found = self._generations(stem)
        old = {_token(path) for path in found[:-1]} | {None}  # surpassed before
        if found:
            stale = self._token_if_stale(found[-1])
            if stale is None:
                return False
            old.add(stale)
        number = int(found[-1].suffix[1:]) + 1 if found else 1
        own = self._folder / f"{stem}.{number}"
        try:
            self._make(own)
        except FileExistsError:
            return False
        except OSError as error:
            raise RecordError(f"{own}: cannot be made ({error.strerror})") from None
        self._held[stem] = own
        before = [path for path in self._generations(stem) if path != own]
        if any(int(p.suffix[1:]) > number or _token(p) not in old for p in before):
            self._held.pop(stem)  # another runner was faster, between the look and the link
            own.unlink(missing_ok=True)
            return False
        return True

    def _make(self, lock: Path) -> None:
        """Make a lock's file, in one step that fails if there is one."""
        if self._links:
            try:
                os.link(self._own, lock)
            except FileExistsError:
                raise
            except OSError:  # as FAT and many shared folders answer
                self._links = False
            else:
                return
        with lock.open("xb") as file:
            file.write(self._own.read_bytes())

    def holds(self, job: Cell | Anchors) -> bool:
        """Whether a job that was claimed is still this runner's."""
        own = self._held.get(_stem(job))
        return own is not None and self._generations(_stem(job))[-1:] == [own]

    def release(self, job: Cell | Anchors) -> None:
        """Give a job back: it is done, or not going to be."""
        self._remove(_stem(job))

    def _remove(self, stem: str) -> None:
        own = self._held.pop(stem)
        for path in self._generations(stem):  # the highest last: it holds until all are gone
            if int(path.suffix[1:]) <= int(own.suffix[1:]):
                path.unlink(missing_ok=True)

    def _generations(self, stem: str) -> list[Path]:
        return _sorted([path for path in self._folder.iterdir() if path.stem == stem])

    def _token_if_stale(self, path: Path) -> str | None:
        """Return whose lock it is, if that runner is gone."""
        try:
            owner, touched = _owner(path), path.stat().st_mtime_ns
        except OSError:  # just removed
            return None
        if owner.host == _host():
            return owner.token if _start(owner.pid) != owner.start else None
        now = time.monotonic()
        before, since = self._seen.setdefault(path, (touched, now))
        if before != touched:
            self._seen[path] = (touched, now)
            return None
        return owner.token if now - since > STALE_S else None

    def _beat(self) -> None:
        while not self._over.wait(BEAT_S):
            for path in [self._own] if self._links else [self._own, *self._held.values()]:
                with suppress(OSError):  # a network's file system that does not answer may again
                    os.utime(path)


def locked_jobs(folder: Path, jobs: list[Cell | Anchors]) -> list[Cell | Anchors]:
    """Return the jobs that a runner is at, as far as can be seen at once."""
    locks = Locks(folder)
    places = [p for p in (folder / "locks").glob("*.*")] if (folder / "locks").is_dir() else []
    live = {path.stem for path in places if locks._token_if_stale(path) is None}
    return [job for job in jobs if _stem(job) in live]


def _stem(job: Cell | Anchors) -> str:
    return job.key[:32]


def _sorted(paths: list[Path]) -> list[Path]:
    return sorted(paths, key=lambda path: int(path.suffix[1:]))


class _Owner(BaseModel):
    """Whose lock a file is."""

    token: str = "unreadable"
    host: str = ""
    pid: int = 0
    start: str | None = None


def _owner(path: Path) -> _Owner:
    """Return what a lock's file says; nobody's, which only time makes stale, where it says nothing.

    A power cut or a full disk leaves empty files, and files of something else.
    """
    try:
        return _Owner.model_validate_json(path.read_bytes())
    except ValidationError:
        return _Owner()


def _token(path: Path) -> str | None:
    try:
        return _owner(path).token
    except FileNotFoundError:
        return None


def _host() -> str:
    """This machine, as long as it runs, and its space of process ids: containers have their own."""
    parts = [socket.gethostname()]
    try:
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(str(Path("/proc/self/ns/pid").stat().st_ino))
    except OSError:  # not Linux
        pass
    return "/".join(parts)


def _start(pid: int | None = None) -> str | None:
    """When a process started, which tells it from a later one of the same id; None: it is dead."""
    pid = os.getpid() if pid is None else pid
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return None if stat[0] in "ZX" else stat[19]
    except OSError:
        pass
    if Path("/proc/self/stat").exists():
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        pass
    return "alive"
