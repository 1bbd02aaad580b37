"""The command `edge-marl train`: one agent, one seed, in a folder that it can go on in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edge_marl.console import INTERRUPTED, names_in, print_rows, problems

__all__ = ["train"]

DEFAULT_BUDGET = 48_000


def train(
    agent: Annotated[str, typer.Option(help="Name of a learning agent.")],
    scenario: Annotated[str, typer.Option(help="A tier, or the path of a .toml file.")] = "paper",
    world: Annotated[int | None, typer.Option(min=0, help="World of the scenario.")] = None,
    budget: Annotated[int, typer.Option(min=1, help="Decisions to train on.")] = DEFAULT_BUDGET,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder.", show_default="one of its own in results/train"),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting; repeatable.")
    ] = None,
    evaluations: Annotated[
        int, typer.Option(min=1, help="Evaluations on validation workloads.")
    ] = 10,
    threads: Annotated[
        int, typer.Option(min=1, help="Threads of torch; they change the last bits of results.")
    ] = 1,
    track: Annotated[
        str, typer.Option(help="Send its figures to wandb, mlflow or both, separated by a comma.")
    ] = "",
    quiet: Annotated[bool, typer.Option("--quiet", help="Say only what went wrong.")] = False,
) -> None:
    """Train an agent; the same command goes on with a training that was stopped.

    The agent that was best on validation workloads is kept in the folder's `agent`.

    Example: edge-marl train --agent adsac --scenario smoke --budget 6000
    """
    import torch

    from edge_marl.agents.training.run_folder import RunFolder
    from edge_marl.agents.training.settings_text import read_setting
    from edge_marl.benchmarks.calls import find_trainer
    from edge_marl.benchmarks.plan.cells import folder_name
    from edge_marl.scenario import load_scenario

    torch.set_num_threads(threads)
    world_of = load_scenario(scenario, world)
    trainer = find_trainer(agent, world_of, dict(map(read_setting, settings or [])))
    folder = out or Path("results/train") / world_of.label / folder_name(agent) / str(seed)
    run = RunFolder(folder, trainer, world_of, budget, seed, evaluations, track=names_in(track))
    try:
        _follow(run, budget, quiet)
    except KeyboardInterrupt:
        problems().print(f"interrupted: {folder} is kept; the same command goes on", markup=False)
        raise typer.Exit(INTERRUPTED) from None
    if not quiet and run.best is not None:
        best = run.best
        print_rows(
            [
                ("agent", str(folder / "agent")),
                ("selected at", f"{best.decisions:,} of {budget:,} decisions"),
                ("validation", f"{best.utility_per_task:.4f} utility per task"),
                ("", f"{best.server_crash_rate:.4f} server crashes per task"),
                ("", f"{best.distinct_actions} distinct actions"),
            ]
        )


def _follow(run: Any, budget: int, quiet: bool) -> None:
    """Train to the end, with a bar."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} decisions"),
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=problems(), disable=quiet) as bar:
        task = bar.add_task("", total=budget, completed=run.selection.training.decisions)
        for now in run.run():
            text = f"training {now.utility_per_task:.3f}"
            if run.best is not None:
                text += f", validation {run.best.utility_per_task:.3f}"
            bar.update(task, completed=now.decisions, description=text)
