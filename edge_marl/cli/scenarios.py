"""The command `edge-marl scenarios`: the tiers, what they measure, and files of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_marl.console import print_rows, results
from edge_marl.errors import ScenarioError

if TYPE_CHECKING:
    from edge_marl.scenario import Scenario

__all__ = ["app"]

app = typer.Typer(help="The tiers, and files of one's own.", no_args_is_help=True)

Name = Annotated[
    str,
    typer.Argument(
        help="A tier or game, such as campus, campus@1 or paper-game, or the path of a .toml file."
    ),
]
World = Annotated[int | None, typer.Option(min=0, help="World; 0 is the published one.")]


@app.command("list")
def list_scenarios() -> None:
    """List the tiers and their games: the newest version of each, then the earlier ones.

    Example: edge-marl scenarios list
    """
    from edge_marl.scenario import list_games, list_tiers, load_scenario

    def rows(names: list[str], superseded: bool) -> list[tuple[str, str]]:
        found = [load_scenario(name) for name in names]
        found.sort(key=lambda scenario: (scenario.extended, scenario.num_servers))
        return [(one.label, one.summary) for one in found if one.superseded == superseded]

    print_rows(rows(list_tiers(), superseded=False))
    if games := rows(list_games(), superseded=False):
        results().print("\nGames of gateways, in slots:", highlight=False)
        print_rows(games)
    if earlier := rows([*list_tiers(), *list_games()], superseded=True):
        results().print("\nEarlier versions:", highlight=False)
        print_rows(earlier)


@app.command("show")
def show(name: Name, world: World = None) -> None:
    """Show a scenario's sizes, parts, load and digest, and what heuristics reach on it.

    Example: edge-marl scenarios show campus
    """
    from edge_marl.scenario import load_scenario

    found = load_scenario(name, world=world)
    print_rows(_facts(found))
    _show_evidence(found)


@app.command("validate")
def validate(
    files: Annotated[list[Path], typer.Argument(help="Scenario files (.toml).")],
) -> None:
    """Check scenario files: say what is wrong, or the digest of each.

    Example: edge-marl scenarios validate mine.toml
    """
    from edge_marl.draw import draw_workload
    from edge_marl.scenario import load_scenario

    for file in files:
        found = load_scenario(str(file))
        if found.replay is None or found.replay.csv:  # a data set may not be on this machine
            draw_workload(found, 0, split="validation").check_fits(found)
        typer.echo(f"{file}: valid, digest {found.digest}")


@app.command("export")
def export(
    name: Name,
    out: Annotated[Path, typer.Argument(help="File to write, such as my_world.toml.")],
    without: Annotated[
        str | None, typer.Option(metavar="PART", help="Part to switch off, such as telemetry.")
    ] = None,
) -> None:
    """Write a tier's file, with its sources, as a start for a scenario of your own.

    Without a part it is written anew, and has no sources. One that extends another is written as a
    whole, under the comments of both.

    Example: edge-marl scenarios export campus mine.toml --without decline
    """
    from edge_marl.scenario import ablation, load_scenario
    from edge_marl.scenario.reading import read_layers
    from edge_marl.scenario.writing import as_toml

    layers = read_layers(name)
    text = layers.sources[0].text
    if without is not None:
        text = as_toml(ablation.without(load_scenario(name), without))
    elif len(layers.sources) > 1:
        text = as_toml(load_scenario(name), layers.comments)
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ScenarioError(f"{out}: is there already; give another name") from None
    except OSError as error:
        raise ScenarioError(f"{out}: cannot be written ({error.strerror})") from None
    typer.echo(f"{out}: change its name before you publish results")


def _facts(found: Scenario) -> list[tuple[str, ...]]:
    from edge_marl.scenario import load_scenario
    from edge_marl.scenario.ablation import parts_of
    from edge_marl.scenario.games import tier_of_game
    from edge_marl.scenario.generalisation import labels_of
    from edge_marl.workload.topology import offered_load

    newer = f"; there is a newer one, {load_scenario(found.name).label}" if found.superseded else ""
    (_, version), *rows, digest = found.as_table().rows
    rows.append(("utilisation", f"{offered_load(found):.2f} of capacity, if no task were lost"))
    if found.extended:
        rows.append(("parts", ", ".join(part.told(found) for part in parts_of(found))))
    if tier := tier_of_game(found):
        rows.append(("game of", f"{tier.label}, with its train, validation and test seeds"))
    if found.test_set_of:
        rows.append(("test set of", f"{found.test_set_of}: nothing is trained on it"))
    if labels := labels_of(found):
        rows.append(("test sets", ", ".join(labels.values())))
    return [("scenario", f"{found.label}, version {version}{newer}"), *rows, digest]


def _show_evidence(found: Scenario) -> None:
    from edge_marl.scenario.evidence import (
        by_utility,
        gap_told,
        learner_told,
        parts_told,
        read_evidence,
        references_of_game,
        rows_of_game,
        rows_without,
        with_interval,
    )

    evidence = read_evidence(found)
    if evidence is None:
        return
    per_task = evidence["bound_per_task"]
    bound = "" if per_task is None else f"; bound {per_task:.3f}"
    title = f"On its {evidence['workloads']} test workloads, with 95 % intervals{bound}:"
    results().print(f"\n{title}", highlight=False)
    agents, references = evidence["agents"], references_of_game(evidence)
    names = ("lost_fraction", "server_crash_rate", "on_time_rate")
    coordination = ("price", "herding", "gateway_fairness") if references else ()
    rows: list[tuple[str, ...]] = [
        ("agent", "utility per request", "score", "lost", "crashes", "on time")
        + (("price", "herding", "fairness") if references else ())
    ]
    for name, row in ({name: agents[name] for name in by_utility(agents)} | references).items():
        figures = (with_interval(row["utility_per_task"]), with_interval(row["score"]))
        shares = [*(row[name] for name in names), *(row[name][0] for name in coordination)]
        rows.append((name, *figures, *(f"{share:.3f}" for share in shares)))
    print_rows(rows)
    if in_slots := rows_of_game(evidence):
        results().print("\nGateways at once, on the event clock, in turn:", highlight=False)
        print_rows(in_slots)
        results().print(gap_told(evidence), highlight=False, markup=False)
    if "learner" in evidence:
        results().print(f"\nA learner: {learner_told(evidence['learner'])}", markup=False)
    if parts := rows_without(evidence):
        results().print(f"\n{parts_told(evidence)}", highlight=False)
        print_rows(parts)
