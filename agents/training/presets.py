"""Settings per tier, where they are not the defaults of an agent's dataclass.

`presets.json` is written by `python -m edge_marl.benchmarks.study.search TIER --adopt` from trials
on train and validation workloads; it has those of `paper`, which every scenario of the base model
takes, and those of `campus@1`, which every other one takes.

`pairs.json` has what goes with `network=pairs`, found by hand on train and validation workloads of
`metro@1`, `paper` and, for worlds with lines, `campus@2` where they are seen as they are and
`metro@2` where they are seen late. It learns from fewer and larger batches, and with lines in few
environments: in 256 a training of 300,000 decisions sees no second half of an episode. Where lines
are seen as they are, what a decision costs those after it decides, a hundred decisions later. Where
they are seen late gateways are many, and `ippo` learns from their own rewards.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from edge_marl.scenario import Scenario

__all__ = ["PRESETS_FILE", "preset", "with_network"]

PRESETS_FILE = Path(__file__).with_name("presets.json")
PAIRS_FILE = Path(__file__).with_name("pairs.json")


def preset(agent: str, scenario: Scenario) -> dict[str, Any]:
    """Return the settings of an agent that a scenario replaces the defaults with."""
    return _first(PRESETS_FILE, agent, "campus@1" if scenario.extended else "paper")


def with_network(network: str, agent: str, scenario: Scenario) -> dict[str, Any]:
    """Return the settings of an agent that go with a network which is not its default."""
    if network != "pairs":
        return {}
    if scenario.queue:
        like = "metro@2" if scenario.telemetry.period_s else "campus@2"
        return _first(PAIRS_FILE, agent, like, "campus@1")
    return _first(PAIRS_FILE, agent, "campus@1" if scenario.extended else "paper")


def _first(path: Path, agent: str, *tiers: str) -> dict[str, Any]:
    """Return an agent's settings on the first of some tiers that it has any on."""
    presets = _read(path)
    found = (presets[tier][agent] for tier in tiers if agent in presets[tier])
    return next(found, {})


@cache
def _read(path: Path) -> dict[str, dict[str, dict[str, Any]]]:
    presets: dict[str, dict[str, dict[str, Any]]] = json.loads(path.read_text("utf-8"))
    return presets
