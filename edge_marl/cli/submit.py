"""The command `edge-marl submit`: from a run to a submission to the leaderboard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edge_marl.console import problems

__all__ = ["SUBMISSIONS", "submit"]

SUBMISSIONS = Path("leaderboards/submissions")


def submit(
    run_dir: Annotated[Path, typer.Argument(help="Folder of a run (its --out).")],
    agent: Annotated[str, typer.Option(help="Which of the run's agents, as the run named it.")],
    scenario: Annotated[
        str | None, typer.Option(help="Which of the run's, if it has several.")
    ] = None,
    with_policy: Annotated[
        bool, typer.Option("--with-policy", help="Bring the policy, for the higher levels.")
    ] = False,
    with_log: Annotated[
        bool,
        typer.Option(
            "--with-log", help="Bring every run's log, also where its policy makes it again."
        ),
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
    """Make a submission of a run's agent: it plays again, and every decision is logged.

    Example: edge-marl submit results/paper --agent sac --author Ada
    """
    from edge_marl.leaderboards.submission.files import read_submission
    from edge_marl.leaderboards.submission.finished_run import command_for_all
    from edge_marl.leaderboards.submission.make import make_submission, read_about

    statement: dict[str, Any] = read_about(about) if about else {}
    statement |= {key: given for key, given in (("authors", author), ("links", link)) if given}
    with problems().status("reading the run") as status:
        folder = make_submission(
            run_dir,
            agent,
            statement,
            out,
            with_policy=with_policy,
            with_log=with_log,
            trained=checkpoint or (),
            scenario=scenario,
            name=name,
            progress=lambda run, runs: status.update(f"run {run} of {runs} is played again"),
        )
    typer.echo(f"{folder}\ncheck it with: edge-marl verify {folder}")
    if mark := read_submission(folder).mark:
        rest = command_for_all(run_dir, agent, scenario)
        typer.echo(f"it is taken with a mark, {mark}; what is missing is made by: {rest}")
