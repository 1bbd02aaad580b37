"""What a decision answers for: what its own task brought, and the crash that it caused.

    outcome(k) = r_k + ... + r_last  +  what others' crashes took back of them  -  what the crash of
                 k took back of others

with r the reward of a task's dispatch less all that was taken back of it later, from task k to the
last stage of its request (without stages that is k alone). A dispatch that overloads its server is
paid the cost of the crash, and answers for the refunds of all that ran there as well; those whose
tasks were lost keep what they were granted, for it was not their choice. What an outage or a
failure of the task's own takes is its own: a place where a task runs longer loses more of them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge_marl.kernel import world as k
from edge_marl.kernel.world import World

__all__ = ["own_outcomes"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def own_outcomes(w: World, rows: Ints, tasks: Ints) -> tuple[Floats, Flags]:
    """Return outcomes (n,) of tasks that were decided on, as of now, and whether they are final.

    Args:
        w: the arrays of the simulator.
        rows: (n,) in which row each is.
        tasks: (n,) which task of it.
    """
    extended = w.spec[k.EXTENDED] == 1
    after = w.details[rows, tasks, k.AFTER] if extended else np.zeros_like(tasks)
    outcome, final = np.zeros(len(tasks)), np.zeros(len(tasks), dtype=np.bool_)
    now = w.episode[rows, k.CLOCK]
    for stage in range(1 + int(after.max(initial=0))):
        goes_on = ~final & (stage <= after)
        task = np.where(goes_on, tasks + stage, tasks)
        status, end = w.tasks[rows, task, k.STATUS], w.tasks[rows, task, k.END]
        outcome += np.where(goes_on, w.rewards[rows, task], 0.0)
        if w.spec[k.REFUND] == 1:
            outcome += np.where(goes_on, refunds(w, rows, task, status), 0.0)
        sent = status == k.ADMITTED
        over = ~sent & (status != k.WAITING) | sent & (stage == after) & (end <= now)
        final |= goes_on & over
    return outcome, final


def refunds(w: World, rows: Ints, tasks: Ints, status: Ints) -> Floats:
    """Return what crashes took back of each task (n,), or less what its own took of others."""
    granted = w.details[rows, tasks, k.AFTER] == 0
    found = np.where((status == k.CRASHED) & granted, w.values[rows, tasks], 0.0)
    for i in np.flatnonzero(status == k.REFUSED):
        found[i] = -taken_of_others(w, int(rows[i]), int(tasks[i]))
    return found


def taken_of_others(w: World, row: int, task: int) -> float:
    """Return what the crash that a task caused took back of all that ran there.

    Where several crash a server in one moment, as gateways in slots can, each has an equal part.
    """
    count = w.episode[row, k.NUM_TASKS]
    tasks = w.tasks[row, :count]
    services = w.spec[k.NUM_SERVICES]
    there = (tasks[:, k.END] == tasks[task, k.END]) & (
        tasks[:, k.PLACE] // services == tasks[task, k.PLACE] // services
    )
    lost = there & (tasks[:, k.STATUS] == k.CRASHED) & (w.details[row, :count, k.AFTER] == 0)
    causes = there & (tasks[:, k.STATUS] == k.REFUSED)
    return float(w.values[row, :count][lost].sum() / causes.sum())
