"""Tables as text: columns by name, each value checked, errors with file, line and column.

A recorded file is read whole, column by column; `fields.py` says what a field's text means.
"""

from __future__ import annotations

import csv
import gzip
import io
import tarfile
import zlib
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from edge_marl.data.fields import (
    TIME_RULE,
    parse_decimal,
    parse_number,
    parse_times,
    to_milliseconds,
)
from edge_marl.errors import DataError, did_you_mean
from edge_marl.kernel.world import Floats, Ints

__all__ = ["FIX", "Table", "read_archive", "read_table", "read_text", "show"]

Times = npt.NDArray[np.datetime64]
Number = TypeVar("Number", float, Decimal)

FIX = "mend that line, or get the file again"


UNPACKED = 2**27
"""Bytes of an archive's content; the largest of the registered data sets has 13 MiB."""


def show(text: str) -> str:
    """Return what a file holds as one short line, for an error."""
    text = text if len(text) <= 40 else f"{text[:40]}..."
    return text if text.isprintable() else ascii(text)[1:-1]


class Table:
    """Columns of text with the place that they come from.

    Args:
        place: the file, for errors.
        columns: each column's values, all of one length.
        first_line: line of the file that the first row is on.
    """

    def __init__(self, place: str, columns: dict[str, list[str]], first_line: int = 2) -> None:
        self.place = place
        self.columns = columns
        self.first_line = first_line

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))

    def error(self, row: int, name: str, rule: str) -> DataError:
        """Return the error for a value that breaks a rule."""
        return DataError(
            f"{self.place}:{row + self.first_line}: column '{name}' holds "
            f"'{show(self.columns[name][row])}': must be {rule}: {FIX}"
        )

    def numbers(self, name: str, low: float, high: float, missing: float | None = None) -> Floats:
        """Return a column of finite numbers from `low` to `high`, (N,).

        Args:
            name: of the column.
            low: least value.
            high: largest value.
            missing: what stands for an empty field; None allows none.

        Raises:
            DataError: a field that is no such number (with its line).
        """
        return np.array(self._parse(name, parse_number, low, high, missing), dtype=np.float64)

    def milliseconds(
        self, name: str, low: float, high: float, missing: int | None = None, *, cut: bool = False
    ) -> Ints:
        """Return a column of seconds from `low` to `high` in whole ms, (N,).

        Times are read as they are written, not as the floats next to them: 1.001 is 1001 ms, while
        1000 times the float is a little less.

        Args:
            name: of the column.
            low: least value in seconds.
            high: largest value in seconds.
            missing: the ms that stand for an empty field; None allows none.
            cut: cut down to whole ms, where otherwise they are rounded.

        Raises:
            DataError: a field that is no such number (with its line).
        """
        empty = None if missing is None else Decimal(missing) / 1000
        span = Decimal(repr(low)), Decimal(repr(high))
        seconds = self._parse(name, parse_decimal, *span, empty)
        return np.array([to_milliseconds(value, cut=cut) for value in seconds], dtype=np.int64)

    def whole(self, name: str, low: int, high: int, missing: int | None = None) -> Ints:
        """Return a column of whole numbers from `low` to `high`, (N,); 30.0 is whole, too."""
        values = self.numbers(name, low, high, missing)
        wrong = values != np.rint(values)
        if wrong.any():
            raise self.error(int(wrong.argmax()), name, f"a whole number from {low} to {high}")
        return values.astype(np.int64)

    def choices(self, name: str, allowed: Sequence[str]) -> Ints:
        """Return the place of each value in `allowed`, (N,)."""
        place = {text: k for k, text in enumerate(allowed)}
        found = [place.get(text, -1) for text in self.columns[name]]
        if -1 in found:
            raise self.error(found.index(-1), name, f"one of {', '.join(allowed)}")
        return np.array(found, dtype=np.int64)

    def names(self, name: str) -> tuple[Ints, tuple[str, ...]]:
        """Return a column of names as numbers in order of first use, and the names; '' is -1."""
        number: dict[str, int] = {"": -1}
        found = [number.setdefault(text, len(number) - 1) for text in self.columns[name]]
        return np.array(found, dtype=np.int64), tuple(number)[1:]

    def times(self, name: str) -> Times:
        """Return a column of times in order, (N,) datetime64[ns]: dates or seconds since 1970.

        Raises:
            DataError: a field that is neither, or earlier than the one before (with its line).
        """
        values, wrong = parse_times(self.columns[name])
        if wrong is not None:
            raise self.error(wrong, name, TIME_RULE)
        self.check_order(name, values)
        return values

    def check_order(self, name: str, values: npt.NDArray[Any]) -> None:
        """Raise DataError unless values never go down."""
        down = np.asarray(values[1:] < values[:-1])
        if down.any():
            row = int(down.argmax()) + 1
            before = self.columns[name][row - 1]
            raise self.error(row, name, f"no earlier than '{show(before)}' on the line before")

    def _parse(
        self,
        name: str,
        parse: Callable[[str], Number],
        low: Number,
        high: Number,
        missing: Number | None,
    ) -> list[Number]:
        """The values of a column, one by one: a long field costs no more than itself."""
        values: list[Number] = []
        for row, text in enumerate(self.columns[name]):
            try:
                value = parse(text) if text or missing is None else missing
            except ValueError:
                value = None
            if value is None or not (value is missing or low <= value <= high):
                raise self.error(
                    row, name, f"a number from {float(low):.12g} to {float(high):.12g}"
                )
            values.append(value)
        return values


def read_table(
    path: Path | str,
    needed: Sequence[str],
    optional: Sequence[str] | None = None,
    header: bool = True,
    text: str | None = None,
) -> Table:
    """Return the columns of a comma-separated file.

    Args:
        path: the file; names the place in errors where `text` is given.
        needed: columns that must be there, in any order (with no header: all columns, in order).
        optional: columns that may be there; None allows (and leaves out) any.
        header: whether the first line names the columns.
        text: what the file holds, if it was read before.

    Raises:
        DataError: unreadable, empty, another header, or a row with too few or too many fields.
    """
    lines = _read_lines(path, read_text(path) if text is None else text)
    names = list(needed)
    if header:
        names = lines.pop(0) if lines else []
        names = _without_unnamed(path, names, lines)
        _check_header(path, names, needed, optional)
    first = 2 if header else 1
    for row, line in enumerate(lines):
        if len(line) != len(names):
            raise DataError(
                f"{path}:{row + first}: has {len(line)} fields: must have {len(names)}, as "
                f"{'the header' if header else ','.join(names)} has: {FIX}"
            )
    if not lines:
        raise DataError(f"{path}: has no rows: the file is empty or cut short: get it again")
    wanted = {*needed, *(optional or ())}
    columns = zip(*lines, strict=True)
    return Table(
        str(path),
        {name: list(column) for name, column in zip(names, columns, strict=True) if name in wanted},
        first,
    )


def _read_lines(path: Path | str, text: str) -> list[list[str]]:
    """Fields of all lines without spaces around them, up to the last line that has any."""
    rows = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True)
    try:
        lines = [[field.strip(" ") for field in row] for row in rows]
    except csv.Error as error:
        raise DataError(f"{path}:{rows.line_num}: not a table ({error}): {FIX}") from None
    while lines and not any(lines[-1]):
        lines.pop()
    return lines


def _without_unnamed(
    path: Path | str, names: Sequence[str], lines: Sequence[list[str]]
) -> list[str]:
    """Take out the empty columns at the end, as spreadsheets leave them; return the others."""
    count = len(names)
    while count and not names[count - 1]:
        count -= 1
    for row, line in enumerate(lines, start=2):
        held = next((field for field in line[count : len(names)] if field), None)
        if held is not None:
            raise DataError(
                f"{path}:{row}: holds '{show(held)}' in a column without a name: name the column "
                "in the header, or take it out"
            )
        del line[count : len(names)]
    return list(names[:count])


def _check_header(
    path: Path | str, names: Sequence[str], needed: Sequence[str], optional: Sequence[str] | None
) -> None:
    missing = [name for name in needed if name not in names]
    if missing:
        raise DataError(
            f"{path}:1: column '{missing[0]}' is missing (found: "
            f"{show(','.join(names)) or 'nothing'}): the header must name {', '.join(needed)}"
        )
    twice = next((name for k, name in enumerate(names) if name in names[:k]), None)
    if twice is not None:
        raise DataError(f"{path}:1: column '{show(twice)}' is named twice: take one of them out")
    allowed = (*needed, *(optional or ()))
    unknown = [name for name in names if name not in allowed]
    if optional is not None and unknown:
        hint = did_you_mean(unknown[0], allowed)
        raise DataError(
            f"{path}:1: unknown column '{show(unknown[0])}': {hint}Allowed are {', '.join(allowed)}"
        )


def read_text(path: Path | str) -> str:
    """Return a file's text, UTF-8.

    Raises:
        DataError: no such file, or not to be read as text.
    """
    try:
        return Path(path).read_text("utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file: check the name") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: byte {error.start} is no UTF-8 text: save the file as UTF-8, or get it again"
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}): check the name") from None


def read_archive(path: Path) -> tuple[str, str]:
    """Return the name and the text of the one file in a .tar.gz archive.

    Raises:
        DataError: no such file, a damaged archive or one cut short, another number of files, or
            more than `UNPACKED` bytes.
    """
    try:
        with gzip.open(path) as stream:
            unpacked = stream.read(UNPACKED + 1)
        if len(unpacked) > UNPACKED:
            raise DataError(
                f"{path}: unpacks to more than {UNPACKED} bytes: no recording does: get the "
                "archive again"
            )
        with tarfile.open(fileobj=io.BytesIO(unpacked), mode="r:") as archive:
            members = [
                member
                for member in archive.getmembers()
                if member.isfile() and not Path(member.name).name.startswith("._")
            ]
            if len(members) != 1:
                raise DataError(
                    f"{path}: holds {len(members)} files: must hold one: get the archive again"
                )
            file = archive.extractfile(members[0])
            content = file.read() if file else b""
        return f"{path}/{members[0].name}", content.decode("utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file: check the name") from None
    except (tarfile.TarError, EOFError, OSError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: not a whole .tar.gz archive of text ({error}): get it again"
        ) from None
