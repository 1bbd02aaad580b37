"""Soak the simulator: random worlds, one after another, against what must hold, for hours.

    python -m tests.soak --decisions 100_000_000

Each seed makes a world (`worlds.py`), which is played as a batch or as a game with automatic resets
(`play.py`) and checked on the way (`invariants.py`); rows of it are played again, in a batch of few
and alone. What was found is added to a file after every world, so that a run that is cut short goes
on where it was; a file of other sources is begun anew. Ends with status 1 at the first failure;
`--only SEED` plays that world again. For Linux, where it also watches the memory of the process.
"""

from __future__ import annotations

import ctypes
import gc
import hashlib
import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

import edge_marl
from tests.soak.play import Played, play
from tests.soak.worlds import World, draw_world

FOUND = Path(__file__).with_name("found.json")
"""What the last long run found."""
PER_WORLD = 500_000
"""Decisions of a world."""
WARM_UP = 20
"""Worlds of a process after which its memory is to stay as it is."""
SOURCES = ("arrays", "draw", "envs", "kernel", "layout", "scenario", "simulator", "workload")
"""What a result is a result of."""


def engine() -> str:
    """Return a digest of the sources that are soaked, and of what soaks them."""
    root = Path(edge_marl.__file__).parent
    paths = [
        path for name in SOURCES for path in (*root.glob(f"{name}.py"), *root.glob(f"{name}/*.py"))
    ]
    paths += Path(__file__).parent.glob("*.py")
    sha = hashlib.sha256()
    for path in sorted(paths):
        sha.update(path.read_bytes())
    return sha.hexdigest()[:16]


def memory_mib() -> float:
    """Return the memory of this process once all that is free has gone back to the system."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    status = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


class Tally:
    """What was found so far, kept in a file.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        begun: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
        self.facts: dict[str, Any] = {
            "command": "python -m tests.soak",
            "engine": engine(),
            "worlds": 0,
            "extended": 0,
            "games": 0,
            "decisions": 0,
            "episodes": 0,
            "checks": 0,
            "replayed": 0,
            "cpu_s": 0.0,
            "memory_growth_mib": 0.0,
            "memory_most_mib": 0.0,
        }
        if begun.get("engine") == self.facts["engine"]:
            self.facts = begun
        self._memory: list[float] = []

    def add(self, world: World, played: Played, cpu_s: float) -> None:
        """Count a world, and write the file."""
        facts = self.facts
        facts["worlds"] += 1
        facts["extended"] += world.scenario.extended
        facts["games"] += world.game
        for name in ("decisions", "episodes", "checks", "replayed"):
            facts[name] += getattr(played, name)
        facts["cpu_s"] = round(facts["cpu_s"] + cpu_s, 1)
        self._memory.append(memory_mib())
        facts["memory_most_mib"] = max(facts["memory_most_mib"], round(self._memory[-1], 1))
        grown = max(self._memory[WARM_UP:], default=0.0) - max(self._memory[:WARM_UP])
        facts["memory_growth_mib"] = max(facts["memory_growth_mib"], round(grown, 1))
        self._path.write_text(json.dumps(facts, indent=1) + "\n", "utf-8")


def main(
    decisions: Annotated[str, typer.Option(help="at least so many, those in the file included")] = (
        "100_000_000"
    ),
    out: Annotated[Path, typer.Option(help="file that is added to")] = FOUND,
    only: Annotated[int | None, typer.Option(help="play this world, and nothing else")] = None,
) -> None:
    """Play random worlds against the invariants."""
    console = Console(markup=False, highlight=False)
    if only is not None:
        console.print(f"{draw_world(only)}\n{play(draw_world(only), only, PER_WORLD)}")
        return
    tally, wanted = Tally(out), int(decisions)
    while tally.facts["decisions"] < wanted:
        seed = int(tally.facts["worlds"])
        world, start = draw_world(seed), time.process_time()
        try:
            played = play(world, seed, PER_WORLD)
        except AssertionError as error:
            console.print(f"seed {seed}: {error}: {world}", soft_wrap=True)
            raise typer.Exit(1) from error
        tally.add(world, played, time.process_time() - start)
        console.print(f"{tally.facts['decisions']:,} decisions ({seed}: {world})", soft_wrap=True)
    console.print(json.dumps(tally.facts, indent=1))


if __name__ == "__main__":
    typer.run(main)
