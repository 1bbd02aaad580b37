"""The command `edge-marl robustness`: how a policy does among others, in silence and in numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_marl.console import names_in, problems, results

if TYPE_CHECKING:
    from edge_marl.benchmarks.robustness.findings import Findings, Sheet
    from edge_marl.benchmarks.robustness.sheets import Wishes
    from edge_marl.scenario import Scenario

__all__ = ["robustness"]

SIZES = "5,20,100,500"
SHARES = "0,0.05,0.2"
SLOTS_ASLEEP = 20
"""Mean length of a sleep, if none is given."""


def robustness(
    game: Annotated[str, typer.Argument(help="A game, or a .toml file of one in slots.")],
    agent: Annotated[
        list[str],
        typer.Option(
            help="A name, module:Class, file.py:Class, or the folder of a trained agent; "
            "repeatable."
        ),
    ],
    against: Annotated[
        str | None,
        typer.Option(
            help="Heuristic of replaced gateways.", show_default="the best that is no agent here"
        ),
    ] = None,
    sheets: Annotated[
        str | None, typer.Option(help="Some of cross-play,dropout,scaling.", show_default="all")
    ] = None,
    workloads: Annotated[int, typer.Option(min=1, max=100, help="Test workloads 0 to N - 1.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Of the agents' own randomness.")] = 0,
    sizes: Annotated[str, typer.Option(help="Numbers of gateways of the sheet scaling.")] = SIZES,
    shares: Annotated[str, typer.Option(help="Shares of the time that gateways sleep.")] = SHARES,
    asleep_s: Annotated[
        float | None,
        typer.Option(help="Mean length of a sleep.", show_default=f"{SLOTS_ASLEEP} slots"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder.", show_default="results/robustness/GAME")
    ] = None,
) -> None:
    """Make the robustness sheets of agents in a game: cross-play, dropout and scaling.

    The same command goes on where it was stopped, and plays only what it has not played.

    Example: edge-marl robustness paper-game --agent prophet
    """
    from edge_marl.benchmarks.robustness.findings import read, write
    from edge_marl.benchmarks.robustness.players import Player, held_out
    from edge_marl.benchmarks.robustness.sheets import Wishes, measure

    played = _game(game)
    players = [Player(text) for text in dict.fromkeys(agent)]
    wishes = Wishes(
        game=played,
        players=tuple(players),
        against=_heuristic(against or held_out(played, players), played),
        sheets=_sheets(sheets),
        workloads=workloads,
        seed=seed,
        shares=_numbers("--shares", shares, float, 0.0, 0.99),
        asleep_s=SLOTS_ASLEEP * played.clock.slot_s if asleep_s is None else asleep_s,
        sizes=_numbers("--sizes", sizes, int, 1, 10_000),
    )
    folder = out or Path("results/robustness") / played.label
    file = folder / "robustness.json"
    before = read(file)
    with problems().status("") as status:
        found = measure(wishes, before, status.update, lambda now: write(now, file))
    _show(found, folder, wishes)


def _game(text: str) -> Scenario:
    """Return the game of a command line.

    Raises:
        ScenarioError: no such scenario, or one on the event clock.
    """
    from edge_marl.errors import ScenarioError
    from edge_marl.scenario import list_games, load_scenario

    found = load_scenario(text)
    if not found.clock.slot_ms:
        raise ScenarioError(
            f"scenario '{found.label}' is on the event clock: the sheets are of games in slots "
            f"({', '.join(list_games())}, or a file with [clock] slot_s)"
        )
    return found


def _heuristic(name: str, game: Scenario) -> str:
    """Return the agent of replaced gateways, checked.

    Raises:
        AgentError: no such agent, one that has to learn first, or one that decides for all.
    """
    from edge_marl.agents import Agent, make
    from edge_marl.errors import AgentError

    made = make(name, game)
    if not isinstance(made, Agent) or made.central:
        raise AgentError(f"--against {name}: give a heuristic, which decides for a gateway alone")
    return name


def _sheets(text: str | None) -> tuple[Sheet, ...]:
    """Return the sheets of a command line, in their order.

    Raises:
        SuiteError: an unknown one, or none.
    """
    from edge_marl.benchmarks.robustness.findings import SHEETS
    from edge_marl.errors import SuiteError, did_you_mean

    if text is None:
        return SHEETS
    names = names_in(text)
    for name in names:
        if name not in SHEETS:
            hint = did_you_mean(name, SHEETS)
            raise SuiteError(f"--sheets {name}: {hint}the sheets are {', '.join(SHEETS)}")
    if not names:
        raise SuiteError(f"--sheets '{text}': names none of {', '.join(SHEETS)}")
    return tuple(sheet for sheet in SHEETS if sheet in names)


def _numbers(option: str, text: str, kind: Any, least: float, most: float) -> tuple[Any, ...]:
    """Return the numbers of an option, in order.

    Raises:
        SuiteError: one that is no number, or out of range.
    """
    from edge_marl.errors import SuiteError

    try:
        found = set(map(kind, names_in(text)))
    except ValueError:
        found = set()
    if not found or not all(least <= number <= most for number in found):
        raise SuiteError(f"{option} {text}: must be numbers from {least:g} to {most:g}, like 5,20")
    return tuple(sorted(found))


def _show(found: Findings, folder: Path, wishes: Wishes) -> None:
    """Print the sheets, and write them and their figure."""
    from edge_marl.benchmarks.robustness.figure import draw
    from edge_marl.benchmarks.robustness.tables import markdown, notes_of, tables_of
    from edge_marl.console import print_rows
    from edge_marl.errors import RecordError
    from edge_marl.files import write_file

    say = results().print
    for table in tables_of(found):
        say(f"\n{table.title}", style="bold", highlight=False, markup=False)
        print_rows(table.rows)
    for line in ("", *notes_of(found)):
        say(line, highlight=False, markup=False, soft_wrap=True)
    title = f"# Robustness of {', '.join(p.label for p in wishes.players)} in {found.game}\n\n"
    picture = "![The sheets as curves](robustness.svg)\n"
    write_file(folder / "robustness.md", f"{title}{markdown(found)}\n\n{picture}", RecordError)
    draw(found, folder)
    say(f"\n{folder}: robustness.json, .md, .png and .svg", highlight=False, markup=False)
