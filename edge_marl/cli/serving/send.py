"""The command `edge-marl send`: requests to a gateway, or to several, as a scenario has them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from edge_marl.console import print_rows, problems

if TYPE_CHECKING:
    from edge_marl.scenario import Scenario
    from edge_marl.serving.client import Answer, Wanted

__all__ = ["send"]

DRAWN = 500


def send(
    urls: Annotated[
        list[str],
        typer.Argument(
            help="Of a gateway that gets all, such as http://127.0.0.1:8080, or of each one.",
            metavar="URL...",
        ),
    ],
    scenario: Annotated[str, typer.Option(help="A tier, or the path of a .toml file.")],
    requests: Annotated[
        int | None,
        typer.Option(
            min=1, max=100_000, help="How many.", show_default=f"{DRAWN}, or all of a workload"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="That they are drawn from.")] = 0,
    workload: Annotated[
        Path | None,
        typer.Option(help="Instead: a workload's file (.npz), such as `data served` makes."),
    ] = None,
    start_s: Annotated[
        float, typer.Option(min=0, max=1e6, help="To wait for gateways that do not serve yet.")
    ] = 60.0,
    answer_s: Annotated[
        float, typer.Option(min=0.001, max=1e6, help="To wait for an answer.")
    ] = 300.0,
) -> None:
    """Send requests to gateways, each at its time, and tell what came of them.

    They are drawn from a scenario, whose gateways' own requests go to the URL of each. None waits
    for those before it, as in the simulator.

    Example: edge-marl send http://127.0.0.1:8080 --scenario three.toml
    """
    from itertools import islice

    from edge_marl.scenario import load_scenario
    from edge_marl.serving import check_installed
    from edge_marl.serving.client import drawn_requests, table_of, wanted_of
    from edge_marl.workload import load_workload

    check_installed()
    world_of = load_scenario(scenario)
    _check_urls(urls, world_of)
    if workload is None:
        wanted = drawn_requests(world_of, seed, requests or DRAWN)
    else:
        given = load_workload(workload)
        given.check_fits(world_of)
        wanted = list(islice(wanted_of(given, world_of), requests))
    answers = asyncio.run(_sent([url.rstrip("/") for url in urls], wanted, start_s, answer_s))
    table = table_of(answers)
    typer.echo(table.title)
    print_rows(table.rows)


def _check_urls(urls: list[str], scenario: Scenario) -> None:
    """Raise ServingError unless there is one URL, or one for each gateway."""
    from edge_marl.errors import ServingError

    for url in urls:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/"):
            raise ServingError(f"'{url}': state it as http://HOST:PORT")
    count = scenario.gateways.count
    if len(urls) not in (1, count):
        raise ServingError(
            f"{len(urls)} URLs: scenario '{scenario.label}' has gateways 0 to {count - 1}; give "
            "one URL for each, in their order, or one that gets all requests"
        )


async def _sent(
    urls: list[str], wanted: list[Wanted], start_s: float, answer_s: float
) -> list[Answer]:
    """Send requests; a bar tells how many are over."""
    from rich.progress import Progress

    from edge_marl.serving.client import calling

    with Progress(console=problems(), transient=True) as progress:
        bar = progress.add_task("requests", total=len(wanted))
        async with calling(urls, answer_s) as client:
            await client.until_well(start_s)
            return await client.ask_all(wanted, lambda: progress.advance(bar))
