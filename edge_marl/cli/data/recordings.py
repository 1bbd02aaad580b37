"""The command `edge-marl data`: the recorded data sets and the user's copies of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edge_marl.console import print_rows, problems, results
from edge_marl.data.dataset import DataFile
from edge_marl.errors import DataError

if TYPE_CHECKING:
    from edge_marl.scenario import Scenario
    from edge_marl.serving.log import History

__all__ = ["app"]

app = typer.Typer(help="Recorded workloads: what there is, and your copies.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="A data set; `edge-marl data list` has them.")]


@app.command("list")
def list_datasets() -> None:
    """List the data sets with size, licence and whether they are here.

    Example: edge-marl data list
    """
    from rich.table import Table

    from edge_marl.data.copies import is_here
    from edge_marl.data.dataset import datasets

    shown = Table(box=None, pad_edge=False)
    for title in ("name", "here", "MB", "what", "licence"):
        justify: Literal["right", "left"] = "right" if title == "MB" else "left"
        shown.add_column(title, justify=justify, overflow="fold")
    for dataset in datasets().values():
        here = "yes" if is_here(dataset.name) else "no"
        megabytes = f"{dataset.size / 1e6:.1f}"
        shown.add_row(dataset.name, here, megabytes, dataset.title, dataset.licence)
    results().print(shown, highlight=False, markup=False)


@app.command()
def add(
    name: Name,
    folder: Annotated[
        Path | None,
        typer.Option("--from", help="Folder with a copy of its files; without it, download them."),
    ] = None,
) -> None:
    """Bring a data set into the cache, checked; print its folder.

    Example: edge-marl data add alibaba-gentd26
    """
    from edge_marl.data import copies
    from edge_marl.data.dataset import find_dataset

    dataset = find_dataset(name)
    place = copies.add(name, folder, track=_progress)
    say = problems().print
    say(f"licence: {dataset.licence}", markup=False, highlight=False)
    say(f"please cite: {dataset.citation}", markup=False, highlight=False)
    typer.echo(place)


@app.command()
def path(name: Name) -> None:
    """Print the folder of a data set that is here.

    Example: edge-marl data path alibaba-gentd26
    """
    from edge_marl.data import copies

    typer.echo(copies.added_folder(name))


@app.command()
def verify(
    name: Annotated[str | None, typer.Argument(help="A data set; without it, all here.")] = None,
) -> None:
    """Check size and SHA-256 of every file.

    Example: edge-marl data verify alibaba-gentd26
    """
    from edge_marl.data import copies
    from edge_marl.data.dataset import datasets

    wrong = []
    for known in [name] if name else [known for known in datasets() if copies.is_here(known)]:
        try:
            copies.verify(known)
        except DataError as error:
            wrong.append(str(error))
        else:
            typer.echo(f"{known}: all files as registered")
    if wrong:
        raise DataError(*wrong)
    if not name and not any(copies.is_here(known) for known in datasets()):
        typer.echo("no data set is here: edge-marl data add NAME brings one")


@app.command()
def served(
    logs: Annotated[list[Path], typer.Argument(help="Event logs of `edge-marl serve`.")],
    scenario: Annotated[
        str, typer.Option(help="What it is to be played in: a tier, or the path of a .toml file.")
    ],
    workload: Annotated[
        Path | None, typer.Option(help="Write a workload (.npz), for `evaluate --workload`.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Write a trace (.csv), for `replay` in a scenario.")
    ] = None,
    start_s: Annotated[
        float, typer.Option(min=0, help="Where the workload begins, after the first request.")
    ] = 0.0,
    beside: Annotated[
        bool, typer.Option("--beside", help="Show what the simulator makes of the same decisions.")
    ] = False,
) -> None:
    """Make a workload, or a trace, of what gateways served; several logs are several gateways'.

    Example: edge-marl data served served.jsonl --scenario mine.toml --beside
    """
    from edge_marl.errors import ServingError
    from edge_marl.files import write_file
    from edge_marl.scenario import load_scenario
    from edge_marl.serving.log import read_logs

    history, world_of = read_logs(logs), load_scenario(scenario)
    if workload is not None:
        history.workload(world_of, start_s).save(workload)
    if csv is not None:
        write_file(csv, history.trace(world_of), ServingError)
    outcomes = ", ".join(f"{count} {name}" for name, count in sorted(history.outcomes.items()))
    typer.echo(f"{len(history.arrived)} requests: {outcomes or 'none is over'}")
    if beside:
        _show_beside(history, world_of)


def _show_beside(history: History, scenario: Scenario) -> None:
    """Print what was measured beside what is simulated."""
    from edge_marl.serving.replay import as_measured, as_simulated, beside, fitting

    part = fitting(history, scenario)
    table = beside(as_measured(part), as_simulated(part, scenario))
    typer.echo(table.title)
    print_rows(table.rows)


def _progress(files: Iterable[DataFile]) -> Iterable[DataFile]:
    from rich.progress import track

    return track(files, "files", console=problems(), transient=True)
