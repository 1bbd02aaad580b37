"""Random scenarios for the soak: parts on and off, sizes from one server to many, either clock.

They are scenarios that draw their own workloads, unlike those of `tests/worlds`: so that batches
start episode after episode by themselves.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from gymnasium.vector import AutoresetMode
from pydantic import ValidationError

from edge_marl import load_scenario
from edge_marl.errors import ScenarioError
from edge_marl.scenario import Scenario
from tests.worlds.every_part import CLASSES, FULL, OFF, PLAIN

__all__ = ["World", "draw_world"]

Choosing = Literal["legal", "any", "one server", "few"]
CHOOSING: tuple[Choosing, ...] = ("legal", "legal", "any", "one server", "few")
MODES = (*[AutoresetMode.SAME_STEP] * 4, AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED)
SECTIONS = ("network", "residency", "cloud", "outages", "telemetry", "energy")
"""Sections of the extended model that are left out in about two worlds of five."""
ATTEMPTS = 100
"""Draws for a scenario that is valid; most are."""


@dataclass(frozen=True)
class World:
    """What is played: a scenario, as a batch of rows or as a game of gateways."""

    scenario: Scenario
    rows: int
    mode: AutoresetMode
    game: bool
    choosing: Choosing
    """How actions are drawn: legal ones; any; those of one server, which crashes; a few."""

    def __str__(self) -> str:
        """Return it in a line, to be told beside a seed."""
        s = self.scenario
        clock = f"slots of {s.clock.slot_s:g} s" if s.clock.slot_s else "events"
        return (
            f"{s.num_servers} servers x {s.num_services}, {s.gateways.count} gateways, "
            f"{'extended' if s.extended else 'base'}, {clock}, {self.rows} rows, "
            f"{self.mode.value}, {'game' if self.game else 'single'}, {self.choosing} actions"
        )


def draw_world(seed: int) -> World:
    """Return the world of a seed."""
    dice = np.random.default_rng([seed, 0])
    for _ in range(ATTEMPTS):
        game = bool(dice.random() < 0.4)
        facts = _extended(dice) if dice.random() < 0.65 else _base(dice)
        try:
            scenario = Scenario.model_validate(facts)
            if game and dice.random() < 0.6:
                slot_s = float(dice.choice([0.003, 0.02, 0.1])) * scenario.arrivals.horizon_s
                scenario = scenario.with_clock(round(slot_s, 3), bool(dice.random() < 0.5))
                scenario = _with_sleep(np.random.default_rng([seed, 1]), scenario)
        except (ValidationError, ScenarioError):
            continue
        mode = MODES[dice.integers(len(MODES))]
        if game and mode == AutoresetMode.NEXT_STEP:  # the game has none
            mode = AutoresetMode.SAME_STEP
        choosing = CHOOSING[dice.integers(len(CHOOSING))]
        rows = int(dice.choice([16, 64, 128] if game else [64, 256, 512]))
        return World(scenario, rows, mode, game, choosing)
    raise AssertionError(f"seed {seed}: no valid scenario in {ATTEMPTS} draws")


def _with_sleep(dice: np.random.Generator, scenario: Scenario) -> Scenario:
    """The same game; in half of them gateways sleep, seldom to almost always."""
    if dice.random() < 0.5:
        return scenario
    horizon = scenario.arrivals.horizon_s
    awake, asleep = horizon * dice.choice([0.01, 0.1, 1.0], 2)
    return scenario.with_sleep(max(0.001, awake), max(0.001, asleep))


def _sizes(dice: np.random.Generator) -> tuple[int, int, int]:
    """Servers, gateways and requests of an episode: small ones most often."""
    servers = int(dice.choice([1, 2, 3, 5, 8, 12, 20, 40]))
    gateways = int(dice.choice([1, 1, 2, 3, 5, 8, 12]))
    return servers, gateways, int(dice.choice([5, 30, 100, 300, 1000, 3000, 3000, 6000]))


def _extended(dice: np.random.Generator) -> dict[str, Any]:
    """A scenario of the extended model: `FULL` with other sizes, and without some parts."""
    facts = deepcopy(FULL)
    servers, gateways, requests = _sizes(dice)
    services = int(dice.integers(1, 9))
    facts["servers"] |= {
        "count": servers,
        "models": [_model(dice, i) for i in range(services)],
        "hosted": int(dice.integers(services + 1)),
    }
    facts["tasks"] |= _tasks(dice)
    facts["gateways"] |= {
        "count": gateways,
        "neighbourhood": int(dice.integers(servers + 1)),
    }
    if dice.random() < 0.5:
        facts |= _terms(dice, services)
    if dice.random() < 0.3:
        facts["tasks"]["classes"] = CLASSES
    for section in SECTIONS:
        if dice.random() < 0.4:
            del facts[section]
    facts["arrivals"] = _arrivals(dice, facts, requests)
    facts["overload"] = _overload(dice) | {
        "restart_s": float(dice.choice([0, 1, 60])),
        "refund": bool(dice.random() < 0.7),
    }
    single = len(facts["tasks"].get("stages", [1])) == 1
    facts["episode"] = {"end": "last-task" if single and dice.random() < 0.3 else "horizon"}
    return facts


def _terms(dice: np.random.Generator, services: int) -> dict[str, Any]:
    """Lines, what runs beside, levels and saying no: each by chance."""
    growth = dice.choice([0.0, 0.2, 0.8, 1.0], services).tolist()
    parts = {
        "queue": {"limit": int(dice.choice([1, 2, 5, 20]))},
        "concurrency": {"growth": growth},
        "levels": {"shares": [[0.5, 1.0], [0.1, 0.4, 0.75, 1.0]][dice.integers(2)]},
        "decline": {"price": float(dice.choice([0.0, 0.05]))},
    }
    return {name: part for name, part in parts.items() if dice.random() < 0.6}


def _model(dice: np.random.Generator, number: int) -> dict[str, Any]:
    low, high = np.sort(dice.integers(0, 10, 2)) / 10
    return {
        "name": f"model-{number}",
        "slowdown": float(dice.choice([0.25, 0.5, 1.0, 2.5])),
        "memory_mib": int(dice.choice([0, 1000, 4000, 7999])),
        "quality": [float(low), float(high)],
    }


def _tasks(dice: np.random.Generator) -> dict[str, Any]:
    """Fields of `tasks` that change; those of parts that are off are the defaults."""
    types, demands = int(dice.integers(1, 5)), int(dice.integers(1, 5))
    fields: dict[str, Any] = {
        "types": types,
        "demand": np.sort(dice.choice(np.arange(1, 61), demands, replace=False)).tolist(),
        "demand_share": [],
        "run_time_minutes": [0.0, float(dice.choice([0.001, 0.01, 0.1])), 0.001],
        "stages": [[1.0], [1.0], [2.0, 1.0], [1.0, 1.0, 2.0]][dice.integers(4)],
        "deadline_s": [],
        "fail_share": float(dice.choice([0, 0.02, 0.3])),
    }
    if dice.random() < 0.6:
        fields["deadline_s"] = dice.choice([0.5, 10.0, 45.0, 600.0], types).tolist()
    if dice.random() < 0.4:
        fields |= {"upload_kb": [0, 0], "download_kb": [0, 0]}
    return fields


def _arrivals(dice: np.random.Generator, facts: dict[str, Any], requests: int) -> dict[str, Any]:
    """So many requests, over a time in which they make some load, from light to far too much."""
    tasks, devices = facts["tasks"], facts["servers"]["devices"]
    minutes = tasks["run_time_minutes"][1] * float(np.mean(tasks["demand"]))
    capacity = facts["servers"]["count"] * float(np.mean(devices[0]["capacity"]))
    work = requests * float(np.mean(tasks["demand"])) * 60 * minutes
    horizon = max(0.05, work / capacity / float(dice.choice([0.1, 0.5, 1.0, 2.5])))
    arrivals: dict[str, Any] = facts["arrivals"] | {
        "rate_per_s": requests / horizon,
        "horizon_s": horizon,
        "bursts": {"ratio": 10, "quiet_s": horizon / 6, "busy_s": horizon / 20},
        "day_s": horizon * 0.8,
        "hot_spots": {"count": 1, "gateways": 1, "ratio": 4, "period_s": horizon / 5},
    }
    if "telemetry" in facts:
        facts["telemetry"] = {"period_s": round(horizon / 50 + 0.001, 3)}
    if "outages" in facts:
        facts["outages"] = {"every_s": horizon * 2, "repair_s": horizon / 40}
    if dice.random() < 0.5:  # one Poisson process
        arrivals = {name: v for name, v in arrivals.items() if PLAIN.get(name) is not OFF}
    return arrivals


def _overload(dice: np.random.Generator) -> dict[str, Any]:
    return {
        "penalty": float(dice.choice([0, 0.7, 2.0])),
        "loss_sum": str(dice.choice(["by-service", "in-order"])),
    }


def _base(dice: np.random.Generator) -> dict[str, Any]:
    """A scenario of the base model: published worlds with other loads, or servers written out."""
    facts: dict[str, Any] = load_scenario("paper").model_dump(mode="json", exclude_defaults=True)
    servers, gateways, requests = _sizes(dice)
    rate = facts["arrivals"]["rate_per_s"] * float(dice.choice([0.5, 1.0, 3.0]))
    facts["arrivals"] |= {"rate_per_s": rate, "horizon_s": requests / rate}
    facts["gateways"] = {"count": gateways}
    facts["overload"] = _overload(dice)
    facts["episode"] = {"end": str(dice.choice(["last-task", "horizon"]))}
    if dice.random() < 0.5:
        facts["servers"] |= {"count": servers, "world": int(dice.integers(2**31))}
        return facts
    services, types = int(dice.integers(1, 6)), facts["tasks"]["types"]
    corners = np.sort(dice.uniform(0, 300, (servers, services, 4)), axis=-1) * [1, 0.003, 1, 0.003]
    corners[..., 2] += 1
    facts["servers"] = {
        "law": "given",
        "capacity": dice.integers(100, 1500, servers).tolist(),
        "baseline": dice.uniform(-1, 2, (servers, services, types)).tolist(),
        "curve": corners.tolist(),
    }
    return facts
