"""A log played again in the simulator, with the decisions that were taken.

So two worlds can be laid side by side, request by request: the same were asked for at the same
times, and sent to the same places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from edge_marl.errors import ServingError
from edge_marl.kernel import world as k
from edge_marl.scenario import Scenario
from edge_marl.serving.log import History, Sent
from edge_marl.simulator import Simulator
from edge_marl.tables import Table

__all__ = ["Course", "as_measured", "as_simulated", "beside", "fitting"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Course:
    """What came of the requests of a log, in one world."""

    latency_s: Floats
    """(N,) from its arrival to its result; NaN for a request that was not served."""
    utility: Floats
    """(N,) 0 for a request that was not served."""
    crashes: int
    """How often a server went down."""

    @property
    def served(self) -> npt.NDArray[np.bool_]:
        """(N,) whether each was served."""
        return np.isfinite(self.latency_s)


def fitting(history: History, scenario: Scenario) -> History:
    """Return as much of a history as an episode of a scenario holds: its first requests.

    Raises:
        WorkloadError: they do not fit the scenario.
    """
    count = history.workload(scenario).num_tasks
    return replace(history, arrived=history.arrived[:count], fates=history.fates[:count])


def as_measured(history: History) -> Course:
    """Return what came of requests when they were served.

    Their utility is what was expected when they were sent: no log says how good answers were.
    """
    count = len(history.arrived)
    latency, utility = np.full(count, np.nan), np.zeros(count)
    for at, ((_, _, asked), fate) in enumerate(zip(history.arrived, history.fates, strict=True)):
        if fate.sent and fate.ended and fate.ended.outcome == "served":
            latency[at] = (fate.ended.t - asked.t) / 1000
            utility[at] = fate.sent.utility
    return Course(latency, utility, history.downs)


def as_simulated(history: History, scenario: Scenario) -> Course:
    """Return what the simulator makes of the same requests, each sent where it was.

    One that was not sent is left out of the simulation, and is not served there either.

    Args:
        history: as much as an episode holds (`fitting`).
        scenario: to play it in; of a game in slots, on its event clock.

    Raises:
        ServingError: nothing was sent, or it went to a place that the scenario has not got.
        WorkloadError: the requests do not fit the scenario.
    """
    places = [at for at, fate in enumerate(history.fates) if fate.sent]
    if not places:
        raise ServingError("the log has no request that was sent to a server: there is no decision")
    part = replace(
        history,
        arrived=tuple(history.arrived[at] for at in places),
        fates=tuple(history.fates[at] for at in places),
    )
    simulator = Simulator(scenario.on_events(), num_threads=1)
    simulator.load(0, part.workload(scenario))
    actions = _actions(part, scenario)
    while simulator.done[0] == k.GOING_ON:
        simulator.step_row(0, actions[int(simulator.task_shown[0])])
    log = simulator.log(0)
    tasks = log.tasks
    served = tasks[:, k.STATUS] == k.ADMITTED
    took = (tasks[:, k.END] - tasks[:, k.ARRIVAL]).astype(np.float64)
    if log.details is not None:
        took += log.details[:, k.RETURN]
    latency, utility = np.full(len(history.arrived), np.nan), np.zeros(len(history.arrived))
    latency[places] = np.where(served, took / 1000, np.nan)
    utility[places] = np.where(served, log.rewards, 0.0)
    return Course(latency, utility, int(log.server_crashes.sum()))


def _actions(history: History, scenario: Scenario) -> list[int]:
    """Return the actions that send each request where it was sent."""
    neighbours = history.topology.neighbours
    shares = scenario.levels.thousandths if scenario.levels else (1000,)
    actions = []
    for (_, gateway, asked), fate in zip(history.arrived, history.fates, strict=True):
        assert fate.sent
        links: Sequence[int] = range(scenario.num_servers)
        if neighbours is not None:
            links = neighbours[gateway].tolist()
        if fate.sent.server not in links or fate.sent.service >= scenario.num_services:
            raise ServingError(_no_place(fate.sent, scenario))
        place = links.index(fate.sent.server) * scenario.num_services + fate.sent.service
        steps = [-(-asked.demand * share // 1000) for share in shares]
        level = steps.index(fate.sent.steps) if fate.sent.steps in steps else len(steps) - 1
        actions.append(place * len(steps) + level)
    return actions


def _no_place(sent: Sent, scenario: Scenario) -> str:
    return (
        f"request {sent.id} of the log went to service {sent.service} of server {sent.server}: "
        f"scenario '{scenario.label}' has no such place; give the one that was served"
    )


def beside(measured: Course, simulated: Course) -> Table:
    """Return what was measured beside what was simulated, in numbers of all requests."""
    rows: list[tuple[str, ...]] = [("", "measured", "simulated")]
    both = (measured, simulated)
    for name, q in (("mean", None), ("p50", 50), ("p95", 95), ("p99", 99)):
        rows.append((f"latency {name} (s)", *(_latency(one, q) for one in both)))
    rows.append(("served (%)", *(f"{100 * one.served.mean():.1f}" for one in both)))
    rows.append(("servers that went down", *(f"{one.crashes}" for one in both)))
    rows.append(("utility per request", *(f"{one.utility.mean():.3f}" for one in both)))
    return Table(f"{len(measured.utility)} requests, as served and as simulated", rows)


def _latency(course: Course, q: int | None) -> str:
    known = course.latency_s[course.served]
    if not len(known):
        return "-"
    return f"{known.mean() if q is None else np.percentile(known, q):.3f}"
