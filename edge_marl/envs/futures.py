"""Another future: from where an episode stands, what happens from outside is that of a workload.

What is there stays: servers and what they hold, tasks that run or wait, and when tasks end, servers
are up again and gateways wake that have begun to run, to be down or to sleep. What is to come is
the workload's: requests that arrive, servers that fail and gateways that fall asleep after now.

Of requests that are there it was drawn, too, which tasks fail by themselves, and what stages ask
for that are not ready yet. Both are taken from the workload as well, of a request with as many
stages left: nothing of the true future is in what is played on.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge_marl.errors import EpisodeOverError, WorkloadError
from edge_marl.kernel import world as k
from edge_marl.kernel.agenda import KIND_BIT, TIME_SHIFT
from edge_marl.kernel.loading import most_running
from edge_marl.kernel.world import World
from edge_marl.scenario.section import MAX_TASKS
from edge_marl.simulator import Simulator
from edge_marl.workload import Workload

__all__ = ["go_on_with"]

Ints = npt.NDArray[np.int64]

UNKNOWN = [k.RUN_TIME, k.DEMAND, k.TYPE]
"""Columns of `tasks` that nobody knows of a stage before it is ready."""


def go_on_with(simulator: Simulator, row: int, workload: Workload) -> None:
    """Have a row's episode go on with what a workload has after now.

    Args:
        simulator: whose row.
        row: which one; its episode is going on.
        workload: one that fits the scenario, on the clock of the episode.

    Raises:
        EpisodeOverError: the episode is over: nothing goes on.
        WorkloadError: it has too little to go on with, or too much to fit.
    """
    w = simulator.world
    if w.episode[row, k.DONE] != k.GOING_ON:
        raise EpisodeOverError("the episode is over: there is nothing that another future could be")
    there = count_there(w, row)
    come = first_stages_after(workload, int(w.episode[row, k.CLOCK]))
    _check_sizes(w, there, workload, come)
    alike = _requests_alike(w, row, there, workload) if simulator.scenario.extended else []
    _make_room(simulator, row, there, workload, come)
    w = simulator.world
    for own, other in alike:
        _ask_as(w, row, own, workload, other)
    _put_tasks(w, row, there, workload, come)
    if simulator.scenario.extended:
        _note_ends(w, row, there)
        _put_outages(w, row, workload)
    if simulator.in_game:
        _put_sleeps(w, row, workload)
        _line_up(w, row, there)


def count_there(w: World, row: int) -> int:
    """Return how many rows of tasks are of requests that have arrived: the first ones."""
    if w.spec[k.SLOT] == 0:
        extended = w.spec[k.EXTENDED] == 1
        return int(w.episode[row, k.ARRIVING] if extended else w.episode[row, k.SHOWN] + 1)
    count = int(w.episode[row, k.NUM_TASKS])
    comes = w.tasks[row, :count, k.ARRIVAL] > w.episode[row, k.CLOCK]
    if w.spec[k.EXTENDED] == 1:
        comes &= w.details[row, :count, k.STAGE] == 0
    return int(comes.argmax()) if comes.any() else count


def first_stages_after(workload: Workload, now: int) -> int:
    """Return the first row of a workload's tasks that arrives after a time (ms)."""
    return int(np.searchsorted(workload.tasks[:, k.ARRIVAL], now, side="right"))


def _check_sizes(w: World, there: int, workload: Workload, come: int) -> None:
    more = workload.num_tasks - come
    if more == 0 and w.spec[k.END_AT_LAST_TASK] == 1:
        raise WorkloadError(
            f"the workload's last task arrives at {workload.tasks[-1, k.ARRIVAL]} ms, not after "
            "now: the episode ends with its last task, so that one has to come"
        )
    if there + more > MAX_TASKS:
        raise WorkloadError(
            f"{there} tasks are there and {more} come: an episode holds {MAX_TASKS}; cut the "
            "workload"
        )


def _requests_alike(w: World, row: int, there: int, workload: Workload) -> list[tuple[int, int]]:
    """Return (own row, the workload's row) of all tasks that are there and not at their end.

    The other row is of the same stage of a request of as many: the first such from the own row
    on, and after the last the first again. So an episode's own workload changes nothing.
    """
    tasks, details = w.tasks[row, :there], w.details[row, :there]
    status, now = tasks[:, k.STATUS], w.episode[row, k.CLOCK]
    runs = (status == k.ADMITTED) & (tasks[:, k.END] > now)
    if workload.details is None:
        given = np.zeros((workload.num_tasks, k.NUM_DETAILS), dtype=np.int64)
    else:
        given = workload.details
    pairs = []
    for own in np.flatnonzero(runs | (status == k.WAITING)).tolist():
        kind = details[own, [k.STAGE, k.AFTER]]
        found = np.flatnonzero((given[:, [k.STAGE, k.AFTER]] == kind).all(1))
        if len(found) == 0:
            raise WorkloadError(
                f"a task that is there is stage {kind[0]} of its request with {kind[1]} after it, "
                "and the workload has none like it, of which to take what is not known yet: give "
                "one drawn from requests of as many stages"
            )
        pairs.append((own, int(found[np.searchsorted(found, own) % len(found)])))
    return pairs


def _ask_as(w: World, row: int, own: int, workload: Workload, other: int) -> None:
    """Have a task fail where the workload's does; if it is not ready, it asks for the same too."""
    tasks, details = w.tasks[row], w.details[row]
    nothing = np.zeros(k.NUM_DETAILS, dtype=np.int64)
    given = nothing if workload.details is None else workload.details[other]
    details[own, k.FAILS] = given[k.FAILS]
    if details[own, k.STAGE] == 0 or tasks[own, k.STATUS] != k.WAITING:
        return
    before, now = tasks[own - 1], w.episode[row, k.CLOCK]
    if before[k.STATUS] == k.ADMITTED and before[k.END] <= now:
        return  # it is ready: whoever decides on it sees what it asks for
    tasks[own, UNKNOWN] = workload.tasks[other, UNKNOWN]
    details[own, [k.LOAD_TIME, k.DOWNLOAD]] = given[[k.LOAD_TIME, k.DOWNLOAD]]
    # What it takes in is what the stage before makes, where that is so in the workload.
    passed_on = workload.details is not None and (
        workload.details[other - 1, k.DOWNLOAD] == given[k.UPLOAD]
    )
    details[own, k.UPLOAD] = details[own - 1, k.DOWNLOAD] if passed_on else given[k.UPLOAD]


def _make_room(simulator: Simulator, row: int, there: int, workload: Workload, come: int) -> None:
    w, more = simulator.world, workload.num_tasks - come
    least = min(int(w.tasks[row, :there, k.DEMAND].min()), int(workload.tasks[:, k.DEMAND].min()))
    most = int(w.servers[row, :, k.CAPACITY].max())
    outages = 0 if workload.outages is None else len(workload.outages)
    # A gateway is in one sleep at most, and there are more where the workload has some.
    sleeps = 0 if workload.sleeps is None else w.gateways.shape[1] + len(workload.sleeps)
    simulator.make_room(
        there + more,
        most_running(w, most, least, there + more),
        int(w.episode[row, k.OUTAGES_PAST]) + outages,
        sleeps,
    )


def _put_tasks(w: World, row: int, there: int, workload: Workload, come: int) -> None:
    """Put the tasks that come behind those that are there."""
    count = there + workload.num_tasks - come
    comes = slice(there, count)
    w.tasks[row, comes] = 0
    w.tasks[row, comes, : k.NUM_TASK_FIELDS] = workload.tasks[come:]
    w.tasks[row, comes, k.PLACE] = k.NOWHERE
    w.rewards[row, comes] = 0.0
    w.episode[row, k.NUM_TASKS] = count
    if w.spec[k.SLOT] > 0:
        w.episode[row, k.ARRIVING] = count  # as `open_game` has it
    if w.spec[k.EXTENDED] == 1:
        w.details[row, comes] = 0
        if workload.details is not None:
            w.details[row, comes, : k.NUM_DETAILS] = workload.details[come:]
    if w.spec[k.TERMS] == 1:
        w.terms[row, comes] = 0
        weights = 1000 if workload.weights is None else workload.weights[come:]
        w.terms[row, comes, k.WEIGHT] = weights


def _note_ends(w: World, row: int, there: int) -> None:
    """Have on the agenda the ends that matter now; stages that are ready stay on it."""
    tasks, details = w.tasks[row, :there], w.details[row, :there]
    runs = (tasks[:, k.STATUS] == k.ADMITTED) & (tasks[:, k.END] > w.episode[row, k.CLOCK])
    matters = runs & ((details[:, k.AFTER] > 0) | (details[:, k.FAILS] == 1))
    ends = (tasks[matters, k.END] << TIME_SHIFT) | np.flatnonzero(matters)
    before = w.agenda[row, : w.episode[row, k.AGENDA]]
    keys = np.sort(np.concatenate([before[before & KIND_BIT != 0], ends]))  # a heap as well
    w.agenda[row, : len(keys)] = keys
    w.episode[row, k.AGENDA] = len(keys)


def _put_outages(w: World, row: int, workload: Workload) -> None:
    """Put the server failures that come behind those that have been."""
    past, given = int(w.episode[row, k.OUTAGES_PAST]), workload.outages
    if given is None:
        w.episode[row, k.NUM_OUTAGES] = past
        return
    comes = given[given[:, k.TIME] > w.episode[row, k.CLOCK]]
    w.outages[row, past : past + len(comes)] = comes
    w.episode[row, k.NUM_OUTAGES] = past + len(comes)


def _put_sleeps(w: World, row: int, workload: Workload) -> None:
    """Put the sleeps that come behind those that have begun, gateway by gateway."""
    now, gateways = w.episode[row, k.CLOCK], w.gateways[row]
    given = workload.sleeps
    none = np.empty((0, k.NUM_SLEEP_COLUMNS), dtype=np.int64)
    sleeps = none if given is None else given[given[:, k.TIME] > now]
    parts: list[Ints] = []
    for g, (at, end) in enumerate(gateways[:, [k.SLEEP, k.SLEEPS_END]].tolist()):
        own = w.sleeps[row, at:end]
        own = own[own[:, k.TIME] <= now]
        until = int((own[:, k.TIME] + own[:, k.DURATION]).max(initial=now))
        comes = sleeps[(sleeps[:, k.LOCATION] == g) & (sleeps[:, k.TIME] >= until)]
        parts.append(np.concatenate([own, comes]))
    ends = np.cumsum([len(part) for part in parts])
    gateways[:, k.SLEEPS_END] = ends
    gateways[:, k.SLEEP] = ends - [len(part) for part in parts]
    w.sleeps[row, : ends[-1]] = np.concatenate(parts)


def _line_up(w: World, row: int, there: int) -> None:
    """Have the tasks that come in the queues of their gateways, behind those that are there."""
    first = np.full(w.gateways.shape[1], k.NOWHERE, dtype=np.int64)
    tasks, followers, gateways = w.tasks[row], w.followers[row], w.gateways[row]
    for task in range(int(w.episode[row, k.NUM_TASKS]) - 1, there - 1, -1):
        followers[task] = k.NOWHERE
        if w.spec[k.EXTENDED] == 0 or w.details[row, task, k.STAGE] == 0:
            followers[task] = first[tasks[task, k.GATEWAY]]
            first[tasks[task, k.GATEWAY]] = task
    for g, comes in enumerate(first):
        task, last = gateways[g, k.HEAD], k.NOWHERE
        while k.NOWHERE < task < there:
            task, last = followers[task], task
        if last == k.NOWHERE:
            gateways[g, k.HEAD] = comes
        else:
            followers[last] = comes
