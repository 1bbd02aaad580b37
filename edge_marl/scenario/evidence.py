"""What heuristics reach on the released tiers: written by `benchmarks.release`, and shipped."""

from __future__ import annotations

import json
from typing import Any

from edge_marl import tiers
from edge_marl.scenario.scenario import Scenario

__all__ = ["read_evidence"]


def read_evidence(scenario: Scenario) -> dict[str, Any] | None:
    """Return the evidence that is shipped with a tier; None if there is none of this digest."""
    file = tiers.FOLDER.joinpath("evidence", f"{scenario.release}.json")
    if not file.is_file():
        return None
    evidence: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return evidence if evidence["scenario"] == scenario.digest else None
