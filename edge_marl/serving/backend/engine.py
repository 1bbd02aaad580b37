"""What a model server computes: one step of every task in turn, each in own memory.

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
from pathlib import Path
from queue import Queue
from typing import Any

from edge_marl.serving.asked import OWN_PATH
from edge_marl.serving.backend.kind import Kind, Task
from edge_marl.serving.reports import Report, TaskThere

__all__ = ["OUT_OF_MEMORY", "Engine", "Full", "limit_memory"]

MIB = 2**20
OUT_OF_MEMORY = 137
"""Exit code: that of a process that the system kills for its memory."""


class Full(Exception):
    """There is no place in the line."""


def limit_memory(capacity: int, step_mib: int, slack_mib: int) -> None:
    """Let this process have memory for so many steps more than it has now, and some slack."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    most = pages * mmap.PAGESIZE + (capacity * step_mib + slack_mib) * MIB
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


class Engine:
    """Computes in a thread of its own, until the process ends.

    Args:
        kind: what is computed.
        capacity: steps that there is memory for.
        line: tasks that may wait for capacity; 0 is that none does, and memory decides.
        step_mib: memory that a task holds for each of its steps.
    """

    def __init__(self, kind: Kind, capacity: int, line: int, step_mib: int) -> None:
        self.kind = kind
        self._capacity, self._line, self._step_mib = capacity, line, step_mib
        self._running: list[Task] = []
        self._waiting: deque[Task] = deque()
        self._changed = threading.Condition()
        self._step_s = 0.0
        """Time that a step of every running task took last."""
        threading.Thread(target=self._work, name="engine", daemon=True).start()

    def warm_up(self) -> None:
        """Have every model take a step, so that what this takes for good is there."""
        asked = self.kind.asked(OWN_PATH, self.kind.small)
        for model in self.kind.models:
            over: Queue[Any] = Queue()
            self.submit(Task("", model, asked, over.put))
            over.get()

    def submit(self, task: Task) -> None:
        """Have a task computed.

        Raises:
            Full: it would have to wait, and there is no place in the line, or it is too large.
        """
        with self._changed:
            if self._line and (
                task.asked.steps > self._capacity
                or (len(self._waiting) >= self._line and not self._fits(task))
            ):
                raise Full
            self._waiting.append(task)
            self._changed.notify()

    def leave(self, task: Task) -> None:
        """Let a task go that nobody waits for: it ends with the step that it is at."""
        with self._changed:
            task.left = True
            self._waiting = deque(one for one in self._waiting if one is not task)

    def report(self) -> Report:
        """Return what is in memory, and what is computed and waits."""
        with self._changed:
            there = [(task, False) for task in self._running]
            there += [(task, True) for task in self._waiting]
            return Report(
                models=list(self.kind.models),
                tasks=[
                    TaskThere(
                        id=task.id,
                        model=task.model,
                        steps=task.asked.steps,
                        left_s=max(0, (task.until or task.asked.steps) - task.at) * self._step_s,
                        waits=waits,
                    )
                    for task, waits in there
                ],
            )

    def _fits(self, task: Task) -> bool:
        """Whether a task need not wait."""
        held = sum(one.asked.steps for one in self._running)
        return not self._waiting and held + task.asked.steps <= self._capacity

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
            held = sum(one.asked.steps for one in self._running)
            if self._line and held + task.asked.steps > self._capacity:
                return
            self._waiting.popleft()
            task.memory = _take_memory(task.asked.steps * self._step_mib * MIB)
            self.kind.begin(task)
            self._running.append(task)

    def _step(self) -> None:
        """Do one step of every running task: those of a model together."""
        for model in self.kind.models:
            tasks = [task for task in self._running if task.model == model]
            if tasks:
                self.kind.step(model, tasks)
            for task in tasks:
                task.at += 1

    def _give(self) -> None:
        """Tasks that are done leave, and those that nobody waits for."""
        with self._changed:
            over = [task for task in self._running if task.left or task.at >= task.until]
            self._running = [
                task for task in self._running if not task.left and task.at < task.until
            ]
        for task in over:
            if task.memory is not None:
                task.memory.close()
            if task.at >= task.until:
                task.done(self.kind.made(task))


def _take_memory(size: int) -> mmap.mmap:
    """Return memory that is really there; without enough of it the process ends at once."""
    try:
        memory = mmap.mmap(-1, size)
    except (OSError, MemoryError):
        os._exit(OUT_OF_MEMORY)
    for page in range(0, size, mmap.PAGESIZE):
        memory[page] = 1
    return memory
