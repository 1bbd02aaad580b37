"""A run's report as a page."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from edge_marl.benchmarks.report.as_text import sheet_of
from edge_marl.benchmarks.report.comparisons import Report
from edge_marl.benchmarks.report.intervals import Estimate

if TYPE_CHECKING:
    from edge_marl.benchmarks.report.figures.drawings import Drawing

__all__ = ["to_html"]


def to_html(made: Report) -> bytes:
    """Return the report as one page that needs nothing else: figures and style are inside."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from edge_marl.benchmarks.report.figures.drawings import (
        draw_aggregate,
        draw_all,
        draw_generalisation,
    )

    environment = Environment(
        loader=PackageLoader("edge_marl.benchmarks.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    sections = [
        {
            "sheet": sheet_of(analysis.table),
            **_pictures(partial(draw_all, analysis)),
            "comparisons": [
                (c.agent, c.other, _text(c.difference), _text(c.improvement))
                for c in analysis.comparisons
            ],
        }
        for analysis in made.analyses
    ]
    overall = [
        {
            "sheet": sheet_of(over),
            **_pictures(partial(draw_aggregate, over)),
            "comparisons": [],
        }
        for over in made.aggregates
    ]
    moved = [
        {
            "sheet": sheet_of(over),
            **_pictures(partial(draw_generalisation, over)),
            "comparisons": [],
        }
        for over in made.generalisations
    ]
    page = environment.get_template("report.html.j2")
    return page.render(sections=overall + moved + sections).encode()


def _pictures(draw: Callable[[], list[Drawing]]) -> dict[str, Any]:
    """Return a section's figures; where they cannot be drawn, why, for the rest is as good."""
    try:
        return {"drawings": draw(), "undrawn": ""}
    except Exception as error:  # whatever matplotlib meets on a machine: fonts, memory, back ends
        return {"drawings": [], "undrawn": f"{type(error).__name__}: {error}"}


def _text(found: Estimate) -> str:
    return f"{found.value:z.3f} [{found.low:z.3f}, {found.high:z.3f}]"
