"""The blocks of `docs/findings.md`, by the names that the page calls them."""

from __future__ import annotations

from collections.abc import Callable

from edge_marl.leaderboards.findings import claims, learning, winners
from edge_marl.leaderboards.findings.sources import Sources

__all__ = ["BLOCKS"]

BLOCKS: dict[str, Callable[[Sources], str]] = {
    "tiers": winners.winners_of_tiers,
    "games": winners.winners_of_games,
    "coordination": winners.coordination,
    "telemetry": winners.telemetry,
    "planning": winners.planning,
    "parts of adsac": learning.parts_of_adsac,
    "credit": learning.credit,
    "networks": learning.networks,
    "budgets": learning.budgets,
    "efficiency": learning.efficiency,
    "claims": claims.of_the_study,
    "claims on boards": claims.on_the_boards,
    "generalisation": claims.generalisation,
}
