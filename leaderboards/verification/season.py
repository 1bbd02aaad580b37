"""Seasons: workloads from a secret whose digest is published at the start, itself at the end.

    edge-marl season commit spring.json --secret-file spring.secret    publish spring.json
    edge-marl season reveal spring.json --secret-file spring.secret    publish it again

Nobody can train on what a secret decides before it is revealed, its keepers excepted; anyone can
check afterwards that it is the one that was published. A beacon, a public random value that comes
later than a submission, needs no keepers: `edge-marl verify --beacon FILE`.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import sys
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_marl.errors import SubmissionError
from edge_marl.files import write_file
from edge_marl.leaderboards.submission import files
from edge_marl.leaderboards.submission.schema import Sha256, problem_of
from edge_marl.leaderboards.submission.texts import checked_text
from edge_marl.leaderboards.verification.fresh import Fresh

__all__ = ["Season", "commit", "from_beacon", "from_season", "read_beacon", "read_season", "reveal"]


class Season(BaseModel):
    """A season's file: public from its start on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,59}$")]
    commitment: Sha256
    """SHA-256 of the secret's text."""
    secret: Sha256 | None = None
    """64 hex digits; None until the season's end."""
    entrants: dict[str, Sha256] = {}
    """Seal of each submission that was in the ledger when the secret was revealed."""


def commit(path: Path, secret_file: Path) -> Season:
    """Draw a secret, keep it in one file, and write its digest to another.

    Raises:
        SubmissionError: if one of the files is there already or cannot be written.
    """
    for one in (path, secret_file):
        if one.exists():
            raise SubmissionError(f"{one}: is there already: a season is never overwritten")
    secret = secrets.token_hex(32)
    try:
        season = Season(name=path.stem, commitment=_digest(secret))
    except ValidationError:
        raise SubmissionError(f"{path}: a season's name is letters, digits, . and -") from None
    try:
        opened = os.open(secret_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(opened, "w") as stream:
            stream.write(secret + "\n")
    except OSError as error:
        raise SubmissionError(f"{secret_file}: cannot be written ({error.strerror})") from None
    _write(path, season)
    return season


def reveal(path: Path, secret_file: Path, submissions: Path) -> Season:
    """Write a season's secret to its file, with the submissions that were there by then.

    Raises:
        SubmissionError: it is revealed already, or the secret is not the one that was published.
    """
    season = read_season(path)
    if season.secret is not None:
        raise SubmissionError(f"{path}: is revealed already")
    secret = files.read_bytes(secret_file, 1000).decode("ascii", "replace").strip()
    if not re.fullmatch("[0-9a-f]{64}", secret) or _digest(secret) != season.commitment:
        raise SubmissionError(
            f"{secret_file}: not the secret whose SHA-256 {path} states ({season.commitment[:12]})"
        )
    ledger = files.read_ledger(submissions)
    entrants = {name: entry.seal for name, entry in sorted(ledger.entries.items())}
    season = season.model_copy(update={"secret": secret, "entrants": entrants})
    _write(path, season)
    return season


def read_season(path: Path) -> Season:
    """Return a season, whose secret is the one that was published if there is one.

    Raises:
        SubmissionError: if it cannot be read, or its secret is another.
    """
    facts = files.parse_json(path, files.read_bytes(path, 32 * files.MIB))
    try:
        season = Season.model_validate(facts)
    except ValidationError as error:
        field, problem = problem_of(error)
        raise SubmissionError(f"{path}: {field}: {problem}") from None
    if season.secret is not None and _digest(season.secret) != season.commitment:
        raise SubmissionError(
            f"{path}: secret: expected SHA-256 {season.commitment[:12]}, found "
            f"{_digest(season.secret)[:12]}"
        )
    return season


def from_season(path: Path) -> Fresh:
    """Return the workloads of a season that is revealed.

    Raises:
        SubmissionError: if it is not, or cannot be read.
    """
    season = read_season(path)
    if season.secret is None:
        raise SubmissionError(f"{path}: not revealed yet: its workloads do not exist")
    return Fresh(f"season {season.name}", season.secret, season.entrants)


def from_beacon(value: str) -> Fresh:
    """Return the workloads of a public random value.

    Raises:
        SubmissionError: if it is not one line of visible text, or too short to be one.
    """
    value = value.strip()
    if len(value) < 16:
        raise SubmissionError(
            f"beacon {value!r}: must be a public random value, of at least 16 characters, such as "
            "the output of a round of drand"
        )
    return Fresh(checked_text("beacon", f"beacon {value[:60].strip()}"), value)


def read_beacon(path: Path) -> Fresh:
    """Return the workloads of a beacon whose value is in a file; `-` is standard input.

    Not on the command line: that can be read by every process of the machine, policies included.

    Raises:
        SubmissionError: if it cannot be read, or is none.
    """
    content = sys.stdin.buffer.read(1000) if str(path) == "-" else files.read_bytes(path, 1000)
    return from_beacon(content.decode("utf-8", "replace"))


def _write(path: Path, season: Season) -> None:
    write_file(path, season.model_dump_json(indent=1) + "\n", SubmissionError)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
