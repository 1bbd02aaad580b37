"""Many more random episodes than the suite's, kernel against oracle: run by hand before a release.

    python -m tests.oracle.long_run --episodes 20000 --seed 1000 --processes 2
    python -m tests.oracle.long_run --episodes 10000 --slotted  # games in slots alone

Ends with status 1 at the first difference, and prints the simplest episode that shows it. The suite
plays the seeds from 0 on.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from itertools import count
from typing import Annotated

import typer
from rich.console import Console

from tests.oracle.agreement import DRIVES

CHUNK = 100
"""Seeds that a process plays before it says so."""


def play_chunk(name: str, first: int) -> str:
    """Play a chunk of episodes; return what differs, or nothing."""
    for seed in range(first, first + CHUNK):
        try:
            DRIVES[name].check(seed)
        except AssertionError as error:
            return f"seed {seed}: {error}"
    return ""


def main(
    episodes: Annotated[int, typer.Option(help="least number of episodes")] = 20_000,
    seed: Annotated[int, typer.Option(help="of the first episode; the next ones follow")] = 1000,
    processes: Annotated[int, typer.Option(help="chunks at one time")] = 2,
    slotted: Annotated[bool, typer.Option("--slotted", help="games in slots only")] = False,
) -> None:
    """Compare kernel and oracle on random episodes, bit for bit."""
    drives = {name: drive for name, drive in DRIVES.items() if drive.recipe.slotted or not slotted}
    console = Console(markup=False, highlight=False)
    chunks: list[tuple[str, int]] = []
    planned = done = 0
    for first in count(seed, CHUNK):
        if planned >= episodes:
            break
        chunks += [(name, first) for name in drives]
        planned += CHUNK * sum(drive.recipe.rows for drive in drives.values())
    with ProcessPoolExecutor(processes) as pool:
        results = pool.map(play_chunk, *zip(*chunks, strict=True))
        for (name, first), differs in zip(chunks, results, strict=True):
            if differs:
                console.print(f"{name} differs, {differs}", soft_wrap=True)
                pool.shutdown(cancel_futures=True)
                raise typer.Exit(1)
            done += CHUNK * drives[name].recipe.rows
            console.print(f"{done} of {planned} episodes agree ({name}, seeds from {first})")


if __name__ == "__main__":
    typer.run(main)
