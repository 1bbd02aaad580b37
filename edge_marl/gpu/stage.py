"""Episodes are started on the host, by its simulator, before their rows go to the device."""

from __future__ import annotations

from collections.abc import Sequence

from edge_marl.kernel.world import World
from edge_marl.simulator import Simulator
from edge_marl.workload import Workload

__all__ = ["Stage"]


class Stage(Simulator):
    """A simulator that only starts episodes."""

    def fill(self, workloads: Sequence[Workload]) -> World:
        """Start an episode on each of some workloads, at most E; return the arrays."""
        for row, workload in enumerate(workloads):
            self.load(row, workload)
        return self._world
