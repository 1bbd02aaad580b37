"""The command `edge-marl evaluate`: what a trained agent, or any other, gets on workloads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from edge_marl.console import bar, print_rows

if TYPE_CHECKING:
    from edge_marl.agents import Agent
    from edge_marl.scenario import Scenario

__all__ = [
    "AgentName",
    "Checkpoint",
    "OwnSeed",
    "PlayedIn",
    "PlayedOn",
    "Transfer",
    "World",
    "chosen_agent",
    "evaluate",
]

Checkpoint = Annotated[
    Path | None, typer.Option(help="Folder of a trained agent (`agent` of a training's).")
]
AgentName = Annotated[
    str | None, typer.Option(help="Instead: a name, module:Class or file.py:Class.")
]
PlayedIn = Annotated[
    str | None,
    typer.Option(
        help="A tier, a game, or the path of a .toml file.",
        show_default="the checkpoint's, else paper",
    ),
]
World = Annotated[int | None, typer.Option(min=0, help="World of the scenario.")]
PlayedOn = Annotated[
    Literal["single", "parallel"] | None,
    typer.Option(
        help="On the Gymnasium environment, or as policy of all gateways.",
        show_default="parallel for games in slots, else single",
    ),
]
OwnSeed = Annotated[int, typer.Option(min=0, help="Of the agent's own randomness.")]
Transfer = Annotated[
    bool, typer.Option("--transfer", help="Allow another scenario than it was trained in.")
]


def evaluate(
    checkpoint: Checkpoint = None,
    agent: AgentName = None,
    scenario: PlayedIn = None,
    world: World = None,
    split: Annotated[
        Literal["test", "validation", "train"], typer.Option(help="Workloads to play.")
    ] = "test",
    episodes: Annotated[int, typer.Option(min=1, max=100, help="Workloads 0 to N - 1.")] = 100,
    workload: Annotated[
        list[Path] | None, typer.Option(help="A workload's file (.npz) instead; repeatable.")
    ] = None,
    seed: OwnSeed = 0,
    api: PlayedOn = None,
    transfer: Transfer = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Play workloads with an agent and print every metric, as means with 95 % intervals.

    Example: edge-marl evaluate --agent prophet --scenario smoke
    """
    from edge_marl.benchmarks.calls import play_on
    from edge_marl.benchmarks.run.evaluation import draw_workloads
    from edge_marl.workload import load_workload

    world_of, playing = chosen_agent(checkpoint, agent, scenario, world, transfer)
    if workload:
        workloads = [load_workload(path) for path in workload]
    else:
        workloads = draw_workloads(world_of, split, 0, episodes)
    with bar(len(workloads), "episodes") as show:
        found = play_on(playing, world_of, workloads, [seed], api, show)
    (played,) = found.played
    facts: dict[str, Any] = {
        "agent": playing.name,
        "scenario": world_of.label,
        "digest": world_of.digest,
        "split": "given" if workload else split,
        "episodes": len(workloads),
        "seed": seed,
        "api": found.api,
        "distinct_actions": len(played.actions),
    }
    if as_json:
        typer.echo(json.dumps(facts | {"metrics": _per_episode(played.metrics)}))
        return
    print_rows([(name.replace("_", " "), str(value)) for name, value in facts.items()])
    print_rows([("", "mean", "95 % interval"), *_rows(played.metrics)])


def chosen_agent(
    checkpoint: Path | None,
    agent: str | None,
    scenario: str | Scenario | None,
    world: int | None,
    transfer: bool,
) -> tuple[Scenario, Agent]:
    """Return the scenario and the agent that are asked for.

    Raises:
        AgentError: neither or both ways to name an agent, or one that has to learn first.
    """
    from edge_marl.benchmarks.calls import find_agent
    from edge_marl.errors import AgentError

    named = checkpoint or agent
    if named is None or (checkpoint and agent):
        raise AgentError("give either --checkpoint FOLDER or --agent NAME")
    return find_agent(named, scenario, world, transfer=transfer)


def _per_episode(metrics: list[dict[str, float]]) -> dict[str, list[float | None]]:
    """Return each metric's values; None where an episode has none, for JSON has no NaN."""
    return {
        name: [None if episode[name] != episode[name] else episode[name] for episode in metrics]
        for name in metrics[0]
    }


def _rows(metrics: list[dict[str, float]]) -> list[tuple[str, str, str]]:
    import numpy as np

    from edge_marl.benchmarks.report.stats import estimate
    from edge_marl.metrics import METRICS

    rows = []
    for name in metrics[0]:
        values = np.array([episode[name] for episode in metrics])
        values = values[~np.isnan(values)]
        if len(values):
            found = estimate(values[None]).within(*METRICS[name].limits)
            interval = f"{found.low:.4f} to {found.high:.4f}" if len(values) > 1 else ""
            rows.append((name, f"{found.value:.4f}", interval))
    return rows
