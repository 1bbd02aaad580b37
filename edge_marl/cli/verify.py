"""The command `edge-marl verify`: submissions, level by level."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edge_marl.console import FAILED
from edge_marl.errors import as_line

if TYPE_CHECKING:
    from edge_marl.leaderboards.verification.fresh import Fresh
    from edge_marl.leaderboards.verification.verify import Verdict

__all__ = ["verify"]

SUBMISSION = "submission.json"
"""By which the folder of a submission is known."""


def verify(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Folders of submissions, or folders that hold them, as boards do."),
    ],
    level: Annotated[
        Literal["claimed", "replayed", "re-executed", "held-out"] | None,
        typer.Option(
            metavar="LEVEL",
            help="How far: claimed, replayed, re-executed or held-out.",
            show_default="as far as it brings what is needed",
        ),
    ] = None,
    agent_code: Annotated[
        str | None,
        typer.Option(help="file.py:Class of its agent, if that is not registered; it is run."),
    ] = None,
    season: Annotated[
        Path | None, typer.Option(help="File of a revealed season, for held-out.")
    ] = None,
    beacon: Annotated[
        Path | None,
        typer.Option(
            help="File of a public random value of later, for held-out; - is standard input."
        ),
    ] = None,
    sandbox: Annotated[
        Literal["bwrap", "container", "none"] | None,
        typer.Option(help="Where policies run.", show_default="bwrap where it works, else none"),
    ] = None,
    policy_output: Annotated[
        Path | None, typer.Option(help="File that keeps what a policy that failed has printed.")
    ] = None,
    submissions: Annotated[
        Path | None,
        typer.Option(
            help="Folder of all submissions, with the ledger.", show_default="that of each path"
        ),
    ] = None,
    reviewed: Annotated[
        str | None,
        typer.Option(
            help="'NAME: why', where what looks like another's work is not (maintainers)."
        ),
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Write what was found to the ledger (maintainers).")
    ] = False,
) -> None:
    """Check submissions, level by level; exit code 1 if any check fails.

    Of several it ends with how many reached which level, and how long it took.

    Example: edge-marl verify leaderboards/submissions/paper-v0/2026-11-25-prophet
    """
    from edge_marl.leaderboards.verification.verify import record_verdict
    from edge_marl.leaderboards.verification.verify import verify as check

    fresh = _fresh(season, beacon)
    verdicts, start = [], time.monotonic()
    for path in _submissions_of(paths):
        typer.echo(as_line(str(path)))
        verdict = check(
            path,
            level,
            root=submissions,
            code=agent_code,
            fresh=fresh,
            reviewed=reviewed,
            sandbox=sandbox,
            output=policy_output,
            report=_say_passed,
        )
        _say_verdict(verdict)
        verdicts.append(verdict)
        if record and verdict.failure is None:
            record_verdict(submissions or path.resolve().parent.parent, verdict)
    if len(verdicts) > 1:
        _say_summary(verdicts, time.monotonic() - start)
    if any(verdict.failure is not None for verdict in verdicts):
        raise typer.Exit(FAILED)


def _submissions_of(paths: list[Path]) -> Iterator[Path]:
    """Yield paths; of one that holds submissions, or boards with them, each of these, by name."""
    for path in paths:
        held = [] if (path / SUBMISSION).exists() else sorted(_held_by(path))
        yield from held or [path]


def _held_by(path: Path) -> list[Path]:
    found = (path.glob(f"{below}/{SUBMISSION}") for below in ("*", "*/*"))
    return [file.parent for files in found for file in files]


def _say_summary(verdicts: list[Verdict], seconds: float) -> None:
    from edge_marl.benchmarks.report.columns import duration
    from edge_marl.leaderboards.submission.schema import LEVELS

    failed = sum(verdict.failure is not None for verdict in verdicts)
    typer.echo(
        f"\n{len(verdicts)} submissions in {duration(seconds)}, of which {failed} failed a check"
    )
    for level in (*reversed(LEVELS), None):
        if count := sum(verdict.level == level for verdict in verdicts):
            typer.echo(f"{count:6}  {level or 'no level'}")


def _say_passed(name: str, finding: str) -> None:
    typer.echo(as_line(f"  ok    {name}: {finding}"))


def _say_verdict(verdict: Verdict) -> None:
    if verdict.failure is not None:
        typer.echo(f"  FAIL  {verdict.failure}")
    said: str = verdict.level or "not even its claims hold together"
    if verdict.verification is not None and verdict.verification.level != verdict.level:
        said += f" (without a sandbox: {verdict.verification.level} in the ledger)"
    typer.echo(as_line(f"{verdict.entry}: {said}"))


def _fresh(season: Path | None, beacon: Path | None) -> Fresh | None:
    from edge_marl.errors import SubmissionError
    from edge_marl.leaderboards.verification.season import from_season, read_beacon

    if season is not None and beacon is not None:
        raise SubmissionError("give either --season or --beacon")
    if season is not None:
        return from_season(season)
    return read_beacon(beacon) if beacon is not None else None
