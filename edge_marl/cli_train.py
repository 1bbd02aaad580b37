"""The command `edge-marl train`: one agent, one seed, in a folder that it can go on in."""

from __future__ import annotations

import difflib
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_marl.benchmarks.console import INTERRUPTED, print_rows, problems

if TYPE_CHECKING:
    from edge_marl.agents.trainer import LearningTrainer
    from edge_marl.scenario import Scenario

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
        typer.Option(help="Folder.", show_default="results/train/SCENARIO/AGENT/SEED"),
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
    quiet: Annotated[bool, typer.Option("--quiet", help="Say only what went wrong.")] = False,
) -> None:
    """Train an agent; the same command goes on with a training that was stopped.

    The agent that was best on validation workloads is kept in the folder's `agent`.
    """
    import torch

    from edge_marl.agents.run_folder import RunFolder
    from edge_marl.scenario import load_scenario

    torch.set_num_threads(threads)
    world_of = load_scenario(scenario, world)
    trainer = _trainer(agent, world_of, settings or [])
    folder = out or Path("results/train") / world_of.label / agent / str(seed)
    run = RunFolder(folder, trainer, world_of, budget, seed, evaluations)
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


def _trainer(name: str, scenario: Scenario, settings: list[str]) -> LearningTrainer:
    """Return the trainer of an agent with settings `name=value`.

    Raises:
        AgentError: no such agent, one that does not learn or cannot be stopped, or a bad setting.
    """
    from pydantic import TypeAdapter, ValidationError

    from edge_marl.agents import make
    from edge_marl.agents.trainer import LearningTrainer
    from edge_marl.errors import AgentError

    made = make(name, scenario)
    if not isinstance(made, LearningTrainer):
        raise AgentError(
            f"agent '{name}' does not learn, or trains in one go: `edge-marl run --agents {name}` "
            "plays it"
        )
    kind = made.config_class
    known = [field.name for field in fields(kind)]
    chosen = dict(_setting(text, known) for text in settings)
    try:
        made.config = TypeAdapter(kind).validate_python(asdict(made.config) | chosen)
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:  # the settings' own check says it all
            raise AgentError(f"--set: {first['ctx']['error']}") from None
        raise AgentError(f"--set {first['loc'][0]} = {first['input']!r}: {first['msg']}") from None
    return made


def _setting(text: str, known: list[str]) -> tuple[str, Any]:
    """Read `name=value`; values are as in JSON."""
    from edge_marl.errors import AgentError

    name, equals, value = text.partition("=")
    if not equals:
        raise AgentError(f"--set {text}: must be NAME=VALUE, such as --set gamma=0.95")
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise AgentError(f"--set {text}: {hint}The settings are {', '.join(known)}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
