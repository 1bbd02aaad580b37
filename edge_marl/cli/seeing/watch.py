"""The command `edge-marl watch`: an agent at work, live in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edge_marl.cli.evaluate import (
    AgentName,
    Checkpoint,
    OwnSeed,
    PlayedIn,
    Transfer,
    World,
    chosen_agent,
)
from edge_marl.console import INTERRUPTED, print_rows, problems

if TYPE_CHECKING:
    from edge_marl.agents.play import Seat
    from edge_marl.workload import Workload

__all__ = ["Lasts", "watch", "watch_episode"]

Lasts = Annotated[
    float, typer.Option(min=0.1, help="In a terminal: about how many seconds to take.")
]

TOLD = ("utility", "utility_per_task", "server_crash_rate", "task_loss_rate")
"""Metrics that are told at the end."""


def watch(
    checkpoint: Checkpoint = None,
    agent: AgentName = None,
    scenario: PlayedIn = None,
    world: World = None,
    split: Annotated[
        Literal["test", "validation", "train"], typer.Option(help="Whose workload to play.")
    ] = "validation",
    workload: Annotated[int, typer.Option(min=0, max=99, help="Its number.")] = 0,
    seed: OwnSeed = 0,
    seconds: Lasts = 60.0,
    transfer: Transfer = False,
) -> None:
    """Watch an agent play an episode, live in the terminal.

    A line per server, or those of the fullest, as many as fit. Into a file or a pipe only the end
    is written.

    Example: edge-marl watch --agent prophet --scenario metro --seconds 30
    """
    from edge_marl.agents.play import open_rows, take_seat
    from edge_marl.draw import draw_workload

    place, playing = chosen_agent(checkpoint, agent, scenario, world, transfer)
    drawn = [draw_workload(place, workload, split=split)]
    envs = open_rows(place, len(drawn), place.api)
    watch_episode(take_seat(playing, envs, drawn, seed), drawn, seconds)


def watch_episode(seat: Seat, workloads: list[Workload], seconds: float) -> None:
    """Show the last of some episodes in the terminal, and what came of it."""
    from edge_marl.cli.seeing.episode import show_episode
    from edge_marl.cli.seeing.screen import FPS, Screen

    try:
        with Screen() as screen:
            show_episode(seat, workloads, round(seconds * FPS), screen.show)
    except KeyboardInterrupt:
        problems().print("interrupted")
        raise typer.Exit(INTERRUPTED) from None
    found = seat.envs.metrics(len(workloads) - 1)
    print_rows([(name.replace("_", " "), f"{found[name]:.4f}") for name in TOLD if name in found])
