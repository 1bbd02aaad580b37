"""The command `edge-marl report`: tables, figures and page of a run, made again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["report"]


def report(
    run_dir: Annotated[Path, typer.Argument(help="Folder of a run (its --out).")],
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help="html, md, csv, json, parquet or all; repeat it or separate them by commas.",
            show_default="html,md,csv,json",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Write the files only.")] = False,
) -> None:
    """Make the tables, figures and page of a run again, from its records alone.

    Example: edge-marl report results/smoke --format html,csv
    """
    from edge_marl.benchmarks.report.report import make_report

    make_report(run_dir, _chosen(formats or []), show=not quiet)


def _chosen(texts: list[str]) -> tuple[str, ...]:
    """Read the formats of a command line.

    Raises:
        RecordError: if one is unknown.
    """
    from edge_marl.benchmarks.report.report import FORMATS
    from edge_marl.console import names_in
    from edge_marl.errors import RecordError

    names = [name for text in texts for name in names_in(text)]
    if "all" in names:
        return FORMATS
    for name in names:
        if name not in FORMATS:
            raise RecordError(f"--format {name}: must be one of {', '.join(FORMATS)}, or all")
    return tuple(dict.fromkeys(names))
