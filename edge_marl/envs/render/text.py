"""What is said of an episode: times in units that fit, its headline, and a line per server."""

from __future__ import annotations

import numpy as np

from edge_marl.envs.render.scene import Scene
from edge_marl.kernel import world as k

__all__ = ["counted", "headline", "tell_counts", "tell_time", "write_text"]

UNITS = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000))

BAR = 30
"""Characters of a full bar."""


def tell_time(time_ms: int) -> str:
    """Return a time in the two largest units that it has, such as `4 min 12 s`."""
    if time_ms < 1000:
        return f"{time_ms} ms"
    if time_ms < 60_000:
        return f"{time_ms / 1000:.3g} s"
    for at, (unit, size) in enumerate(UNITS[:-1]):
        if time_ms >= size:
            below, part = UNITS[at + 1]
            rest = time_ms % size // part
            return f"{time_ms // size} {unit}" + (f" {rest} {below}" if rest else "")
    raise AssertionError("a minute has a unit")


def counted(count: int, one: str, many: str) -> str:
    """Return a number and of what, such as `1 task`."""
    return f"{count:,} {one if count == 1 else many}"


def headline(scene: Scene) -> str:
    """Return which episode it is, and where it stands."""
    horizon = tell_time(scene.scenario.arrivals.horizon_ms)
    return f"{scene.scenario.label}   {tell_time(scene.clock_ms)} of {horizon}"


def tell_counts(scene: Scene) -> str:
    """Return what became of the tasks so far."""
    log = scene.log
    declined = int((log.tasks[:, k.STATUS] == k.DECLINED).sum())
    parts = [
        f"task {log.num_decisions:,} of {len(log.tasks):,}",
        f"return {log.rewards.sum():,.1f}",
        f"running {len(scene.here) - int(scene.waiting.sum()):,}",
        f"finished {int(log.finished.sum()):,}",
        *([f"declined {declined:,}"] if declined else []),
        f"lost {int(scene.lost.sum()):,}",
        f"crashes {int(log.server_crashes.sum()):,}",
    ]
    return "   ".join(parts)


def write_text(scene: Scene) -> str:
    """Return one line per server: a bar of its load, its numbers, its crashes."""
    running = np.bincount(scene.server_of[scene.here], minlength=scene.num_servers)
    lines = [headline(scene), tell_counts(scene)]
    for server, capacity in enumerate(scene.log.capacity.tolist()):
        name = "cloud " if server == scene.cloud else f"server {server:>4}"
        used = int(scene.used[server])
        bar = "#" * round(BAR * used / capacity)
        parts = [counted(int(running[server]), "task", "tasks")]
        if scene.waiting[server]:
            parts.append(f"{scene.waiting[server]} of them in line")
        if scene.down_ms[server]:
            parts.append(f"down for {tell_time(int(scene.down_ms[server]))}")
        parts.append(counted(int(scene.log.server_crashes[server]), "crash", "crashes"))
        room = "" if server == scene.cloud else f"{used:>5}/{capacity:<5}"
        lines.append(f"{name:<11} |{bar:<{BAR}}| {room:<11} {', '.join(parts)}")
    return "\n".join(lines) + "\n"
