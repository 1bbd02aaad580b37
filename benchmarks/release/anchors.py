"""Compute the anchors of a tier's test workloads, which are shipped with the package.

    python -m edge_marl.benchmarks.release.anchors --scenario paper

A maintainer's tool, run when a tier is released or `VERSION` of `edge_marl.bound.anchor_pairs` is
raised. Each workload's pair goes into the cache first, so that a run that was stopped goes on where
it was.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track

from edge_marl import tiers
from edge_marl.bound.anchor_pairs import VERSION, cached_pair, shipped_name
from edge_marl.console import problems, results, run_command
from edge_marl.draw import draw_workload
from edge_marl.errors import RecordError
from edge_marl.files import write_file
from edge_marl.scenario import Scenario, load_scenario
from edge_marl.workload.parts import PUBLIC_SEEDS

__all__ = ["main", "make_anchors"]


def make_anchors(
    scenario: Annotated[str, typer.Option(help="A tier's name.")] = "paper",
    world: Annotated[int | None, typer.Option(min=0, help="World of the tier.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to.", show_default="the package's")
    ] = None,
    cache_dir: Annotated[
        Path | None, typer.Option(help="Folder of the cache.", show_default="the user's")
    ] = None,
) -> None:
    """Compute random return and upper bound of a tier's test workloads; write one JSON file."""
    loaded = load_scenario(scenario, world=world)
    folder = out or Path(str(tiers.FOLDER)) / "anchors"
    path = folder / shipped_name(loaded)
    write_file(path, _content(loaded, cache_dir), RecordError)
    results().print(f"{path}: {PUBLIC_SEEDS} workloads", markup=False, soft_wrap=True)


def _content(scenario: Scenario, cache_dir: Path | None) -> str:
    """One line per workload: its digest, its random return and its bound."""
    lines = []
    for seed in track(range(PUBLIC_SEEDS), scenario.label, console=problems()):
        workload = draw_workload(scenario, seed, split="test")
        pair = cached_pair(scenario, workload, cache_dir)
        lines.append(f'  "{workload.digest}": {json.dumps(pair)}')
    head = f'{{"scenario": "{scenario.digest}", "version": {VERSION}, "workloads": {{\n'
    return head + ",\n".join(lines) + "\n}}\n"


def main() -> None:
    """Run the command on this process's arguments."""
    run_command(make_anchors)


if __name__ == "__main__":
    main()
