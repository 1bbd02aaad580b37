"""What a model server computes: one denoising step of every task in turn, each in own memory.

A task holds memory for each step that it was asked for, which is really taken. Where tasks wait for
others to end there is always enough. Where none waits, one task too many finds no memory, and that
is the end of the process and of all that runs in it, as it is of a server on a GPU.
"""

from __future__ import annotations

import mmap
import os
import resource
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl.serving.backend.denoiser import Judge, Model, load, noise
from edge_marl.serving.reports import Report, TaskThere

__all__ = ["OUT_OF_MEMORY", "Engine", "Full", "Made", "Task", "limit_memory"]

MIB = 2**20
SLACK_MIB = 8
"""Memory beyond the limit, for all that is not a task's: one of no more steps may just fit."""
OUT_OF_MEMORY = 137
"""Exit code: that of a process that the system kills for its memory."""


class Full(Exception):
    """There is no place in the line."""


@dataclass
class Task:
    """A request that is computed: sheets of digits, one after the other."""

    id: str
    model: str
    digit: int
    steps: int
    """Denoising steps of all sheets together."""
    sheets: int
    rng: np.random.Generator
    done: Callable[[Made], Any]
    """Called in the engine's thread."""
    at: int = 0
    pictures: npt.NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    made: list[npt.NDArray[np.float32]] = field(default_factory=list)
    memory: mmap.mmap | None = None

    @property
    def each(self) -> int:
        """Steps of a sheet."""
        return max(1, self.steps // self.sheets)


@dataclass(frozen=True)
class Made:
    """What came of a task."""

    sheets: list[npt.NDArray[np.float32]]
    """(tiles, 64) each, from -1 to 1."""
    quality: float
    """Share of the digits that show what was asked for."""


def limit_memory(capacity: int, step_mib: int) -> None:
    """Let this process have memory for so many steps more than it has now, and no more."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    most = pages * mmap.PAGESIZE + (capacity * step_mib + SLACK_MIB) * MIB
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


class Engine:
    """Computes in a thread of its own, until the process ends.

    Args:
        capacity: denoising steps that there is memory for.
        line: tasks that may wait for capacity; 0 is that none does, and memory decides.
        step_mib: memory that a task holds for each of its steps.
        tiles: digits on a sheet.
    """

    def __init__(self, capacity: int, line: int, step_mib: int, tiles: int) -> None:
        self._capacity, self._line, self._step_mib, self._tiles = capacity, line, step_mib, tiles
        self._models: dict[str, Model]
        self._judge: Judge
        self._models, self._judge = load()
        self._running: list[Task] = []
        self._waiting: deque[Task] = deque()
        self._changed = threading.Condition()
        self._step_s = 0.0
        """Time that a step of every running task took last."""
        threading.Thread(target=self._work, name="engine", daemon=True).start()

    def warm_up(self) -> None:
        """Have every model take a step, so that what this takes for good is there."""
        for name in self._models:
            over: Queue[Made] = Queue()
            self.submit(Task("", name, 0, 1, 1, np.random.default_rng(0), over.put))
            over.get()

    def submit(self, task: Task) -> None:
        """Have a task computed.

        Raises:
            Full: it would have to wait, and there is no place in the line, or it is too large.
        """
        with self._changed:
            if self._line and (
                task.steps > self._capacity
                or (len(self._waiting) >= self._line and not self._fits(task))
            ):
                raise Full
            self._waiting.append(task)
            self._changed.notify()

    def report(self) -> Report:
        """Return what is in memory, and what is computed and waits."""
        with self._changed:
            there = [(task, False) for task in self._running]
            there += [(task, True) for task in self._waiting]
            return Report(
                models=list(self._models),
                tasks=[
                    TaskThere(
                        id=task.id,
                        model=task.model,
                        steps=task.steps,
                        left_s=max(0, task.steps - task.at) * self._step_s,
                        waits=waits,
                    )
                    for task, waits in there
                ],
            )

    def _fits(self, task: Task) -> bool:
        """Whether a task need not wait."""
        held = sum(one.steps for one in self._running)
        return not self._waiting and held + task.steps <= self._capacity

    def _work(self) -> None:
        try:
            self._compute()
        except MemoryError:
            os._exit(OUT_OF_MEMORY)
        except BaseException:
            traceback.print_exc()
            os._exit(1)  # without it there is nothing left to serve

    def _compute(self) -> None:
        while True:
            with self._changed:
                while not self._running and not self._waiting:
                    self._changed.wait()
                self._take()
            began = time.perf_counter()
            self._step()
            self._step_s = time.perf_counter() - began
            self._give()

    def _take(self) -> None:
        """Start the tasks that there is capacity for, first come first served; or all."""
        while self._waiting:
            task = self._waiting[0]
            held = sum(one.steps for one in self._running)
            if self._line and held + task.steps > self._capacity:
                return
            self._waiting.popleft()
            task.memory = _take_memory(task.steps * self._step_mib * MIB)
            task.pictures = noise(task.rng, self._tiles)
            self._running.append(task)

    def _step(self) -> None:
        """Do one denoising step of every running task: those of a model in one batch."""
        for name, model in self._models.items():
            tasks = [task for task in self._running if task.model == name]
            if not tasks:
                continue
            at = np.array([[task.at % task.each, task.each] for task in tasks])
            digits = np.array([task.digit for task in tasks])
            moved = model.step(
                np.concatenate([task.pictures for task in tasks]),
                at.repeat(self._tiles, axis=0),
                digits.repeat(self._tiles),
                np.concatenate([noise(task.rng, self._tiles) for task in tasks]),
            )
            for task, pictures in zip(tasks, np.split(moved, len(tasks)), strict=True):
                task.pictures = pictures
                task.at += 1
                if task.at % task.each == 0:
                    task.made.append(pictures)
                    task.pictures = noise(task.rng, self._tiles)

    def _give(self) -> None:
        """Tasks that are done leave."""
        over = [task for task in self._running if len(task.made) == task.sheets]
        with self._changed:
            self._running = [task for task in self._running if len(task.made) < task.sheets]
        for task in over:
            if task.memory is not None:
                task.memory.close()
            quality = self._judge.share(np.concatenate(task.made), task.digit)
            task.done(Made(task.made, quality))


def _take_memory(size: int) -> mmap.mmap:
    """Return memory that is really there; without enough of it the process ends at once."""
    try:
        memory = mmap.mmap(-1, size)
    except (OSError, MemoryError):
        os._exit(OUT_OF_MEMORY)
    for page in range(0, size, mmap.PAGESIZE):
        memory[page] = 1
    return memory
