"""Settings per tier, where they are not the defaults of an agent's dataclass.

`presets.json` is written by `python -m edge_marl.benchmarks.study.search TIER --adopt` from trials
on train and validation workloads; it has those of `paper`, which every scenario of the base model
takes, and those of `campus`, which every other one takes.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from edge_marl.scenario import Scenario

__all__ = ["PRESETS_FILE", "preset"]

PRESETS_FILE = Path(__file__).with_name("presets.json")


def preset(agent: str, scenario: Scenario) -> dict[str, Any]:
    """Return the settings of an agent that a scenario replaces the defaults with."""
    settings: dict[str, Any] = _read()["campus" if scenario.extended else "paper"].get(agent, {})
    return settings


@cache
def _read() -> dict[str, dict[str, dict[str, Any]]]:
    presets: dict[str, dict[str, dict[str, Any]]] = json.loads(PRESETS_FILE.read_text("utf-8"))
    return presets
