"""What the state of a game holds in the extended model besides that of the base model.

Everything in it is there now, and all of it decides what becomes of a task that is sent now: models
in memory, servers that are down, lines, what waits at gateways, and how old telemetry is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl.kernel import world as k
from edge_marl.kernel.world import World
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario

__all__ = ["ExtendedState"]

REPAIRS = 4
"""Mean repair times that the time until a server is up is measured in: few take longer."""


class ExtendedState:
    """The part of a state that only extended scenarios have; of others it is empty.

    Args:
        scenario: the world.
        layout: of its observations.
    """

    def __init__(self, scenario: Scenario, layout: ObservationLayout) -> None:
        self._scenario, self._layout = scenario, layout
        repair_s = scenario.outages.repair_s if scenario.outages else 0.0
        self._longest_down = max(1.0, scenario.overload.restart_ms, 1000 * REPAIRS * repair_s)

    @property
    def size(self) -> int:
        """Numbers that it has."""
        s = self._scenario
        if not s.extended:
            return 0
        each = 2 + 3 * bool(s.queue) + 3 * s.num_services * bool(s.residency)
        stale = 2 * s.num_servers + 1 if s.telemetry.period_ms > 0 else 0
        return 2 * s.gateways.count + each * s.num_servers + stale

    def of(self, w: World) -> list[npt.NDArray[Any]]:
        """Return its parts, each (E, ...), with numbers in [0, 1].

        Per gateway what waits there, its task included: tasks n as n / (n + 1), and their steps d
        as d / (d + the largest demand). Per server whether it is down, and until when. Then, where
        the scenario has them: per server tasks in its line, their steps, and the time until the
        last has its turn; per server and model whether it is in memory, the time until it is
        loaded, and the time since it was last sent to; age of telemetry, and per server the free
        share and whether it is up as telemetry shows them.
        """
        s = self._scenario
        if not s.extended:
            return []
        parts = [self._at_gateways(w), self._down(w)]
        if s.queue:
            parts.append(self._lines(w))
        if s.residency:
            parts.append(self._models(w))
        if (period := s.telemetry.period_ms) > 0:
            age = w.episode[:, k.CLOCK] - np.maximum(w.episode[:, k.TICK], 0)
            free = w.telemetry[:, :, k.FREE]
            up = free != k.DOWN
            parts += [np.minimum(age[:, None] / period, 1.0), np.stack([free * up, up], axis=-1)]
        return parts

    def _at_gateways(self, w: World) -> npt.NDArray[Any]:
        """Return (E, G, 2): in slots a gateway may have several tasks, and sees the first."""
        now = w.episode[:, k.CLOCK, None]
        on_events = self._scenario.clock.slot_ms == 0
        task = w.gateways[:, :, k.WAITS if on_events else k.HEAD].copy()
        rows = np.arange(len(task))[:, None]
        count, steps = np.zeros(task.shape, dtype=np.int64), np.zeros(task.shape, dtype=np.int64)
        while True:
            waits = (task != k.NOWHERE) & (w.tasks[rows, task, k.ARRIVAL] <= now)
            waits &= w.episode[:, k.DONE, None] == k.GOING_ON
            if not waits.any():
                break
            count += waits
            steps += np.where(waits, w.tasks[rows, task, k.DEMAND], 0)
            follower = k.NOWHERE if on_events else w.followers[rows, task]
            task = np.where(waits, follower, k.NOWHERE)
        return np.stack([count / (count + 1), steps / (steps + self._layout.max_demand)], axis=-1)

    def _down(self, w: World) -> npt.NDArray[Any]:
        left = w.sites[:, :, k.DOWN_UNTIL] - w.episode[:, k.CLOCK, None]
        return np.stack([left > 0, np.clip(left / self._longest_down, 0.0, 1.0)], axis=-1)

    def _lines(self, w: World) -> npt.NDArray[Any]:
        now = w.episode[:, k.CLOCK, None]
        here = np.arange(w.turns.shape[2]) < w.servers[:, :, k.NUM_RUNNING, None]
        waits = here & (w.turns > now[..., None])
        steps = np.where(waits, w.running[:, :, :, k.HOLDS], 0).sum(-1)
        most = self._layout.max_waiting
        backlog = np.where(waits.any(-1), w.lines[:, :, k.LAST_TURN] - now, 0)
        return np.stack(
            [
                waits.sum(-1) / most,
                np.minimum(steps / (most * self._layout.max_demand), 1.0),
                np.clip(backlog / self._layout.max_duration_ms, 0.0, 1.0),
            ],
            axis=-1,
        )

    def _models(self, w: World) -> npt.NDArray[Any]:
        now = w.episode[:, k.CLOCK, None, None]
        services = np.arange(self._scenario.num_services)
        here = (w.sites[:, :, k.RESIDENT, None] >> services & 1) == 1
        loading = (w.models[:, :, :, k.READY] - now) / self._layout.max_duration_ms
        idle = (now - w.models[:, :, :, k.LAST_USE]) / self._scenario.arrivals.horizon_ms
        numbers = [here, here * np.clip(loading, 0.0, 1.0), here * np.clip(idle, 0.0, 1.0)]
        return np.stack(numbers, axis=-1)
