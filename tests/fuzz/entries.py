"""All entries by name, and the files that once broke one."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz import of_agents, of_boards, of_runs, of_serving, of_worlds

__all__ = ["ENTRIES", "FOUND", "found"]

ENTRIES = {
    entry.name: entry
    for entry in (
        *of_worlds.ENTRIES,
        *of_agents.ENTRIES,
        *of_runs.ENTRIES,
        *of_boards.ENTRIES,
        *of_serving.ENTRIES,
    )
}

FOUND = Path(__file__).parent / "found"
"""A folder per entry of files that it broke on; the suite reads them all."""


def found() -> list[str]:
    """Return the places below `FOUND` of the files there: the entry's name, and the file's."""
    return [path.relative_to(FOUND).as_posix() for path in sorted(FOUND.glob("*/*"))]
