"""Fuzz the readers of files for as long as you like: by hand, and before a release.

    python -m tests.fuzz --minutes 60
    python -m tests.fuzz --entry workload --inputs 100000 --seed 7

Each entry reads changed files in a process of its own, which may take 10 s for a file and 1 GiB of
memory in all. Of each new way to break one, a file is made small and kept in `tests/fuzz/found/`,
where the suite reads it from then on. Ends with status 1 if there was any. For Linux.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import resource
import signal
import tempfile
import time
import warnings
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Annotated, Any

import torch
import typer
from rich.console import Console

from edge_marl.files import CACHE_VARIABLE
from tests.fuzz.entries import ENTRIES, FOUND
from tests.fuzz.property import Entry, Fault, check
from tests.fuzz.smaller import smaller

MOST_S = 10.0
"""Time for one file."""
MOST_MEMORY = 2**30
"""Bytes that a process may take beyond what it starts with."""
TURN_S = 10.0
"""Time for an entry before it is the next one's turn."""
FORK = multiprocessing.get_context("fork")


@dataclass
class Tally:
    """What became of an entry's files."""

    inputs: int = 0
    accepted: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


def read_files(
    entry: Entry, seed: int, numbers: range, known: set[str], counts: Any, say: Connection
) -> None:
    """Read changed files, in a process of its own and in the folder that it is in.

    Args:
        entry: the reader.
        seed: of all files.
        numbers: of the files.
        known: kinds of faults of which a file is kept already.
        counts: (2,) files begun, and accepted; shared.
        say: hears of each fault its kind, what was said, and a small file if the kind is new.
    """
    limit_memory()
    until = time.monotonic() + TURN_S
    for number in numbers:
        if time.monotonic() > until:
            break
        content = entry.draw(Random(f"{entry.name} {seed} {number}"))
        counts[0] += 1
        kind, said = attempt(entry, content)
        counts[1] += kind == "accepted"
        if kind in ("accepted", "refused"):
            continue
        kept = None
        if kind not in known:
            known.add(kind)
            kept = content
            if not kind.startswith("RecursionError"):  # elsewhere it takes more to be too deep
                kept = smaller(content, partial(fails_as, entry, kind))
        say.send((kind, said, kept))


def fails_as(entry: Entry, kind: str, content: bytes) -> bool:
    """Whether a file is a fault of a kind."""
    return attempt(entry, content)[0] == kind


def attempt(entry: Entry, content: bytes) -> tuple[str, str]:
    """Read a file; return `accepted`, `refused` or the kind of a fault, and what was said of it."""
    signal.setitimer(signal.ITIMER_REAL, MOST_S)  # nobody hears it: it ends the process
    try:
        return ("accepted" if check(entry, Path.cwd(), content) else "refused"), ""
    except Fault as fault:
        return fault.kind, str(fault)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def limit_memory() -> None:
    """Have the system refuse this process more memory than a reader may take."""
    status = Path("/proc/self/status").read_text("utf-8").splitlines()
    now = next(int(line.split()[1]) << 10 for line in status if line.startswith("VmData"))
    resource.setrlimit(resource.RLIMIT_DATA, (now + MOST_MEMORY, resource.RLIM_INFINITY))


def take_turn(entry: Entry, seed: int, last: int, tally: Tally, console: Console) -> None:
    """Have a process read the next files of an entry, and keep those of new faults."""
    began = time.monotonic()
    numbers = range(tally.inputs, last)
    counts = FORK.RawArray("q", 2)
    hear, say = FORK.Pipe(duplex=False)
    process = FORK.Process(
        target=read_files, args=(entry, seed, numbers, set(tally.faults), counts, say)
    )
    process.start()
    say.close()
    try:
        while True:
            keep(entry, tally, console, *hear.recv())
    except EOFError:
        process.join()
    tally.inputs += counts[0]
    tally.accepted += counts[1]
    tally.seconds += time.monotonic() - began
    if code := process.exitcode:
        name = signal.Signals(-code).name if code < 0 else f"status {code}"
        kind = f"took over {MOST_S:g} s" if name == "SIGALRM" else f"ended by {name}"
        content = Path(entry.file).read_bytes()  # the last that it read
        keep(entry, tally, console, kind, kind, None if kind in tally.faults else content)


def keep(
    entry: Entry, tally: Tally, console: Console, kind: str, said: str, content: bytes | None
) -> None:
    """Count a fault, and keep the file of a new one."""
    tally.faults[kind] += 1
    if content is None:
        return
    path = FOUND / entry.name / hashlib.sha256(content).hexdigest()[:12]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    place = path.relative_to(FOUND.parents[2])
    console.print(f"{entry.name}: {said}: kept as {place} ({len(content)} bytes)", soft_wrap=True)


def tell(tallies: dict[str, Tally], console: Console) -> None:
    """Print a line per entry."""
    console.print(
        f"{'entry':18}{'inputs':>9}{'accepted':>10}{'refused':>9}{'faults':>8}{'per s':>8}"
    )
    for name, tally in tallies.items():
        faults = tally.faults.total()
        refused = tally.inputs - tally.accepted - faults
        speed = tally.inputs / max(tally.seconds, 1e-9)
        console.print(
            f"{name:18}{tally.inputs:9}{tally.accepted:10}{refused:9}{faults:8}{speed:8.0f}"
        )
    console.print(f"{'all':18}{sum(tally.inputs for tally in tallies.values()):9}")


def main(
    minutes: Annotated[float, typer.Option(help="stop after these")] = 60.0,
    inputs: Annotated[int, typer.Option(help="stop after these, of each entry")] = 10**9,
    entry: Annotated[list[str] | None, typer.Option(help="only this one; repeatable")] = None,
    seed: Annotated[int, typer.Option(help="of all files")] = 0,
) -> None:
    """Fuzz the readers of files."""
    console = Console(markup=False, highlight=False)
    until = time.monotonic() + 60 * minutes
    if unknown := set(entry or ()) - ENTRIES.keys():
        raise typer.BadParameter(f"{min(unknown)}: the entries are {', '.join(ENTRIES)}")
    chosen = [ENTRIES[name] for name in entry or ENTRIES]
    tallies = {one.name: Tally() for one in chosen}
    warnings.simplefilter("ignore")  # the suite makes errors of them
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as work:
        os.environ[CACHE_VARIABLE] = f"{work}/cache"
        tempfile.tempdir = work
        for one in chosen:
            Path(work, one.name).mkdir()
            os.chdir(Path(work, one.name))
            assert all(check(one, Path.cwd(), content) for content in one.seeds()), one.name
        with suppress(KeyboardInterrupt):
            while time.monotonic() < until and any(t.inputs < inputs for t in tallies.values()):
                for one in chosen:
                    if tallies[one.name].inputs < inputs and time.monotonic() < until:
                        os.chdir(Path(work, one.name))
                        take_turn(one, seed, inputs, tallies[one.name], console)
        os.chdir(FOUND.parent)
    tell(tallies, console)
    raise typer.Exit(any(tally.faults for tally in tallies.values()))


if __name__ == "__main__":
    typer.run(main)
