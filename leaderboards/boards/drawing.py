"""What the site's figures share, as SVG: marks, texts, grids.

Drawn in the page, so that they follow its colours, light and dark. Only attributes and classes, no
styles: the pages' content security policy allows none in line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

from edge_marl.leaderboards.boards.scales import Scale

__all__ = ["Frame", "grid", "kind_of", "mark", "path", "picture", "text"]


class Frame(NamedTuple):
    """Where a figure's grid lies, in pixels."""

    left: float
    right: float
    bottom: float
    top: float
    margin: float = 14.0
    """Room to its right."""

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the whole figure."""
        return self.right + self.margin, self.bottom + 46.0


def picture(frame: Frame, name: str, title: str, parts: Sequence[str]) -> Markup:
    """Return a figure for readers with eyes and without.

    Args:
        frame: of its grid.
        name: an id that nothing else in the page has.
        title: what it shows, where it is not seen.
        parts: what is drawn, from the back to the front.
    """
    width, height = frame.size
    return Markup(
        f'<svg class="figure" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'aria-labelledby="{name}"><title id="{name}">{escape(title)}</title>'
        f"{''.join(parts)}</svg>"
    )


def kind_of(learned: bool) -> str:
    """Return the class whose colour a mark has."""
    return "learned" if learned else "heuristic"


def mark(x: float, y: float, learned: bool, size: float = 4.0) -> str:
    """Return a disc for what is learned, a hollow square for heuristics: they are told apart
    without colour."""
    if learned:
        return f'<circle cx="{x:g}" cy="{y:g}" r="{size:g}"/>'
    half = size - 0.5
    return f'<rect x="{x - half:g}" y="{y - half:g}" width="{2 * half:g}" height="{2 * half:g}"/>'


def text(kind: str, x: float, y: float, anchor: str, content: object) -> str:
    """Return a text of a class (`tick`, `axis-name`, `name`) that begins, ends or has its middle at
    a place."""
    place = f'x="{x:g}" y="{y:g}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {place}>{escape(content)}</text>'


def path(kind: str, places: Iterable[tuple[float, float]]) -> str:
    """Return a line of a class through places, in pixels."""
    return f'<path class="{kind}" d="M{"L".join(f"{x:g} {y:g}" for x, y in places)}"/>'


def grid(
    frame: Frame,
    x: Scale,
    y: Scale,
    names: tuple[str, str],
    tick_of: Callable[[float], str] = "{:g}".format,
) -> str:
    """Return ticks, lines and names of two axes; dashed lines where the frame goes on behind one.

    Args:
        frame: where the lines go from and to.
        x: the horizontal axis.
        y: the vertical one.
        names: what they show.
        tick_of: text of a tick of the horizontal axis.
    """
    left, right, bottom, top, _ = frame
    parts = []
    for tick in y.ticks(6):
        parts.append(_line("grid", left, y(tick), right, y(tick)))
        parts.append(text("tick", left - 7, y(tick) + 4, "end", f"{tick:g}"))
    for tick in x.ticks(8):
        parts.append(_line("grid", x(tick), top, x(tick), bottom))
        parts.append(text("tick", x(tick), bottom + 17, "middle", tick_of(tick)))
    parts += [_line("rim", at, top, at, bottom) for at in sorted({x.start, x.end} - {left, right})]
    parts += [_line("rim", left, at, right, at) for at in sorted({y.start, y.end} - {bottom, top})]
    parts.append(text("axis-name", (left + right) / 2, bottom + 37, "middle", names[0]))
    turned = f'transform="translate(13 {(bottom + top) / 2:g}) rotate(-90)"'
    parts.append(f"<g {turned}>{text('axis-name', 0, 0, 'middle', names[1])}</g>")
    return "".join(parts)


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}"/>'
