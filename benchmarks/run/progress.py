"""How a run shows its progress: bars on a terminal, short lines elsewhere."""

from __future__ import annotations

import json
import math
import sys
import threading
import time
from typing import Any, TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from edge_marl.benchmarks.plan.cells import Anchors, Cell
from edge_marl.benchmarks.records.records import Record

__all__ = ["Bars", "Events", "Lines", "make_display"]

LINE_EVERY_S = 30.0
"""Without a terminal, a running job is mentioned this often."""


def make_display(console: Console, *, quiet: bool, events: bool = False) -> Bars | Lines | Events:
    """Return what fits the console: bars on a terminal, lines elsewhere, hardly any if quiet.

    With `events`, JSON on standard output instead, for machines.
    """
    if events:
        return Events(sys.stdout)
    if console.is_terminal and not quiet:
        return Bars(console)
    return Lines(console, quiet=quiet)


class Lines:
    """One line per event.

    Args:
        console: where the lines go.
        quiet: say nothing but what went wrong.
    """

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._console = console
        self._quiet = quiet
        self._total = self._done = 0
        self._said = time.monotonic()

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def start(self, total: int, done: int) -> None:
        """Say how much there is to do."""
        self._total, self._done = total, done
        if not self._quiet:
            self._say(_opening(total, done))

    def message(self, text: str) -> None:
        """Say it."""
        self._say(text)

    def begin(self, job: Cell | Anchors) -> None:
        """Nothing: a line at its end is enough."""

    def progress(
        self, job: Cell | Anchors, phase: str, done: int, total: int, value: float | None
    ) -> None:
        """Mention the job, unless a line was written a short time ago."""
        if not self._quiet and time.monotonic() - self._said >= LINE_EVERY_S:
            share = f"{phase} {done / max(total, 1):.0%}"
            self._say(f"        {job.label}: {share}{_utility(value)}")

    def end(self, job: Cell | Anchors, record: Record) -> None:
        """Say how the job ended."""
        self._done += 1
        if record.failure is not None or not self._quiet:
            self._say(f"[{self._done}/{self._total}] {job.label}: {_ending(record)}")

    def _say(self, text: str) -> None:
        self._said = time.monotonic()
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class Events:
    """One JSON object per line and event, each with its `event`.

    Args:
        out: where the lines go.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lock = threading.Lock()

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def start(self, total: int, done: int) -> None:
        """Event `start`."""
        self.write("start", jobs=total, done=done)

    def message(self, text: str) -> None:
        """Event `message`."""
        self.write("message", text=text)

    def begin(self, job: Cell | Anchors) -> None:
        """Event `begin`."""
        self.write("begin", job=job.label, key=job.key)

    def progress(
        self, job: Cell | Anchors, phase: str, done: int, total: int, value: float | None
    ) -> None:
        """Event `progress`."""
        known = None if value is None or math.isnan(value) else value
        facts = {"phase": phase, "done": done, "total": total, "utility_per_task": known}
        self.write("progress", job=job.label, key=job.key, **facts)

    def end(self, job: Cell | Anchors, record: Record) -> None:
        """Event `end`; `failure` is null where all went well."""
        failure = record.failure.reason if record.failure else None
        facts = {"record": job.file_name, "wall_s": record.provenance.wall_s, "failure": failure}
        self.write("end", job=job.label, key=job.key, **facts)

    def write(self, event: str, **facts: Any) -> None:
        """Write one line."""
        with self._lock:
            self._out.write(json.dumps({"event": event, **facts}) + "\n")
            self._out.flush()


class Bars:
    """One bar for the run and one per running job, and a line per finished job above them.

    Args:
        console: a terminal.
    """

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            expand=True,
            transient=True,
        )
        self._overall: TaskID | None = None
        self._running: dict[str, tuple[TaskID, str]] = {}

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def start(self, total: int, done: int) -> None:
        """Add the bar of the run."""
        self.message(_opening(total, done))
        self._overall = self._progress.add_task(
            "[bold]run", total=total, completed=done, detail=f"{done} of {total}"
        )

    def message(self, text: str) -> None:
        """Print it above the bars."""
        self._progress.console.print(text, markup=False, highlight=False)

    def begin(self, job: Cell | Anchors) -> None:
        """Add the job's bar."""
        bar = self._progress.add_task(escape(job.label), total=None, detail="starting")
        self._running[job.key] = (bar, "starting")

    def progress(
        self, job: Cell | Anchors, phase: str, done: int, total: int, value: float | None
    ) -> None:
        """Move the job's bar; each phase fills it anew."""
        bar, before = self._running[job.key]
        if phase != before:
            self._progress.reset(bar, total=total)
            self._running[job.key] = (bar, phase)
        detail = f"{phase} {done:,} of {total:,}{_utility(value)}"
        self._progress.update(bar, completed=done, total=total, detail=detail)

    def end(self, job: Cell | Anchors, record: Record) -> None:
        """Take the job's bar away and print how it ended."""
        if job.key in self._running:  # not so if another runner has done it
            self._progress.remove_task(self._running.pop(job.key)[0])
        style = "" if record.failure is None else "red"
        self._progress.console.print(
            f"{job.label}: {_ending(record)}", style=style, markup=False, highlight=False
        )
        if self._overall is not None:
            self._progress.advance(self._overall)
            task = self._progress.tasks[0]
            self._progress.update(
                self._overall, detail=f"{task.completed:.0f} of {task.total or 0:.0f}"
            )


def _opening(total: int, done: int) -> str:
    known = f", {done} of them done before" if done else ""
    return f"{total} job{'s' if total != 1 else ''}{known}"


def _utility(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f", {value:.3f} per task"


def _ending(record: Record) -> str:
    if record.failure is not None:
        return f"FAILED after {record.provenance.wall_s:.1f} s: {record.failure.reason}"
    if record.result is None:
        return f"done in {record.provenance.wall_s:.1f} s"
    values = [episode.metrics["utility_per_task"] for episode in record.result.episodes]
    known = [value for value in values if value is not None]
    figure = f"{sum(known) / len(known):.4g} utility per task" if known else "no utility"
    return f"{figure} in {record.provenance.wall_s:.1f} s"
