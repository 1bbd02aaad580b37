"""Keeps a model server running: one that dies is started again, on the same port."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Literal

from edge_marl.errors import ServingError

__all__ = ["Settings", "Supervisor"]

MOST_IN_A_ROW = 5
"""Starts that may fail, one after the other."""


@dataclass(frozen=True)
class Settings:
    """Of a model server."""

    kind: Literal["digits", "text"] = "digits"
    host: str = "127.0.0.1"
    port: int = 0
    """0 is a free one, which it keeps."""
    capacity: int = 100
    """Steps that it has memory for."""
    line: int = 0
    """Tasks that may wait; 0 is that memory decides."""
    step_mib: int = 1
    """Memory that a task holds for each of its steps."""
    tiles: int = 64
    """Digits on a sheet: the work of a step."""
    restart_s: float = 0.0
    """Time to wait before a server that died is started again."""


class Supervisor:
    """Runs a model server in a process of its own.

    Args:
        settings: of the server.
        say: told when it is ready, and when it died.
    """

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self._settings, self._say = settings, say
        self._port = settings.port
        self._child: subprocess.Popen[str] | None = None
        self._stopping = False

    def run(self) -> None:
        """Keep it running until SIGTERM or SIGINT.

        Raises:
            ServingError: it cannot be started.
        """
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self._stop)
        died, failed = 0.0, 0
        while not self._stopping:
            self._child = child = self._start()
            line = child.stdout.readline() if child.stdout else ""
            if line.startswith("ready "):
                self._port, failed = int(line.split()[1]), 0
                took = f", {time.monotonic() - died:.2f} s after it died" if died else ""
                self._say(f"ready on http://{self._settings.host}:{self._port}{took}")
            elif not self._stopping:
                failed += 1
            code = child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()
            if failed == MOST_IN_A_ROW or (failed and not died):
                raise ServingError(line.strip() or f"the model server ends with exit code {code}")
            if not self._stopping:
                died = time.monotonic()
                self._say(f"died with exit code {code}")
                time.sleep(self._settings.restart_s)

    def _start(self) -> subprocess.Popen[str]:
        told = self._settings
        numbers = (self._port, told.capacity, told.line, told.step_mib, told.tiles)
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "edge_marl.serving.backend.worker",
                told.kind,
                told.host,
                *map(str, numbers),
            ],
            stdin=subprocess.PIPE,  # its end is this process's
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True,  # a Ctrl-C is passed on once, by `_stop`
        )

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
        if self._child is not None:
            self._child.terminate()
