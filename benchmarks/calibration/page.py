"""What was found as a page that needs nothing else: tables, figures and style are inside."""

from __future__ import annotations

from edge_marl.benchmarks.calibration.figures import Pairs, draw
from edge_marl.benchmarks.calibration.findings import Findings
from edge_marl.benchmarks.calibration.tables import notes_of, tables_of

__all__ = ["to_html"]


def to_html(findings: Findings, pairs: Pairs) -> bytes:
    """Return the page.

    Args:
        findings: of a calibration.
        pairs: the runs that they were found of.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader(
            [PackageLoader(f"edge_marl.benchmarks.{part}") for part in ("calibration", "report")]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("calibration.html.j2")
    return page.render(
        notes=notes_of(findings), tables=list(tables_of(findings)), drawings=draw(pairs)
    ).encode()
