"""The command `edge-marl doctor`: what is here and what is not, and whether numbers are right."""

from __future__ import annotations

import math
import os
import re
import webbrowser
from collections.abc import Iterator
from importlib import metadata

import typer

from edge_marl.console import FAILED, print_rows, problems

__all__ = ["doctor"]

NOT_FOR_USERS = {"dev", "docs", "release", "rllib"}
"""Extras of those who work on edge-marl, and one that has an environment of its own."""

PLAYED = {"smoke": "prophet", "smoke-game": "hashed"}
"""Worlds that are played to see whether numbers are right, and by whom."""

SAME = 1e-12
"""Relative difference of two sums of the same numbers in another order."""

Row = tuple[str, str]


def doctor() -> None:
    """Show versions, extras, threads, folders and what else there is, and check the simulator.

    The check plays two hundred episodes, and compares what they sum up to with what was released.
    It takes seconds, and some twenty more where the simulator is not compiled yet.

    Example: edge-marl doctor
    """
    print_rows([row for part in (_packages, _machine, _folders, _programs) for row in part()])
    said = {}
    for scenario, agent in PLAYED.items():
        with problems().status(f"playing {scenario}"):
            said[scenario] = _problem_of(scenario, agent)
    print_rows([(f"plays {name}", text or "yes, as released") for name, text in said.items()])
    if any(said.values()):
        raise typer.Exit(FAILED)


def _packages() -> Iterator[Row]:
    """Versions, and what each extra lacks, as the installed package states them."""
    from edge_marl.benchmarks.records.provenance import Meter

    yield from Meter(1).read().versions.items()
    lacks: dict[str, list[str]] = {}
    for needed in metadata.requires("edge-marl") or []:
        package, extra = re.match(r"[\w.-]+", needed), re.search(r"extra == ['\"](\w+)", needed)
        if package is None or extra is None or extra[1] in NOT_FOR_USERS:
            continue
        missing = lacks.setdefault(extra[1], [])
        try:
            metadata.version(package[0])
        except metadata.PackageNotFoundError:
            missing.append(package[0])
    for name, missing in sorted(lacks.items()):
        fix = f"without {', '.join(missing)}: pip install 'edge-marl[{name}]'"
        yield f"extra {name}", fix if missing else "installed"


def _machine() -> Iterator[Row]:
    import numba
    import torch

    from edge_marl.benchmarks.records.provenance import Meter

    has = Meter(1).read().hardware
    memory = "" if has.memory_gb is None else f", {has.memory_gb:g} GB of memory"
    yield "machine", f"{has.system}, {has.cpu}{memory}"
    yield "cores to use", str(has.cores)
    # Numba's own count would start its threads, which changes torch's.
    numbas, torchs = numba.config.NUMBA_NUM_THREADS, torch.get_num_threads()
    yield "threads", f"at most {numbas} of Numba, {torchs} of torch"
    yield "accelerator", ", ".join(has.gpus) or "none, and none is needed"


def _folders() -> Iterator[Row]:
    from edge_marl.data import copies
    from edge_marl.data.dataset import datasets
    from edge_marl.files import CACHE_VARIABLE, cache_folder
    from edge_marl.simulator.compiled import STEPS_AT

    compiled = next(iter(STEPS_AT.values())).stats.cache_path
    yield "compiled code", compiled or "not kept: set NUMBA_CACHE_DIR to a folder to write to"
    folder = cache_folder()
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    fix = f", NOT WRITABLE: name another folder in {CACHE_VARIABLE}"
    yield "cache", f"{folder}{'' if os.access(there, os.W_OK) else fix}"
    here = [name for name in datasets() if copies.is_here(name)]
    yield "recorded data", ", ".join(here) or "none: edge-marl data list has what there is"


def _programs() -> Iterator[Row]:
    from edge_marl.errors import SubmissionError
    from edge_marl.leaderboards.policies.sandbox import usable_sandbox

    try:
        yield "sandbox", usable_sandbox("bwrap")
    except SubmissionError as error:
        yield "sandbox", str(error).removeprefix("sandbox ")
    try:
        yield "browser", webbrowser.get().name
    except webbrowser.Error:
        yield "browser", "none: look at pages (report.html) on another machine"


def _problem_of(scenario: str, agent: str) -> str | None:
    """Return what is wrong with what an agent gets, or None if that is what was released."""
    from edge_marl.agents.play import play
    from edge_marl.benchmarks.calls import find_agent
    from edge_marl.benchmarks.run.evaluation import draw_test_workloads
    from edge_marl.scenario.evidence import read_evidence

    world, player = find_agent(agent, scenario)
    released = read_evidence(world)
    if released is None:
        return f"NO: '{scenario}' has the digest {world.digest}, not that of its release"
    played = play(
        player, world, draw_test_workloads(world, released["workloads"]), 0, api=world.api
    )
    found = math.fsum(episode["utility"] for episode in played.metrics)
    expected = released["agents"][agent]["utility"]
    if math.isclose(found, expected, rel_tol=SAME):
        return None
    return f"NO: {agent} gets a utility of {found}, and got {expected} when it was released"
