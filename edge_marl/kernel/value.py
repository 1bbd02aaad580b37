"""What a task is worth: the quality of a service for it, and lateness."""

from __future__ import annotations

from edge_marl.kernel.world import (
    ARRIVAL,
    AX,
    BASELINE,
    BX,
    DEADLINE,
    END,
    RETURN,
    RISE,
    SLOPE,
    STAGE,
    Floats,
    World,
)


def task_utility(topology: int, place: int, kind: int, demand: int, services: Floats) -> float:
    """Quality of a service for a task: baseline of the type plus the curve at its demand.

    ADSAC paper's code: 0 below ax, by - ay above bx, linear in between, on top of the baseline.
    Both ends belong to the line. All three are computed and one is picked: a branch here would be
    mispredicted every third time.
    """
    ax = services[topology, place, AX]
    line = services[topology, place, SLOPE] * (demand - ax)
    capped = services[topology, place, RISE] if demand > services[topology, place, BX] else line
    quality = 0.0 if demand < ax else capped
    return float(services[topology, place, BASELINE + kind] + quality)


def in_time(w: World, e: int, k: int, value: float) -> float:
    """Value of a request whose last stage is task k: past the deadline D it falls to 0 at 2 D."""
    deadline = w.details[e, k, DEADLINE]
    if deadline == 0:
        return value
    arrival = w.tasks[e, k - w.details[e, k, STAGE], ARRIVAL]
    latency = w.tasks[e, k, END] + w.details[e, k, RETURN] - arrival
    if latency <= deadline:
        return value
    if latency >= 2 * deadline:
        return 0.0
    return float(value * ((2 * deadline - latency) / deadline))
