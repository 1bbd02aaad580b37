"""The commands `edge-marl agents` and `edge-marl suites`: what there is, by name."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from edge_marl.console import print_rows

__all__ = ["agents", "suites"]

agents = typer.Typer(help="Agents by name, and trained ones.", no_args_is_help=True)


@agents.command("list")
def list_agents(
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="Trained agents of the leaderboards instead.")
    ] = False,
) -> None:
    """List the registered agents, and the references of the game.

    Example: edge-marl agents list --pretrained
    """
    if pretrained:
        _list_pretrained()
    else:
        _list_registered()


@agents.command()
def fetch(
    agent: Annotated[str, typer.Argument(help="A learner; `agents list --pretrained` has them.")],
    scenario: Annotated[str, typer.Argument(help="What it was trained in.")],
    seed: Annotated[int, typer.Option(min=0, help="Of its training.")] = 0,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Bring it from there: a checkout of the repository, or its http(s) address.",
            show_default="what is here",
        ),
    ] = None,
) -> None:
    """Bring a trained agent here, checked; print its folder, for `evaluate --checkpoint`.

    Example: edge-marl agents fetch adsac paper
    """
    from edge_marl.agents import fetch_pretrained

    typer.echo(fetch_pretrained(agent, scenario, seed=seed, source=source))


def suites() -> None:
    """List the suites.

    Example: edge-marl suites
    """
    from edge_marl.benchmarks.suites import list_suites, load_suite

    print_rows([(name, load_suite(name).summary) for name in list_suites()])


def _list_registered() -> None:
    import inspect

    from edge_marl.agents import Trainer, names
    from edge_marl.agents.registry import find, references

    def summary(documented: Any) -> str:
        return (inspect.getdoc(documented) or "").partition("\n")[0]

    rows = []
    for name in names():
        kind = find(name)  # not made: some need a library that may be missing
        rows.append((name, "learns" if issubclass(kind, Trainer) else "heuristic", summary(kind)))
    rows += [(name, "reference", summary(kind)) for name, kind in references().items()]
    print_rows(rows)


def _list_pretrained() -> None:
    from edge_marl.agents.pretrained import pretrained

    rows = [("agent", "scenario", "score", "decisions", "seeds", "entry")]
    rows += [
        (
            *(one.agent, one.scenario, f"{one.score:.3f}", f"{one.budget:,}"),
            *(", ".join(map(str, one.seeds)), one.submission),
        )
        for one in pretrained()
    ]
    print_rows(rows)
