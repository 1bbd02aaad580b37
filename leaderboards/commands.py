"""The commands of the leaderboards: `edge-marl submit`, `verify` and `season`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from edge_marl.benchmarks.console import FAILED

if TYPE_CHECKING:
    from edge_marl.leaderboards.season import Season
    from edge_marl.leaderboards.verify import Fresh, Verdict

__all__ = ["season", "submit", "verify"]

SUBMISSIONS = Path("leaderboards/submissions")

season = typer.Typer(
    help="Workloads from a secret that is published at a season's end.", no_args_is_help=True
)


def submit(
    run_dir: Annotated[Path, typer.Argument(help="Folder of a run (its --out).")],
    agent: Annotated[str, typer.Option(help="Which of the run's agents, as the run named it.")],
    scenario: Annotated[
        str | None, typer.Option(help="Which of the run's, if it has several.")
    ] = None,
    with_policy: Annotated[
        bool, typer.Option("--with-policy", help="Bring the policy, for the higher levels.")
    ] = False,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(
            help="Trained agent of a seed (`agent` of `edge-marl train`); one per seed from 0 up.",
            show_default="the run's own",
        ),
    ] = None,
    about: Annotated[Path | None, typer.Option(help="TOML file of what you say of it.")] = None,
    author: Annotated[list[str] | None, typer.Option(help="Repeatable.")] = None,
    link: Annotated[list[str] | None, typer.Option(help="Paper or code; repeatable.")] = None,
    name: Annotated[
        str | None,
        typer.Option(help="On the board, for an agent of your own.", show_default="its class's"),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of all submissions.")] = SUBMISSIONS,
) -> None:
    """Make a submission of a run's agent: it plays again, and every decision is logged."""
    from edge_marl.leaderboards.submit import make_submission, read_about

    said: dict[str, Any] = read_about(about) if about else {}
    said |= {key: given for key, given in (("authors", author), ("links", link)) if given}
    folder = make_submission(
        run_dir,
        agent,
        said,
        out,
        with_policy=with_policy,
        trained=checkpoint or (),
        scenario=scenario,
        name=name,
    )
    typer.echo(f"{folder}\ncheck it with: edge-marl verify {folder}")


def verify(
    paths: Annotated[list[Path], typer.Argument(help="Folders of submissions.")],
    level: Annotated[
        Literal["claimed", "replayed", "re-executed", "held-out"] | None,
        typer.Option(help="How far.", show_default="as far as it brings what is needed"),
    ] = None,
    agent_code: Annotated[
        str | None,
        typer.Option(help="file.py:Class of its agent, if that is not registered; it is run."),
    ] = None,
    season: Annotated[
        Path | None, typer.Option(help="File of a revealed season, for held-out.")
    ] = None,
    beacon: Annotated[
        str | None, typer.Option(help="A public random value of later, for held-out.")
    ] = None,
    submissions: Annotated[
        Path | None,
        typer.Option(
            help="Folder of all submissions, with the ledger.", show_default="that of each path"
        ),
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Write what was found to the ledger (maintainers).")
    ] = False,
) -> None:
    """Check submissions, level by level; exit code 1 if any check fails."""
    from edge_marl.leaderboards.ledger import record_verdict
    from edge_marl.leaderboards.verify import verify as check

    fresh = _fresh(season, beacon)
    failed = False
    for path in paths:
        typer.echo(f"{path}")
        verdict = check(
            path,
            level,
            root=submissions,
            code=agent_code,
            fresh=fresh,
            report=lambda name, found: typer.echo(f"  ok    {name}: {found}"),
        )
        failed |= _conclude(verdict)
        if record and verdict.failure is None:
            record_verdict(submissions or path.resolve().parent.parent, verdict)
    if failed:
        raise typer.Exit(FAILED)


def _conclude(verdict: Verdict) -> bool:
    """Print what came of a verification, and return whether it failed."""
    if verdict.failure is not None:
        typer.echo(f"  FAIL  {verdict.failure}")
    typer.echo(f"{verdict.entry}: {verdict.level or 'not even its claims hold together'}")
    return verdict.failure is not None


def _fresh(season: Path | None, beacon: str | None) -> Fresh | None:
    from edge_marl.errors import SubmissionError
    from edge_marl.leaderboards.season import from_beacon, from_season

    if season is not None and beacon is not None:
        raise SubmissionError("give either --season or --beacon")
    if season is not None:
        return from_season(season)
    return from_beacon(beacon) if beacon is not None else None


SeasonFile = Annotated[Path, typer.Argument(help="Public file of the season, NAME.json.")]
SecretFile = Annotated[Path, typer.Option(help="Where its secret is kept; never publish it.")]


@season.command()
def commit(path: SeasonFile, secret_file: SecretFile) -> None:
    """Draw a season's secret, and write the digest that is published now."""
    from edge_marl.leaderboards import season as seasons

    _say(path, seasons.commit(path, secret_file))


@season.command()
def reveal(
    path: SeasonFile,
    secret_file: SecretFile,
    submissions: Annotated[Path, typer.Option(help="Folder of all submissions.")] = SUBMISSIONS,
) -> None:
    """Write the secret to the season's file, and which submissions were there in time."""
    from edge_marl.leaderboards import season as seasons

    _say(path, seasons.reveal(path, secret_file, submissions))


def _say(path: Path, season: Season) -> None:
    state = f"revealed, {len(season.entrants)} entrants" if season.secret else "committed"
    typer.echo(f"{path}: season {season.name}, SHA-256 {season.commitment[:12]}, {state}")
