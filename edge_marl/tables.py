"""Tables that objects print as: text in a terminal, HTML in a notebook."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

__all__ = ["Shown", "Table"]


class Table(NamedTuple):
    """A title and rows of text, the first of which may be names of columns."""

    title: str
    rows: Sequence[tuple[str, ...]]
    has_names: bool = False
    """Whether the first row names the columns."""

    def as_text(self) -> str:
        """Return it in columns, two blanks apart."""
        widths = [max(map(len, column)) for column in zip(*self.rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in self.rows
        ]
        return "\n".join([self.title, *lines])

    def as_html(self) -> str:
        """Return it as a table that a notebook shows."""
        kinds = ["th" if self.has_names and at == 0 else "td" for at in range(len(self.rows))]
        rows = [
            "".join(f'<{kind} style="text-align: left">{escape(cell)}</{kind}>' for cell in row)
            for kind, row in zip(kinds, self.rows, strict=True)
        ]
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return f"<table><caption>{escape(self.title)}</caption>{body}</table>"


class Shown:
    """What prints as a table, and is shown as one at the end of a notebook's cell."""

    __slots__ = ()

    @abstractmethod
    def as_table(self) -> Table:
        """Return what it holds, in short."""

    def __str__(self) -> str:
        return self.as_table().as_text()

    def _repr_html_(self) -> str:
        return self.as_table().as_html()
