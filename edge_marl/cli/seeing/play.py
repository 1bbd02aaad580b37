"""The command `edge-marl play`: a person decides, and is scored beside the heuristics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edge_marl.console import INTERRUPTED, print_rows, problems

if TYPE_CHECKING:
    from edge_marl.cli.seeing.person import Person
    from edge_marl.scenario import Scenario
    from edge_marl.workload import Workload

__all__ = ["play"]

BESIDE = ("prophet", "crash-avoid", "power-of-two", "round-robin", "random")
"""Heuristics that the score is told beside."""


def play(
    scenario: Annotated[
        str, typer.Option(help="`smoke`, `smoke-game`, or another of few choices.")
    ] = "smoke",
    workload: Annotated[
        int, typer.Option(min=0, max=99, help="Number of the validation workload.")
    ] = 0,
    gateway: Annotated[int, typer.Option(min=0, help="In a game: the gateway that you are.")] = 0,
    others: Annotated[
        str, typer.Option(help="In a game: the agent that the other gateways play.")
    ] = "power-of-two",
) -> None:
    """Play an episode by keyboard: send each task to a server and a service.

    A key per choice, q to stop. At the end you see what you got, and what heuristics get there; a
    score of 0 is random dispatch, 1 the upper bound.

    Example: edge-marl play --scenario smoke-game --gateway 1
    """
    from edge_marl.agents.play import play_out
    from edge_marl.cli.seeing.person import StoppedError, person_of
    from edge_marl.draw import draw_workload
    from edge_marl.scenario import load_scenario

    place = load_scenario(scenario)
    drawn = draw_workload(place, workload, split="validation")
    person = person_of(place, gateway, others)
    try:
        play_out(person.envs, person, person.decide, [drawn])
    except KeyboardInterrupt:
        problems().print("interrupted")
        raise typer.Exit(INTERRUPTED) from None
    except StoppedError:
        problems().print("stopped: there is no score of half an episode")
        return
    print_rows(_score_rows(place, drawn, person, others))


def _score_rows(
    scenario: Scenario, workload: Workload, person: Person, others: str
) -> list[tuple[str, ...]]:
    """Return the table of the end, the best first."""
    from edge_marl.agents import Agent, make
    from edge_marl.agents.play import play as play_agent
    from edge_marl.bound import anchors

    yours = f"you, among {others}" if person.in_game else "you"
    found = {yours: person.envs.metrics(0)}
    for name in BESIDE:
        agent = make(name, scenario)
        assert isinstance(agent, Agent)
        (found[name],) = play_agent(agent, scenario, [workload], 0, api=scenario.api).metrics
    ends = anchors(scenario, [workload])
    low, high = float(ends.random[0]), float(ends.bound[0])
    ranked = sorted(found.items(), key=lambda pair: -pair[1]["utility"])
    rows = [
        (
            name,
            f"{(metrics['utility'] - low) / (high - low):.3f}",
            f"{metrics['utility']:.2f}",
            f"{metrics['server_crash_rate']:.1%}",
        )
        for name, metrics in ranked
    ]
    return [("", "score", "utility", "server crashes"), *rows]
