"""Reports of a run, made from its records alone: equal records give equal bytes.

`report` is the command; `WRITERS` says which file each format is. Figures are drawn, and what else
is heavy loaded, only for the formats that need it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge_marl.benchmarks.report.as_json import to_json
from edge_marl.benchmarks.report.as_page import to_html
from edge_marl.benchmarks.report.as_parquet import to_parquet
from edge_marl.benchmarks.report.as_text import (
    print_sheets,
    sheets_of,
    to_csv,
    to_markdown,
)
from edge_marl.benchmarks.report.comparisons import Report
from edge_marl.benchmarks.report.tables import build_tables
from edge_marl.console import results
from edge_marl.errors import RecordError
from edge_marl.files import write_file

__all__ = ["FORMATS", "make_report"]


def make_report(folder: Path, formats: tuple[str, ...] = (), *, show: bool = True) -> None:
    """Write a run's reports to its folder, and print the tables.

    Args:
        folder: of the run.
        formats: of `FORMATS`; none means those that a run writes at its end.
        show: whether the tables are printed.

    Raises:
        RecordError: if the folder holds no run, or cannot be written to; a format needs a package
            that is not installed.
    """
    made = Report(build_tables(folder))
    # All are made before the first is written: a failure leaves the old ones as they were.
    files = {WRITERS[name][0]: WRITERS[name][1](made) for name in formats or DEFAULT_FORMATS}
    for name, content in files.items():
        write_file(folder / name, content, RecordError)
    if show:
        sheets = sheets_of(made)
        overall = len(made.aggregates) + len(
            made.generalisations
        )  # last: the end is what a terminal shows
        print_sheets(results(), sheets[overall:] + sheets[:overall])
        shown = f"{folder}: {', '.join(files)}"
        results().print(shown, markup=False, highlight=False, soft_wrap=True)


WRITERS: dict[str, tuple[str, Callable[[Report], bytes]]] = {
    "html": ("report.html", to_html),
    "md": ("table.md", lambda made: to_markdown(made).encode()),
    "csv": ("table.csv", lambda made: to_csv(made).encode()),
    "json": ("report.json", to_json),
    "parquet": ("episodes.parquet", to_parquet),
}
FORMATS = tuple(WRITERS)
DEFAULT_FORMATS = ("html", "md", "csv", "json")
"""What a run writes at its end."""
