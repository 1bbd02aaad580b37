"""Kill runners at random moments, start them again, and see that nothing is lost or done twice.

    python benchmarks/measure/kill_test.py --rounds 50 --runners 2

Each round is a run of heuristics on `smoke` in a folder of its own, by several runners at once.
Now and then one of them gets SIGKILL and is started anew with the same command, until the round has
had its kills. At its end:

* every job has a record, and the tables are those of a run that nobody disturbed, byte for byte
  (`comparison.py` says how clocks are kept out);
* a record that was there at a kill is the same file, untouched, at the end: nothing is done twice;
* a job was begun once, and once more for each runner that was killed while it was at it;
* nothing else is left: no lock, no half-written file, nothing set aside, no failure.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from edge_marl.benchmarks.measure.without_clock import tables_without_clock
from edge_marl.benchmarks.records.records import read_plan, read_record
from edge_marl.console import results, run_command

__all__ = ["Tally", "kill_test"]

REPORTS = {"table.md", "table.csv", "report.json", "report.html"}
LEFT = {"run.json", "cells", "locks", *REPORTS}
AGENTS = "random,round-robin,crash-avoid,prophet"


@dataclass
class Tally:
    """What happened in all rounds."""

    rounds: int = 0
    kills: int = 0
    jobs: int = 0
    begun: int = 0
    cut: int = 0
    """Jobs that were running when their runner was killed."""
    wrong: list[str] = field(default_factory=list)


def kill_test(
    rounds: int, runners: int, kills: int, seed: int, say: bool = True, agents: str = AGENTS
) -> Tally:
    """Do the rounds and return what happened; `wrong` is empty if all is well.

    Args:
        rounds: runs that are disturbed.
        runners: processes on each run's folder.
        kills: SIGKILLs per round.
        seed: of the moments and the victims.
        say: print a line per round.
        agents: whose cells each run has.
    """
    moments, tally = random.Random(seed), Tally()
    with tempfile.TemporaryDirectory() as place:
        start = time.monotonic()
        calm = _Round(Path(place) / "calm", agents)
        calm.finish([calm.start()])
        length = time.monotonic() - start
        expected = tables_without_clock(calm.out)
        for number in range(rounds):
            this = _Round(Path(place) / f"round{number}", agents)
            this.disturb(runners, kills, length, moments)
            this.count(expected, tally)
            if say:
                shown = f"round {number + 1}: {tally.kills} kills, {tally.cut} jobs cut"
                results().print(f"{shown}, {len(tally.wrong)} things wrong so far")
    return tally


class _Round:
    """One run, its runners' logs of events, and the records that were there at each kill."""

    def __init__(self, folder: Path, agents: str) -> None:
        self.out = folder / "run"
        self._folder, self._agents = folder, agents
        self._logs: list[Path] = []
        self._killed: set[Path] = set()
        self._seen: dict[str, tuple[int, int]] = {}
        self._wrong: list[str] = []
        folder.mkdir()

    def start(self) -> tuple[subprocess.Popen[bytes], Path]:
        """Start a runner; its events go to a file, which it does not take with it."""
        log = self._folder / f"events{len(self._logs)}"
        self._logs.append(log)
        command = [sys.executable, "-m", "edge_marl", "run", "--json", "--agents", self._agents]
        command += ["--scenario", "smoke", "--seeds", "2", "--episodes", "2"]
        command += ["--jobs", "1", "--out", str(self.out)]
        with log.open("wb") as events, log.with_suffix(".err").open("wb") as noise:
            return subprocess.Popen(command, stdout=events, stderr=noise), log

    def disturb(self, runners: int, kills: int, length: float, moments: random.Random) -> None:
        """Run to the end, with runners that are killed on the way."""
        running = [self.start() for _ in range(runners)]
        for _ in range(kills):
            time.sleep(moments.uniform(0.0, 1.2 * length / (kills + 1)))
            victim = moments.randrange(runners)
            process, log = running[victim]
            if process.poll() is None:
                process.kill()
                process.wait()
                self._killed.add(log)
                self._seen |= self._records()
                running[victim] = self.start()
        self.finish(running)

    def finish(self, running: list[tuple[subprocess.Popen[bytes], Path]]) -> None:
        """Wait for the runners."""
        for process, log in running:
            if process.wait() != 0:
                said = log.with_suffix(".err").read_text("utf-8")[-500:]
                self._wrong.append(f"a runner ended with {process.returncode}: {said}")

    def count(self, expected: list[bytes], tally: Tally) -> None:
        """Add to the tally what the round has left."""
        begun, ended = self._begun_and_ended()
        jobs = read_plan(self.out).jobs()
        for job in jobs:
            key, label = job.key, job.label
            record = read_record(self.out, job)
            if record is None or record.failure is not None:
                self._wrong.append(f"{label}: lost ({record and record.failure})")
            if ended[key] > 1:
                self._wrong.append(f"{label}: done {ended[key]} times")
            if begun[key] == 0:
                self._wrong.append(f"{label}: there is a record, and nobody began it")
        cut = sum(begun.values()) - sum(ended.values())
        if cut > len(self._killed):  # each does one job at a time
            self._wrong.append(f"{cut} jobs were cut by {len(self._killed)} kills")
        now = self._records()
        again = [name for name, stamp in self._seen.items() if now.get(name) != stamp]
        self._wrong += [f"{name}: written again" for name in again]
        self._wrong += [f"{path}: left behind" for path in self._leftovers()]
        if len(now) != len(jobs):
            self._wrong.append(f"{len(now)} records of {len(jobs)} jobs")
        if tables_without_clock(self.out) != expected:
            self._wrong.append(f"{self.out}: the tables differ")
        tally.rounds += 1
        tally.kills += len(self._killed)
        tally.jobs += len(jobs)
        tally.begun += sum(begun.values())
        tally.cut += cut
        tally.wrong += self._wrong

    def _begun_and_ended(self) -> tuple[Counter[str], Counter[str]]:
        """Count by job how often a runner began it, and how often it also came to its end."""
        begun: Counter[str] = Counter()
        ended: Counter[str] = Counter()
        for log in self._logs:
            own = set()
            # The last line of a killed runner may be half a line: then it did not happen.
            whole = log.read_text("utf-8").rpartition("\n")[0].splitlines()
            for event in map(json.loads, whole):
                if event["event"] == "begin":
                    own.add(event["key"])
                    begun[event["key"]] += 1
                elif event["event"] == "end" and event["key"] in own:  # else another's
                    ended[event["key"]] += 1
                elif event["event"] == "message":
                    self._wrong.append(event["text"])
        return begun, ended

    def _records(self) -> dict[str, tuple[int, int]]:
        """Return the records' files by name: which file it is, and when it was written."""
        found = (self.out / "cells").glob("[!.]*.json")
        stats = {path.name: path.stat() for path in found}
        return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats.items()}

    def _leftovers(self) -> list[Path]:
        found = [path for path in self.out.iterdir() if path.name not in LEFT]
        found += (self.out / "locks").iterdir()
        return found + [p for p in (self.out / "cells").iterdir() if p.suffix != ".json"]


def command(
    rounds: Annotated[int, typer.Option(min=1, help="Runs that are disturbed.")] = 50,
    runners: Annotated[int, typer.Option(min=1, help="Runners on each run's folder.")] = 2,
    kills: Annotated[int, typer.Option(min=1, help="SIGKILLs per round.")] = 3,
    seed: Annotated[int, typer.Option(help="Of the moments and the victims.")] = 0,
) -> None:
    """Kill runners at random moments, and see that nothing is lost or done twice."""
    tally = kill_test(rounds, runners, kills, seed)
    results().print(
        f"{tally.rounds} rounds, {tally.kills} runners killed: {tally.jobs} jobs in all, begun "
        f"{tally.begun} times, of which {tally.cut} were cut; {len(tally.wrong)} things wrong"
    )
    for wrong in tally.wrong:
        results().print(wrong, markup=False, highlight=False)
    if tally.wrong:
        raise typer.Exit(1)


if __name__ == "__main__":
    run_command(command)
