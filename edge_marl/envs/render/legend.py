"""The legend of a frame: each mark, and what it means."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edge_marl.envs.render.bars import Area
from edge_marl.envs.render.canvas import ALARM, INK, LINK, SERVICES, Canvas
from edge_marl.envs.render.map import (
    DETAILED,
    Map,
    draw_gateway,
    draw_line,
    draw_models,
    draw_server,
)
from edge_marl.envs.render.scene import Scene
from edge_marl.envs.render.text import tell_time

__all__ = ["draw_legend", "height_of_legend"]

ROW, GAP = 17, 8
"""Height of a row, and of what is free above and below all of them."""

Mark = tuple[str, Callable[[float, float], None]]
"""What something is called, and what draws it at a place."""


def height_of_legend(scene: Scene, *, has_map: bool) -> float:
    """Return the height that a legend takes: two rows for a map, one for bars, one for services."""
    return ROW * (1 + has_map + (scene.log.num_services > 1)) + 2 * GAP


def draw_legend(canvas: Canvas, scene: Scene, area: Area, drawn: Map | None) -> None:
    """Draw what the marks of the map (if there is one) and of the bars mean, row by row."""
    left, top, right, _ = area
    marks = [] if drawn is None else _marks_of_map(canvas, scene, drawn)
    if scene.scenario.queue:
        marks.append(("in line", lambda x, y: draw_line(canvas, x - 2, y + 4, 3)))
    marks += _marks_of_bars(canvas)
    y = _draw_marks(canvas, marks, (left, top + GAP + ROW / 2, right))
    if scene.log.num_services > 1:
        services = [_mark_of_service(canvas, *pair) for pair in enumerate(scene.services)]
        _draw_marks(canvas, services, (left, y, right))


def _draw_marks(canvas: Canvas, marks: list[Mark], start: tuple[float, float, float]) -> float:
    """Draw marks from left to right, in as many rows as they take; return where the next one is."""
    left, y, right = start
    x = left
    for name, draw in marks:
        width = 20 + canvas.width_of(name, 10)
        if x + width > right:
            x, y = left, y + ROW
        draw(x + 8, y)
        canvas.text(x + 20, y, name, 10, INK)
        x += width + 12
    return y + ROW


def _marks_of_map(canvas: Canvas, scene: Scene, drawn: Map) -> list[Mark]:
    side = DETAILED if drawn.detailed else DETAILED - 4
    marks: list[Mark] = [
        ("gateway", lambda x, y: draw_gateway(canvas, x, y, 5, False)),
        ("it decides now", lambda x, y: draw_gateway(canvas, x, y, 3, True)),
        ("server, as dark as full", lambda x, y: draw_server(canvas, x, y, side, 0.6, False)),
        ("down", lambda x, y: draw_server(canvas, x, y, side, 0.0, True)),
        ("link in use", lambda x, y: canvas.line([(x - 8, y), (x + 8, y)], LINK, 2)),
        (
            f"lost in the last {tell_time(scene.just_ms)}",
            lambda x, y: canvas.dot(x, y, 6, None, ALARM, 2),
        ),
    ]
    if scene.resident is not None and drawn.detailed:
        some = np.ones(3, dtype=np.bool_)
        marks.append(("models in memory", lambda x, y: draw_models(canvas, x, y, some)))
    return marks


def _marks_of_bars(canvas: Canvas) -> list[Mark]:
    return [
        ("task, as wide as its steps", lambda x, y: canvas.box(x - 7, y - 5, x + 7, y + 5, LINK)),
        ("how far it is", lambda x, y: canvas.box(x - 7, y + 1, x + 7, y + 3, INK)),
        ("crashes", lambda x, y: canvas.text(x, y, "x 2", 10, ALARM, "mm")),
    ]


def _mark_of_service(canvas: Canvas, number: int, name: str) -> Mark:
    colour = SERVICES[number % len(SERVICES)]
    return name, lambda x, y: canvas.box(x - 5, y - 5, x + 5, y + 5, colour)
