"""The bars of a frame: how full each server is, with a block per running task."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge_marl.envs.render.canvas import ALARM, EDGE, FAINT, INK, LINE, SERVICES, Canvas
from edge_marl.envs.render.scene import Scene
from edge_marl.envs.render.text import counted

__all__ = ["Area", "draw_bars", "height_of_bars"]

Area = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels."""

HIGHEST, LEAST = 26.0, 9.0
"""Height of a bar's row: on small worlds, and where the last of a large one is left out."""

TITLE, LABEL, COUNT, IN_LINE = 18, 34, 26, 4
"""Height of the title; widths of a server's name, its count of crashes, and a task in its line."""

LONGEST_LINE = 8
"""Tasks in line that are shown, at most."""


def height_of_bars(scene: Scene) -> float:
    """Return the height that all bars would like to have."""
    return TITLE + HIGHEST * scene.num_servers


def draw_bars(canvas: Canvas, scene: Scene, area: Area) -> None:
    """Draw the servers in order of their numbers, or where there is no room for all the fullest."""
    left, top, right, bottom = area
    shown = scene.fullest(int((bottom - top - TITLE) // LEAST))
    everyone = len(shown) == scene.num_servers
    title = "servers" if everyone else f"the fullest {len(shown)} of {scene.num_servers:,} servers"
    canvas.text(left, top + TITLE / 2 - 3, title, 11, EDGE)
    row = min((bottom - top - TITLE) / len(shown), HIGHEST)
    widest = right - left - LABEL - COUNT
    if scene.scenario.queue:
        widest -= 3 + IN_LINE * min(scene.scenario.queue.limit, LONGEST_LINE)
    scale = widest / int(scene.log.capacity[: scene.cloud].max())
    tasks_of = _tasks_by_server(scene)
    for at, server in enumerate(shown.tolist()):
        y = top + TITLE + row * at
        _draw_server(canvas, scene, server, tasks_of[server], (left, y, right, y + row), scale)


def _tasks_by_server(scene: Scene) -> list[npt.NDArray[np.int64]]:
    """Return the tasks on each server, in order of assignment."""
    servers = scene.server_of[scene.here]
    order = np.argsort(servers, kind="stable")
    ends = np.cumsum(np.bincount(servers, minlength=scene.num_servers))
    return np.split(scene.here[order], ends[:-1])


def _draw_server(
    canvas: Canvas,
    scene: Scene,
    server: int,
    tasks: npt.NDArray[np.int64],
    area: Area,
    scale: float,
) -> None:
    left, top, right, bottom = area
    middle, bar = (top + bottom) / 2, left + LABEL
    size = 8 if bottom - top < 12 else 11
    canvas.text(bar - 5, middle, scene.name_of(server), size, INK, "rm")
    if server == scene.cloud:
        canvas.text(bar, middle, counted(len(tasks), "task", "tasks"), size, INK)
        return
    gap = max((bottom - top) * 0.12, 1.0)
    top, bottom = top + gap, bottom - gap
    end = bar + int(scene.log.capacity[server]) * scale
    down = scene.down_ms[server] > 0
    canvas.box(bar, top, end, bottom, FAINT, ALARM if down else None)
    lines = scene.in_line[tasks]
    _draw_blocks(canvas, scene, tasks[~lines], (bar, top, end, bottom), scale)
    for at in range(min(int(lines.sum()), LONGEST_LINE)):
        x = end + 3 + IN_LINE * at
        canvas.box(x, top + 0.5, x + 3, bottom - 0.5, LINE)
    if crashes := int(scene.log.server_crashes[server]):
        canvas.text(right, middle, f"x {crashes}", size, ALARM, "rm")


def _draw_blocks(
    canvas: Canvas, scene: Scene, tasks: npt.NDArray[np.int64], area: Area, scale: float
) -> None:
    """Draw a block per task: as wide as its steps, in its service's colour, on its progress."""
    x, top, _, bottom = area
    foot = max((bottom - top) * 0.18, 1.0)
    gap = 1.0 if bottom - top > 10 else 0.5
    for task in tasks.tolist():
        end = x + int(scene.steps[task]) * scale
        colour = SERVICES[int(scene.service_of[task]) % len(SERVICES)]
        canvas.box(x, top, end - gap, bottom, colour)
        done = x + (end - gap - x) * float(scene.progress[task])
        canvas.box(x, bottom - foot, done, bottom, INK)
        x = end
