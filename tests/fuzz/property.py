"""The one property of every reader of files that somebody else may have written.

Whatever the bytes, it returns what can be used, or raises an error of this project's: one line that
a terminal can show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from edge_marl.errors import EdgeMarlError

__all__ = ["LONGEST", "Entry", "Fault", "check"]

LONGEST = 1000
"""Characters of a message's line."""
MOST_LINES = 20
"""Lines of a message that says all that is wrong with a file, a line each."""


@dataclass(frozen=True, eq=False)
class Entry:
    """A reader, how its files are made and what is done with what it returns."""

    name: str
    file: str
    """Name of the file that it reads, in a folder of its own."""
    seeds: Callable[[], Sequence[bytes]]
    """Files that it accepts."""
    change: Callable[[Random, bytes], bytes]
    """Makes another file of one."""
    read: Callable[[Path], Any]
    """The reader, of the file's path."""
    use: Callable[[Any], object] = field(default=lambda found: None)
    """Does with what was read what it is read for; may refuse like the reader."""
    prepare: Callable[[Path, bytes], object] = field(default=lambda path, content: None)
    """Writes what the file needs beside it, given its path and content."""
    lists: bool = False
    """Whether its message has a line for each thing that is wrong."""

    def draw(self, rng: Random) -> bytes:
        """Return a changed file."""
        return self.change(rng, rng.choice(self.seeds()))


class Fault(Exception):
    """A reader broke the property; `kind` tells one fault from another."""

    def __init__(self, kind: str, said: str) -> None:
        super().__init__(f"{kind}: {said[:300]!r}")
        self.kind = kind


def check(entry: Entry, folder: Path, content: bytes) -> bool:
    """Have a reader read a file, and return whether it took it.

    Args:
        entry: the reader.
        folder: where the file is written.
        content: of the file.

    Raises:
        Fault: if it did neither return something that can be used nor say in a line what is wrong.
    """
    path = folder / entry.file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    entry.prepare(path, content)
    try:
        entry.use(entry.read(path))
    except EdgeMarlError as error:
        _check_message(entry, error)
        return False
    except Exception as error:
        raise Fault(_place_of(error), f"{type(error).__name__}: {error}") from error
    return True


def _check_message(entry: Entry, error: EdgeMarlError) -> None:
    text, place = str(error), _place_of(error)
    lines = text.split("\n") if entry.lists else [text]
    if not all(line.isprintable() for line in lines):
        raise Fault(f"not one printable line, {place}", text) from error
    if len(lines) > MOST_LINES or max(map(len, lines)) > LONGEST:
        raise Fault(f"a long message, {place}", f"{len(text)} characters: {text}") from error


def _place_of(error: BaseException) -> str:
    """Return an error's type and the function of ours that it came from."""
    place, trace = "the test", error.__traceback__
    while trace is not None:
        module = str(trace.tb_frame.f_globals["__name__"])
        if module.startswith("edge_marl."):
            place = f"{module.removeprefix('edge_marl.')}.{trace.tb_frame.f_code.co_name}"
        trace = trace.tb_next
    return f"{type(error).__name__} in {place}"
