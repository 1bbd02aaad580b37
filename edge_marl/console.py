"""What every command shares: its consoles, its exit codes, and errors as messages."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn, TextIO

import typer
from rich.console import Console

from edge_marl.errors import EdgeMarlError

__all__ = [
    "EXIT_CODES",
    "FAILED",
    "INTERRUPTED",
    "bar",
    "names_in",
    "print_rows",
    "problems",
    "results",
    "run_app",
    "run_command",
]

FAILED = 1
BAD_INPUT = 2
INTERRUPTED = 130

WIDE = 160
"""Width of a file or a pipe, which have none of their own: enough for a whole table."""

NARROWEST = 80
"""Characters that a table may take on any terminal: in fewer its numbers would be cut."""

LIKE = {"µ": "u", "\u03bc": "u", "†": "+", "±": "+-", "\u00d7": "x", "…": "...", "\u2013": "-"}
LIKE |= dict.fromkeys("─━═╌╍┄┅┈┉╭╮╰╯┌┐└┘├┤┬┴┼╞╡╪┡┩╇", "-") | dict.fromkeys("│┃║", "|")
LIKE |= dict.fromkeys("•●█▉▊▋▌▍▎▏⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "*")
"""What stands for a character on a terminal without Unicode."""

EXIT_CODES = "Exit codes: 0 all well, 1 a cell has failed, 2 bad input, 130 interrupted."


def results() -> Console:
    """Console for what was asked for: standard output, wide enough for tables.

    A narrower terminal breaks their lines itself, and loses nothing.
    """
    # Asked of the stream: Rich takes a pipe for a terminal where FORCE_COLOR asks for colours.
    console = Console() if sys.stdout.isatty() else Console(width=WIDE)
    console.width = max(console.width, NARROWEST)
    return console


def print_rows(rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows of text in columns, to standard output."""
    from rich.markup import escape
    from rich.table import Table

    shown = Table.grid(padding=(0, 2))
    for _ in range(max(map(len, rows), default=0)):
        shown.add_column(overflow="fold")  # nothing is cut
    for row in rows:
        shown.add_row(*(escape(text) for text in row))
    results().print(shown, highlight=False)


def problems() -> Console:
    """Console for progress and problems: standard error."""
    return Console(stderr=True)


@contextmanager
def bar(total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Show in a terminal how far something is and how long the rest will take; nothing is left.

    Args:
        total: of what there is to do.
        unit: what that is, for people: "episodes".
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        TextColumn(f"{{task.completed:,.0f}} of {{task.total:,.0f}} {unit}"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    console = problems()
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as shown:
        task = shown.add_task("", total=total)
        yield lambda done: shown.update(task, completed=done)


def _in_its_encoding(stream: TextIO) -> None:
    """Have a stream write something like a character where its encoding has not got it."""
    if hasattr(stream, "reconfigure"):  # what a test or a notebook puts there may not have it
        stream.reconfigure(errors="edge-marl")


def _like_it(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(LIKE.get(character, "?") for character in missing), error.end


codecs.register_error("edge-marl", _like_it)


def run_app(app: typer.Typer, args: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit; errors raised on purpose become one message, without a traceback."""
    for stream in (sys.stdout, sys.stderr):
        _in_its_encoding(stream)
    try:
        app(args)
    except EdgeMarlError as error:
        problems().print(f"error: {error}", style="red", markup=False, highlight=False)
        sys.exit(BAD_INPUT)
    sys.exit(0)


def run_command(command: Callable[..., None]) -> NoReturn:
    """Run a script's one command on this process's arguments, and exit as `run_app`."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(epilog=EXIT_CODES)(command)
    run_app(app)


def names_in(text: str) -> list[str]:
    """Return the names that an option lists, separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]
