"""The command `edge-marl replay`: an episode of a record or a submission, as a film or live."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from edge_marl.cli.seeing.watch import Lasts, watch_episode
from edge_marl.console import INTERRUPTED, bar, problems

if TYPE_CHECKING:
    from edge_marl.agents import Agent
    from edge_marl.agents.play import Seat
    from edge_marl.benchmarks.plan.cells import Cell
    from edge_marl.benchmarks.records.records import Checkpoint
    from edge_marl.envs.render.scene import Scene
    from edge_marl.workload import Workload

__all__ = ["replay"]


class Replayed(NamedTuple):
    """Episodes that are to be played again, of which the last is the one that is asked for."""

    seat: Seat
    workloads: list[Workload]
    utility: float | None
    """What was written down of it."""


def replay(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="RECORD|SUBMISSION",
            help="A record of a run (RUN/cells/*.json), or the folder of a submission.",
        ),
    ],
    run: Annotated[
        int, typer.Option(min=0, help="Of a submission: which of its runs, from 0 on.")
    ] = 0,
    workload: Annotated[int, typer.Option(min=0, max=99, help="Which episode, from 0 on.")] = 0,
    gif: Annotated[Path | None, typer.Option(help="Write a film to this .gif file.")] = None,
    mp4: Annotated[Path | None, typer.Option(help="Write a film to this .mp4 file.")] = None,
    frames: Annotated[
        int, typer.Option(min=2, max=10_000, help="Of a film: how many, evenly in time.")
    ] = 200,
    fps: Annotated[int, typer.Option(min=1, max=50, help="Of a film: frames per second.")] = 10,
    seconds: Lasts = 60.0,
) -> None:
    """Play an episode of a record or a submission again: as a film, or live in the terminal.

    Of a submission the decisions are those of its log. Of a record the agent decides again, a
    trained one as the run has kept it.

    Example: edge-marl replay results/paper/cells/CELL.json --gif episode.gif
    """
    from edge_marl.errors import DataError

    if gif is not None and mp4 is not None:
        raise DataError("give either --gif FILE or --mp4 FILE")
    for given, suffix in ((gif, ".gif"), (mp4, ".mp4")):
        if given is not None and given.suffix != suffix:
            raise DataError(f"{given}: must end in {suffix}")
    again = _of_submission(path, run, workload) if path.is_dir() else _of_record(path, workload)
    film = gif or mp4
    if film is None:
        watch_episode(again.seat, again.workloads, seconds)
    else:
        _write(film, again, frames, fps)
    _compare(again)


def _write(path: Path, again: Replayed, frames: int, fps: int) -> None:
    from edge_marl.cli.seeing.episode import show_episode
    from edge_marl.cli.seeing.films import Film
    from edge_marl.envs.render import draw_frame

    try:
        with Film(path, fps) as film, bar(frames, "frames") as show:

            def add(scene: Scene) -> None:
                film.add(draw_frame(scene))
                show(film.frames)

            show_episode(again.seat, again.workloads, frames, add)
    except KeyboardInterrupt:
        problems().print(f"interrupted: {path} has what was played until then")
        raise typer.Exit(INTERRUPTED) from None
    typer.echo(f"{path}: {film.frames} frames")


def _compare(again: Replayed) -> None:
    """Say so if the episode did not come out as it was written down."""
    utility = again.seat.envs.metrics(len(again.workloads) - 1)["utility"]
    if again.utility is not None and utility != again.utility:
        problems().print(
            f"note: utility {utility:.6f}, but {again.utility:.6f} was written down: the agent "
            "decides otherwise here (another machine or version)"
        )


def _of_record(path: Path, workload: int) -> Replayed:
    """Return the episodes of a cell up to the one that is asked for.

    All of them, side by side as they were: what draws lots draws them row by row.

    Raises:
        RecordError: no record of a cell, or of one that has failed or has no such episode.
        AgentError: a trained agent that was not kept.
    """
    from edge_marl.agents.play import open_rows, take_seat
    from edge_marl.benchmarks.plan.cells import Cell
    from edge_marl.benchmarks.records.records import load_record
    from edge_marl.benchmarks.run.evaluation import draw_workloads
    from edge_marl.errors import RecordError

    try:
        record = load_record(path)
    except FileNotFoundError:
        raise RecordError(f"{path}: there is no such file, nor a folder of a submission") from None
    cell, result = record.job, record.result
    if not isinstance(cell, Cell) or result is None:
        raise RecordError(f"{path}: holds no episodes of an agent: give the record of a cell")
    if workload >= len(result.episodes):
        raise RecordError(
            f"--workload {workload}: {path.name} has the episodes 0 to {len(result.episodes) - 1}"
        )
    agent = _agent_of(path, cell, result.checkpoint)
    drawn = draw_workloads(cell.scenario, cell.split, cell.first, workload + 1)
    envs = open_rows(cell.scenario, len(drawn), cell.api)
    seat = take_seat(agent, envs, drawn, cell.seed)
    return Replayed(seat, drawn, result.episodes[workload].metrics["utility"])


def _agent_of(path: Path, cell: Cell, checkpoint: Checkpoint | None) -> Agent:
    """Return the agent of a cell, a trained one as the run has kept it."""
    from edge_marl.agents import Trainer, make
    from edge_marl.agents.training.settings_text import configure, parse_spec
    from edge_marl.benchmarks.calls import find_agent
    from edge_marl.errors import AgentError

    if checkpoint is not None:
        folder = path.resolve().parent.parent / checkpoint.folder
        return find_agent(folder, cell.scenario, transfer=cell.train_on is not None)[1]
    name, settings = parse_spec(cell.agent)
    made = make(name, cell.scenario)
    configure(made, settings)
    if isinstance(made, Trainer):
        raise AgentError(f"{path.name}: agent '{cell.agent}' was trained, and its run kept none")
    return made


def _of_submission(folder: Path, run: int, workload: int) -> Replayed:
    """Return an episode of a submission, decided as its log says.

    Raises:
        SubmissionError: no submission, of no scenario of this version, or without such a run.
    """
    from edge_marl.cli.seeing.logged import seat_of_log
    from edge_marl.draw import draw_workload
    from edge_marl.errors import SubmissionError
    from edge_marl.leaderboards.submission.facts import tier_of
    from edge_marl.leaderboards.submission.files import read_actions, read_submission

    submission, log = read_submission(folder), read_actions(folder)
    scenario = tier_of(submission.scenario.name)
    if scenario is None or scenario.digest != submission.scenario.digest:
        raise SubmissionError(f"{folder}: '{submission.scenario.name}' is no tier of this version")
    if run >= len(log.lengths):
        raise SubmissionError(
            f"--run {run}: the log of {folder.name} has the runs 0 to {len(log.lengths) - 1}"
        )
    drawn = [draw_workload(scenario, workload, split="test")]
    seat = seat_of_log(scenario, log.episode(run, workload), f"{folder.name}, run {run}")
    return Replayed(seat, drawn, submission.runs[run].metrics["utility"][workload])
