"""Tables as text: columns by name, each value checked, errors with file, line and column.

A recorded file is read whole, column by column, which NumPy does quickly; only where a column has
something wrong are its values looked at one by one, to say where.
"""

from __future__ import annotations

import csv
import io
import tarfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl.errors import DataError, did_you_mean
from edge_marl.kernel.world import Floats, Ints

__all__ = ["Table", "read_archive", "read_table", "read_text"]

Times = npt.NDArray[np.datetime64]

FIX = "mend that line, or get the file again"


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
        value = self.columns[name][row]
        shown = value if len(value) <= 40 else f"{value[:40]}..."
        return DataError(
            f"{self.place}:{row + self.first_line}: column '{name}' holds '{shown}': "
            f"must be {rule}: {FIX}"
        )

    def numbers(self, name: str, low: float, high: float, missing: float | None = None) -> Floats:
        """Return a column of finite numbers from `low` to `high`, (N,).

        Args:
            name: of the column.
            low: least value.
            high: largest value.
            missing: what stands for an empty field; None allows none.
        """
        rule = f"a number from {low:.12g} to {high:.12g}"
        texts = self.columns[name]
        if missing is not None:
            texts = [text or repr(missing) for text in texts]
        values: Floats = self._convert(name, texts, float, np.float64, rule)
        wrong = ~((values >= low) & (values <= high))
        if missing is not None:
            wrong &= np.array([bool(text) for text in self.columns[name]], dtype=np.bool_)
        if wrong.any():
            raise self.error(int(wrong.argmax()), name, rule)
        return values

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
        """Return a column of dates with times in order, (N,) datetime64[ns]."""
        rule = "a time such as 2024-11-15 16:57:50"
        texts = self.columns[name]
        values: Times = self._convert(name, texts, lambda text: np.datetime64(text), "M8[ns]", rule)
        if np.isnat(values).any():
            raise self.error(int(np.isnat(values).argmax()), name, rule)
        self.check_order(name, values)
        return values

    def check_order(self, name: str, values: npt.NDArray[Any]) -> None:
        """Raise DataError unless values never go down."""
        down = np.asarray(values[1:] < values[:-1])
        if down.any():
            row = int(down.argmax()) + 1
            before = self.columns[name][row - 1]
            raise self.error(row, name, f"no earlier than '{before}' on the line before")

    def _convert(
        self,
        name: str,
        texts: list[str],
        convert: Callable[[str], object],
        dtype: npt.DTypeLike,
        rule: str,
    ) -> npt.NDArray[Any]:
        try:
            return np.array(texts, dtype=np.str_).astype(dtype)
        except ValueError:
            for row, text in enumerate(texts):
                try:
                    convert(text)
                except ValueError:
                    raise self.error(row, name, rule) from None
            raise


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
    rows = csv.reader(io.StringIO(read_text(path) if text is None else text, newline=""))
    try:
        lines = list(rows)
    except csv.Error as error:
        raise DataError(f"{path}:{rows.line_num}: not a table ({error}): {FIX}") from None
    names = list(needed)
    if header:
        names = lines.pop(0) if lines else []
        _check_header(path, names, needed, optional)
    first = 2 if header else 1
    while lines and not lines[-1]:
        lines.pop()
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


def _check_header(
    path: Path | str, names: Sequence[str], needed: Sequence[str], optional: Sequence[str] | None
) -> None:
    missing = [name for name in needed if name not in names]
    if missing:
        raise DataError(
            f"{path}:1: column '{missing[0]}' is missing (found: {','.join(names) or 'nothing'}): "
            f"the header must name {', '.join(needed)}"
        )
    twice = next((name for k, name in enumerate(names) if name in names[:k]), None)
    if twice is not None:
        raise DataError(f"{path}:1: column '{twice}' is named twice: take one of them out")
    allowed = (*needed, *(optional or ()))
    unknown = [name for name in names if name not in allowed]
    if optional is not None and unknown:
        hint = did_you_mean(unknown[0], allowed)
        raise DataError(
            f"{path}:1: unknown column '{unknown[0]}': {hint}Allowed are {', '.join(allowed)}"
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
        DataError: no such file, a damaged archive or one cut short, or another number of files.
    """
    try:
        with tarfile.open(path, "r:gz") as archive:
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
        return f"{path}/{members[0].name}", content.decode("utf-8")
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file: check the name") from None
    except (tarfile.TarError, EOFError, OSError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: not a whole .tar.gz archive of text ({error}): get it again"
        ) from None
