"""A small tier with released test sets, in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_marl import tiers
from edge_marl.benchmarks.release.generalisation import release
from edge_marl.scenario import Scenario, load_scenario
from edge_marl.scenario.writing import as_toml


def town(name: str = "town", version: int = 1) -> Scenario:
    """`metro@1` with few servers, gateways and requests, and hot spots: with all that the rule asks
    for."""
    facts = load_scenario("metro@1").model_dump(mode="json", exclude_defaults=True)
    facts |= {"name": name, "version": version}
    facts["servers"] |= {"count": 10}
    facts["gateways"] |= {"count": 5, "neighbourhood": 5, "area_km": [10.0, 20.0]}
    facts["arrivals"] |= {"rate_per_s": 0.6, "horizon_s": 200.0}
    facts["arrivals"]["hot_spots"] = {"count": 1, "gateways": 2, "ratio": 4.0, "period_s": 60.0}
    return Scenario.model_validate(facts)


def release_in(folder: Path, patch: pytest.MonkeyPatch, *released: Scenario) -> None:
    """Let a folder be that of all tiers: `smoke`, and `released` with their test sets."""
    folder.mkdir(exist_ok=True)
    smoke = tiers.FOLDER.joinpath("smoke.toml").read_text("utf-8")
    (folder / "smoke.toml").write_text(smoke, "utf-8")
    patch.setattr(tiers, "FOLDER", folder)
    for tier in released:
        label = f"{tier.name}@{tier.version}"
        (folder / f"{label}.toml").write_text(as_toml(tier, "A town."), "utf-8")
        tiers._listed.cache_clear()  # a folder is read once, and this one changes
        release([label])
        tiers._listed.cache_clear()
