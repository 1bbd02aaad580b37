"""A picture to draw on, drawn larger than it is shown so that edges are smooth, and its colours."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

__all__ = [
    "ALARM",
    "EDGE",
    "FAINT",
    "INK",
    "LINE",
    "LINK",
    "PALE",
    "SERVICES",
    "Canvas",
    "Colour",
    "load_colour",
]

Colour = tuple[int, int, int]

WHITE, INK, EDGE = (255, 255, 255), (35, 38, 45), (120, 126, 136)
PALE, FAINT = (246, 247, 249), (224, 227, 232)
ALARM, LINE, LINK = (205, 20, 30), (240, 140, 0), (128, 150, 178)
LOW, HIGH = (222, 234, 245), (16, 78, 139)
SERVICES: tuple[Colour, ...] = (
    *((51, 34, 136), (136, 204, 238), (17, 119, 51), (221, 204, 119)),
    *((170, 68, 153), (68, 170, 153), (136, 34, 85), (153, 153, 51)),
)
"""Of services, told apart by people who see fewer colours too (Tol 2021, "muted")."""

SCALE = 2
"""Pixels drawn for one that is shown."""


def load_colour(share: float) -> Colour:
    """Return the colour of a server that is so full, from light to dark."""
    share = min(max(share, 0.0), 1.0)
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(LOW, HIGH, strict=True))
    return red, green, blue


@lru_cache(maxsize=32)
def _font(size: int) -> Any:
    return ImageFont.load_default(size * SCALE)


class Canvas:
    """A white picture; all lengths are in pixels as shown.

    Args:
        width: of the picture.
        height: likewise.
    """

    def __init__(self, width: int, height: int) -> None:
        self._image = Image.new("RGB", (width * SCALE, height * SCALE), WHITE)
        self._draw = ImageDraw.Draw(self._image)

    def box(
        self,
        left: float,
        top: float,
        right: float,
        bottom: float,
        fill: Colour | None = None,
        edge: Colour | None = None,
        width: float = 1,
    ) -> None:
        """Draw a rectangle; one that is thinner than half a pixel is not drawn."""
        corners = [left * SCALE, top * SCALE, right * SCALE - 1, bottom * SCALE - 1]
        if corners[0] <= corners[2] and corners[1] <= corners[3]:
            self._draw.rectangle(corners, fill, edge, round(width * SCALE))

    def dot(
        self,
        x: float,
        y: float,
        radius: float,
        fill: Colour | None = None,
        edge: Colour | None = None,
        width: float = 1,
    ) -> None:
        """Draw a disc or a ring."""
        corners = [(x - radius) * SCALE, (y - radius) * SCALE]
        corners += [(x + radius) * SCALE, (y + radius) * SCALE]
        self._draw.ellipse(corners, fill, edge, round(width * SCALE))

    def line(self, points: Sequence[tuple[float, float]], colour: Colour, width: float = 1) -> None:
        """Draw a line through points."""
        self._draw.line([(x * SCALE, y * SCALE) for x, y in points], colour, round(width * SCALE))

    def shape(self, points: Sequence[tuple[float, float]], fill: Colour, edge: Colour) -> None:
        """Draw a polygon."""
        self._draw.polygon([(x * SCALE, y * SCALE) for x, y in points], fill, edge)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: int = 11,
        colour: Colour = INK,
        anchor: str = "lm",
        halo: bool = False,
    ) -> None:
        """Write a line; the anchor says which of its points is at (x, y), as Pillow has it."""
        self._draw.text(
            (x * SCALE, y * SCALE),
            text,
            fill=colour,
            font=_font(size),
            anchor=anchor,
            stroke_width=SCALE if halo else 0,
            stroke_fill=WHITE,
        )

    @staticmethod
    def width_of(text: str, size: int = 11) -> float:
        """Return how wide a line would be."""
        width: float = _font(size).getlength(text) / SCALE
        return width

    def pixels(self) -> npt.NDArray[np.uint8]:
        """Return the picture (height, width, 3)."""
        return np.asarray(self._image.reduce(SCALE), dtype=np.uint8).copy()
