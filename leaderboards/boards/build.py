"""`edge-marl leaderboard build`: every page and table, made of the submissions and nothing else.

No dates of today, no machine, no network: the same submissions give the same bytes. Pages of games
show the evidence that ships with them beside the entries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from edge_marl.errors import SubmissionError
from edge_marl.files import new_folder, write_file
from edge_marl.leaderboards.boards import tables as build_tables
from edge_marl.leaderboards.boards.board import Board, read_boards
from edge_marl.leaderboards.boards.pretrained import to_pretrained
from edge_marl.leaderboards.boards.site import make_site

__all__ = ["build", "tables"]

SITE_MARK = ".edge-marl-site"
"""File by which a site of ours is known: no other folder is replaced."""


def build(
    submissions: Path, out: Path, progress: Callable[[int], None] = lambda done: None
) -> list[Board]:
    """Write tables and site, and return the boards.

    Below `out`: `README.md`, a page per board, `leaderboard.csv`, `leaderboard.json`, the list of
    trained agents `pretrained.json` and `site/`, which is replaced as a whole. All is made before
    the first file is written.

    Args:
        submissions: folder with `<board>/<date>-<agent>/`.
        out: where to write.
        progress: called with the number of submissions whose pages are made.

    Raises:
        SubmissionError: no such folder; a submission that cannot be read, is of no released
            scenario, or whose shown episodes do not give what it claims; a folder `site` that is
            not ours; a file that cannot be written.
    """
    if not submissions.is_dir():
        raise SubmissionError(f"{submissions}: there is no such folder; give it by --submissions")
    site = out / "site"
    if site.exists() and not (site / SITE_MARK).is_file() and any(site.iterdir()):
        raise SubmissionError(
            f"{site}: holds something else than a site of edge-marl: move it away, or give --out"
        )
    boards = read_boards(submissions)
    _replace_site(site, make_site(boards, progress))
    for name, text in tables(boards):
        write_file(out / name, text, SubmissionError)
    return boards


def tables(boards: list[Board]) -> Iterable[tuple[str, str]]:
    """Yield the name and the text of every table."""
    yield "README.md", build_tables.to_markdown(boards)
    yield "leaderboard.csv", build_tables.to_csv(boards)
    yield "leaderboard.json", build_tables.to_json(boards)
    yield "pretrained.json", to_pretrained(boards)
    for board in boards:
        yield f"{board.name}.md", build_tables.to_page(board)


def _replace_site(site: Path, files: Iterable[tuple[str, bytes]]) -> None:
    with new_folder(site, SubmissionError) as part:
        (part / SITE_MARK).write_bytes(b"")
        for name, content in files:
            path = part / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
