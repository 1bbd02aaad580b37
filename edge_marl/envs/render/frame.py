"""A frame of an episode: what it is, the map where there are places, the bars, and a legend."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge_marl.envs.render.bars import draw_bars, height_of_bars
from edge_marl.envs.render.canvas import INK, Canvas
from edge_marl.envs.render.legend import draw_legend, height_of_legend
from edge_marl.envs.render.map import map_of
from edge_marl.envs.render.scene import Scene
from edge_marl.envs.render.text import headline, tell_counts

__all__ = ["HEIGHT", "WIDTH", "draw_frame"]

WIDTH, HEIGHT = 800, 600
"""Of a frame with a map; one without is as high as its bars ask for, and no higher."""

MARGIN, HEAD, BARS = 10, 46, 236
"""Width of the rim, height of the headline, width of the bars beside a map."""


def draw_frame(scene: Scene) -> npt.NDArray[np.uint8]:
    """Return a picture (uint8, H x W x 3), of the same size in all episodes of a scenario."""
    top, right = HEAD, WIDTH - MARGIN
    bottom = HEIGHT - height_of_legend(scene, has_map=True)
    drawn = map_of(scene, (MARGIN, top, right - BARS - MARGIN, bottom))
    height = HEIGHT
    if drawn is None:
        legend = height_of_legend(scene, has_map=False)
        wanted = top + height_of_bars(scene) + legend
        height = min(HEIGHT, 2 * round(wanted / 2))  # an even number, as films ask for
        bottom = height - legend
    canvas = Canvas(WIDTH, height)
    canvas.text(MARGIN, 14, headline(scene), 15, INK)
    canvas.text(MARGIN, 33, tell_counts(scene), 12, INK)
    if drawn is not None:
        drawn.draw(canvas, scene)
    draw_bars(canvas, scene, (MARGIN if drawn is None else right - BARS, top, right, bottom))
    draw_legend(canvas, scene, (MARGIN, bottom, WIDTH, height), drawn)
    return canvas.pixels()
