"""Settings per tier, where they are not the defaults of an agent's dataclass.

`presets.json` is written by `python -m edge_marl.benchmarks.study.search TIER --adopt` from trials
on train and validation workloads; it has those of `paper`, which every scenario of the base model
takes, and those of `campus@1`, which every other one takes.

`pairs.json` has what goes with `network=pairs`, found by hand on train and validation workloads of
`metro@1` and `paper`: it learns from fewer and larger batches.
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
    return _of_tier(PRESETS_FILE, agent, scenario)


def with_network(network: str, agent: str, scenario: Scenario) -> dict[str, Any]:
    """Return the settings of an agent that go with a network which is not its default."""
    return _of_tier(PAIRS_FILE, agent, scenario) if network == "pairs" else {}


def _of_tier(path: Path, agent: str, scenario: Scenario) -> dict[str, Any]:
    searched = "campus@1" if scenario.extended else "paper"
    settings: dict[str, Any] = _read(path)[searched].get(agent, {})
    return settings


@cache
def _read(path: Path) -> dict[str, dict[str, dict[str, Any]]]:
    presets: dict[str, dict[str, dict[str, Any]]] = json.loads(path.read_text("utf-8"))
    return presets
