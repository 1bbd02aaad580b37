"""What became of the tasks of an episode."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from edge_marl.kernel import world as k
from edge_marl.tables import Shown, Table

__all__ = ["EpisodeLog"]

LOST = {
    k.CRASHED: "lost in another's crash",
    k.REFUSED: "made a server crash",
    k.DROPPED: "dropped",
    k.DENIED: "sent to a server that takes none",
    k.FAILED: "failed by itself",
    k.OUTAGE: "lost in an outage",
    k.DECLINED: "declined",
}
"""What became of tasks that were not served, by STATUS."""


@dataclass(frozen=True, eq=False)
class EpisodeLog(Shown):
    """What became of every task of an episode so far (copies; times in milliseconds)."""

    tasks: npt.NDArray[np.int64]
    """(N, 9) the kernel's task rows: the workload's columns, then PLACE, STATUS, START, END. Of a
    later stage, ARRIVAL is when it became ready."""
    details: npt.NDArray[np.int64] | None
    """(N, 10) the kernel's rows of the extended model; None in the base model."""
    rewards: npt.NDArray[np.float64]
    """(N,) what each task's dispatch paid, less refunds for it; 0 before it is sent."""
    num_shown: int
    capacity: npt.NDArray[np.int64]
    """(S,) capacity of each server."""
    energy_mj: npt.NDArray[np.int64] | None
    """(S, V) energy of a denoising step in millijoules, if the topology says."""
    has_cloud: bool
    """Whether the last server is the cloud."""
    server_crashes: npt.NDArray[np.int64]
    """(S,) crashes of each server."""
    num_services: int
    clock_ms: int
    illegal_actions: int
    terms: npt.NDArray[np.int64] | None = None
    """(N, 4) WEIGHT, LEVEL, STEPS, TURN of tasks where a part is on that has them."""
    in_slots: bool = False
    """Whether gateways decide in slots."""
    restart_ms: int = 0
    """How long a server is down after a crash."""
    outages: npt.NDArray[np.int64] = field(
        default_factory=lambda: np.zeros((0, k.NUM_OUTAGE_COLUMNS), dtype=np.int64)
    )
    """(F, 3) TIME, LOCATION, DURATION of all server failures of the workload."""

    def as_table(self) -> Table:
        """Return what became of how many tasks so far."""
        status = self.tasks[:, k.STATUS]
        counts = {
            "to be decided on so far": self.num_decisions,
            "finished": int(self.finished.sum()),
            "running": int(self.running.sum()),
        }
        counts |= {told: int((status == fate).sum()) for fate, told in LOST.items()}
        rows = [(told, f"{count:,} tasks") for told, count in counts.items() if count]
        rows.append(("server crashes", f"{int(self.server_crashes.sum()):,}"))
        rows.append(("return", f"{self.rewards.sum():,.3f}"))
        return Table(f"episode at {self.clock_ms / 1000:,.3f} s", rows)

    @property
    def shown(self) -> npt.NDArray[np.bool_]:
        """(N,) tasks that were to be decided on so far."""
        if self.details is None or not self.details[:, k.AFTER].any():
            return np.arange(len(self.tasks)) < self.num_shown
        first_stages = np.equal(self.details[:, k.STAGE], 0)
        arrived = first_stages & (self.tasks[:, k.ARRIVAL] <= self.clock_ms)
        return arrived | np.not_equal(self.tasks[:, k.STATUS], k.WAITING)

    @property
    def num_decisions(self) -> int:
        """Tasks that were to be decided on so far."""
        return int(self.shown.sum())

    @property
    def finished(self) -> npt.NDArray[np.bool_]:
        """(N,) tasks that have run to their end by now."""
        return self._admitted & (self.tasks[:, k.END] <= self.clock_ms)

    @property
    def running(self) -> npt.NDArray[np.bool_]:
        """(N,) tasks that run now."""
        return self._admitted & (self.tasks[:, k.END] > self.clock_ms)

    @property
    def _admitted(self) -> npt.NDArray[np.bool_]:
        return np.equal(self.tasks[:, k.STATUS], k.ADMITTED)
