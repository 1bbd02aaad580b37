"""What findings are made of: boards, the evidence that ships with worlds, and the study's runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from edge_marl.benchmarks.report.intervals import Estimate
from edge_marl.benchmarks.report.stats import MIN_RUNS
from edge_marl.benchmarks.study.keep import Line
from edge_marl.leaderboards.boards.board import Board
from edge_marl.leaderboards.boards.standings import Standing, best_of, standings
from edge_marl.scenario.evidence import NONE, read_evidence

__all__ = [
    "OR",
    "Sources",
    "World",
    "listed",
    "not_measured",
    "shown",
    "table",
    "told",
]

OR = ("bid-price", "adp", "rollout")
"""Operations research. `adp` is trained, by fitting prices, and a learner to its board: here, where
learning by trial is held against it, it is none."""
OWN = ("adsac", "iadsac")
"""The ADSAC paper's agent: with one orchestrator, and as every gateway of a game."""


@dataclass(frozen=True, eq=False)
class World:
    """A tier or game, and what is known of it."""

    board: Board
    evidence: dict[str, Any] | None
    found: list[Standing]
    """The best first."""

    @property
    def name(self) -> str:
        """Label of its release."""
        return self.board.scenario.label

    @property
    def is_game(self) -> bool:
        """Whether gateways decide at once."""
        return self.board.is_game

    @property
    def bound(self) -> float | None:
        """Utility per request that no policy passes."""
        return self.evidence["bound_per_task"] if self.evidence else None

    @property
    def heuristic(self) -> Standing | None:
        """The best."""
        return best_of(self.found, "heuristic")

    @property
    def learners(self) -> list[Standing]:
        """Those that learn by trial, the best first."""
        return [one for one in self.found if one.kind == "learner" and one.agent not in OR]

    @property
    def learner(self) -> Standing | None:
        """The best of them of class standard; where there is none, of any."""
        return self._best_learner()

    @property
    def own(self) -> Standing | None:
        """`adsac`, or in a game `iadsac`, likewise."""
        return self._best_learner(OWN[self.is_game])

    def _best_learner(self, agent: str = "") -> Standing | None:
        of_any = best_of(self.learners, "learner", agent=agent)
        return best_of(self.learners, "learner", "standard", agent) or of_any


@dataclass(frozen=True, eq=False)
class Sources:
    """All of it."""

    boards: Sequence[Board]
    lines: Sequence[Line]
    """Of the study."""

    @cached_property
    def worlds(self) -> list[World]:
        """The newest version of every tier and game, and earlier ones that have entries."""
        kept = [board for board in self.boards if board.rows or not board.scenario.superseded]
        found = [World(b, read_evidence(b.scenario), standings(b)) for b in kept]
        return sorted(found, key=lambda one: (one.is_game, _size(one)))

    @property
    def tiers(self) -> list[World]:
        """Those with one orchestrator, the small ones first."""
        return [world for world in self.worlds if not world.is_game]

    @property
    def games(self) -> list[World]:
        """Those of gateways."""
        return [world for world in self.worlds if world.is_game]


def _size(world: World) -> tuple[bool, bool, int, str]:
    scenario = world.board.scenario
    return scenario.replay is not None, scenario.extended, scenario.num_servers, world.name


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Return a table in Markdown, with so many columns of words before those of numbers."""
    lines = [head, ["---"] * left + ["---:"] * (len(head) - left), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def shown(found: Estimate, digits: int = 3, sign: str = "") -> str:
    """Return an estimate with its interval; `sign` is `+` for one in any case."""
    value, low, high = (f"{part:{sign}.{digits}f}" for part in (found.value, found.low, found.high))
    return f"{value} [{low}, {high}]"


def told(one: Standing | None) -> str:
    """Return an agent and its utility, for a cell.

    `*` marks what the evidence has, and no entry; `†` a learner of fewer than five runs.
    """
    if one is None:
        return NONE
    words = one.name.split()
    name = " ".join(words[:2]) + (" ..." if len(words) > 2 else "")
    budget = f", {one.budget}" if one.budget else ""
    marks = "" if one.row else "\\*"
    marks += " †" if one.kind == "learner" and one.runs < MIN_RUNS else ""
    return f"{name}{budget}: {shown(one.utility)}{marks}"


def listed(names: Sequence[str]) -> str:
    """Return names as prose has them: `a`, `b` and `c`."""
    quoted = [f"`{name}`" for name in names]
    if len(quoted) < 2:
        return "".join(quoted)
    return f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def not_measured(what: str, command: str) -> str:
    """Return the one line of what no kept result tells."""
    return f"{what}: not measured yet (`{command}`)."
