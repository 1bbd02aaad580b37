"""What a worker is given, and what it says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from edge_marl.benchmarks.plan.cells import Cell, Job
from edge_marl.benchmarks.run import kept_agents

__all__ = ["Outcome", "Report", "Task"]

Report = Callable[[str, int, int, float | None], None]
"""Takes (phase, steps done, steps in all, utility per task so far or None); from any thread."""

Outcome = dict[str, Any]
"""`provenance` and `result`, `anchors` or `failure`, as fields of a `Record`; `agent`: files."""


class Task(BaseModel):
    """A job, with what it is done with."""

    job: Job
    agent: kept_agents.Files | None = None
    """The trained agent, where another cell has trained it."""
    state: Path | None = None
    """Folder in which a training keeps its state, to go on from where it was killed. It is used
    where the folder around it is there: on this machine, or on a file system that is shared."""

    @property
    def threads(self) -> int:
        """Threads of the job's process."""
        return self.job.threads if isinstance(self.job, Cell) else 1
