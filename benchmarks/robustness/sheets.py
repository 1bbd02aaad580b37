"""The three sheets: what is played for each, piece by piece, and what is kept of it.

* **Cross-play.** k of the G gateways play a held-out heuristic, those of a larger k and more of
  them. Told is what the others get per request, beside what the same gateways get where all play
  the agent, and what the replaced ones get.
* **Dropout.** Gateways sleep for a share of the time (`gateways.sleep`), on workloads that are the
  same otherwise, beside the same agent where nobody sleeps.
* **Scaling.** The game with other numbers of gateways and the same load per server (`resized`).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from edge_marl._version import __version__
from edge_marl.agents.base import Agent
from edge_marl.agents.play import play
from edge_marl.agents.registry import make
from edge_marl.benchmarks.records.provenance import Meter
from edge_marl.benchmarks.robustness.crowd import Crowd, Floats, nested, play_crowd
from edge_marl.benchmarks.robustness.findings import Findings, Point, Sheet
from edge_marl.benchmarks.robustness.players import Player
from edge_marl.draw import draw_workload
from edge_marl.errors import AgentError, ScenarioError
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario
from edge_marl.scenario.generalisation import resized
from edge_marl.workload import Workload

__all__ = ["Wishes", "asleep_for", "measure", "replaced_counts"]

AT_ONCE = 2**28
"""Bytes of what gateways see at a time: episodes of more are played one lot after the other."""

METRICS = (
    *("utility_per_task", "on_time_rate", "lost_fraction"),
    *("server_crash_rate", "herding", "gateway_fairness"),
)
"""Metrics of an episode that are kept of whole games."""

Values = dict[str, tuple[float | None, ...]]


@dataclass(frozen=True)
class Wishes:
    """What is asked for."""

    game: Scenario
    players: tuple[Player, ...]
    against: str
    """The heuristic of replaced gateways."""
    sheets: tuple[Sheet, ...]
    workloads: int
    """Of the test split, from 0 on."""
    seed: int
    """Of the agents' own randomness, and of which gateways are replaced."""
    shares: tuple[float, ...]
    """Of the time that gateways sleep; 0 is played in any case."""
    asleep_s: float
    """Mean length of a sleep."""
    sizes: tuple[int, ...]
    """Numbers of gateways."""


@dataclass(frozen=True)
class Piece:
    """Points that are played together, or not at all."""

    sheet: Sheet
    player: Player
    at: tuple[float, ...]
    key: str
    play: Callable[[], list[Values]]
    """Returns the values at each of `at`."""
    servers: int
    may_not_fit: bool = False
    """Whether an agent that cannot play it is left out, and told."""

    def points(self) -> list[Point]:
        """Play it."""
        try:
            found, left_out = self.play(), ""
        except (AgentError, ScenarioError) as error:
            if not self.may_not_fit:
                raise
            found, left_out = [{} for _ in self.at], str(error)
        return [
            self._point(at, values, left_out) for at, values in zip(self.at, found, strict=True)
        ]

    def _point(self, at: float, values: Values, left_out: str) -> Point:
        return Point(
            sheet=self.sheet,
            agent=self.player.label,
            learns=self.player.learns,
            at=at,
            key=self.key,
            servers=self.servers,
            values=values,
            left_out=left_out,
        )


def measure(
    wishes: Wishes,
    before: Findings | None,
    say: Callable[[str], None],
    keep: Callable[[Findings], None],
) -> Findings:
    """Play what has not been played; return all that was asked for.

    Args:
        wishes: what is asked for.
        before: what was found before; what it has of the same is taken from it.
        say: called with what is played next.
        keep: called with what there is after each piece.

    Raises:
        AgentError: an agent cannot play the game, or its code raised.
    """
    meter = Meter(threads=1)
    known: dict[str, list[Point]] = {}
    for point in before.points if before else ():
        known.setdefault(point.key, []).append(point)
    points: list[Point] = []
    found = _findings(wishes, meter, points)
    for piece in _pieces(wishes):
        if piece.key not in known:
            say(f"{piece.sheet}: {piece.player.label}")
            known[piece.key] = piece.points()
        points += known[piece.key]
        found = _findings(wishes, meter, points)
        keep(found)
    return found


def _findings(wishes: Wishes, meter: Meter, points: Sequence[Point]) -> Findings:
    return Findings(
        game=wishes.game.label,
        digest=wishes.game.digest,
        gateways=wishes.game.gateways.count,
        against=wishes.against,
        workloads=wishes.workloads,
        seed=wishes.seed,
        asleep_s=wishes.asleep_s,
        machine=meter.read(),
        points=tuple(points),
    )


def replaced_counts(gateways: int) -> tuple[int, ...]:
    """Return how many gateways are replaced: none, one, a quarter, half, and all but one."""
    counts = {0, 1, gateways // 4, gateways // 2, gateways - 1}
    return tuple(sorted(k for k in counts if k < gateways))


def asleep_for(game: Scenario, share: float, asleep_s: float) -> Scenario:
    """Return the game with gateways that sleep a share of the time; with none, that nobody does.

    Args:
        game: in slots.
        share: from 0 to below 1.
        asleep_s: mean length of a sleep.

    Raises:
        ScenarioError: a share or a time that no scenario has.
    """
    if share == 0:
        awake = game.gateways.model_copy(update={"sleep": None})
        return game.model_copy(update={"gateways": awake})
    if not 0 < share < 1:
        raise ScenarioError(f"share of time asleep {share:g}: must be from 0 to below 1")
    return game.with_sleep(asleep_s * (1 - share) / share, asleep_s)


# ------------------------------------------------------------ pieces


def _pieces(wishes: Wishes) -> Iterator[Piece]:
    """What is to be played, sheet by sheet and agent by agent."""
    makers = {"cross-play": _cross_plays, "dropout": _dropouts, "scaling": _scalings}
    for sheet in wishes.sheets:
        for player in wishes.players:
            yield from makers[sheet](wishes, player)


def _cross_plays(wishes: Wishes, player: Player) -> Iterator[Piece]:
    game, counts = wishes.game, replaced_counts(wishes.game.gateways.count)
    key = _key(wishes, "cross-play", game, player, against=wishes.against, at=counts)
    at = tuple(map(float, counts))
    cannot = player.is_central or len(counts) < 2

    def played() -> list[Values]:
        return _cross_play(wishes, player, counts)

    yield Piece("cross-play", player, at, key, played, game.num_servers, cannot)


def _dropouts(wishes: Wishes, player: Player) -> Iterator[Piece]:
    shares = tuple(sorted({0.0, *wishes.shares}))
    games = [asleep_for(wishes.game, share, wishes.asleep_s) for share in shares]
    key = _key(wishes, "dropout", wishes.game, player, at=[game.digest for game in games])

    def played() -> list[Values]:
        found = [_whole_games(wishes, player, game) for game in games]
        return [{**values, "before": found[0]["utility_per_task"]} for values in found]

    yield Piece("dropout", player, shares, key, played, wishes.game.num_servers)


def _scalings(wishes: Wishes, player: Player) -> Iterator[Piece]:
    for size in wishes.sizes:
        try:
            game = resized(wishes.game, Fraction(size, wishes.game.gateways.count))
        except ScenarioError as error:
            yield _impossible(wishes, player, size, error)
            continue
        game = game.model_copy(update={"name": f"{wishes.game.name}-{size}"})
        key = _key(wishes, "scaling", game, player)

        def played(game: Scenario = game) -> list[Values]:
            return [_whole_games(wishes, player, game)]

        yield Piece("scaling", player, (float(size),), key, played, game.num_servers, True)


def _impossible(wishes: Wishes, player: Player, size: int, why: ScenarioError) -> Piece:
    def refused() -> list[Values]:
        raise why

    key = _key(wishes, "scaling", wishes.game, player, at=size)
    return Piece("scaling", player, (float(size),), key, refused, 0, True)


def _key(wishes: Wishes, sheet: Sheet, game: Scenario, player: Player, **more: Any) -> str:
    facts = {
        "version": __version__,
        "sheet": sheet,
        "game": game.digest,
        "agent": [player.label, player.digest],
        "workloads": wishes.workloads,
        "seed": wishes.seed,
        **more,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


# ------------------------------------------------------------ what is played


def _cross_play(wishes: Wishes, player: Player, counts: Sequence[int]) -> list[Values]:
    game = wishes.game
    if len(counts) < 2:
        raise ScenarioError(f"'{game.label}' has one gateway: there is nobody to play with")
    if player.is_central:
        raise AgentError("it decides for all gateways together: no gateway of its can be replaced")
    agent, other = player.made_for(game), make(wishes.against, game)
    assert isinstance(other, Agent)
    gateways, alone = game.gateways.count, None
    found: list[Values] = []
    for count in counts:
        replaced = nested(wishes.workloads, gateways, count, wishes.seed)
        parts = [
            play_crowd(agent, other, replaced[lot], game, drawn, wishes.seed)
            for lot, drawn in _lots(game, wishes.workloads)
        ]
        crowd = Crowd(
            np.concatenate([part.utility for part in parts]),
            np.concatenate([part.requests for part in parts]),
        )
        alone = alone or crowd
        measures = {
            "others": crowd.per_request(~replaced),
            "others_before": alone.per_request(~replaced),
            "replaced": crowd.per_request(replaced),
            "replaced_before": alone.per_request(replaced),
            "all": crowd.per_request(np.ones_like(replaced)),
        }
        found.append({name: _told(values) for name, values in measures.items()})
    return found


def _whole_games(wishes: Wishes, player: Player, game: Scenario) -> Values:
    """What an agent gets as the policy of all gateways, or as their reference."""
    agent = player.made_for(game)
    metrics: list[dict[str, float]] = []
    for _, drawn in _lots(game, wishes.workloads):
        played = play(agent, game, drawn, wishes.seed, api="parallel")
        metrics += played.metrics
    return {name: _told([episode[name] for episode in metrics]) for name in METRICS}


def _lots(game: Scenario, workloads: int) -> Iterator[tuple[slice, list[Workload]]]:
    """Yield the workloads that are played at a time, as many as there is room for, and which."""
    row = game.gateways.count * (4 * ObservationLayout(game).size + game.num_actions + 1)
    size = max(1, min(workloads, AT_ONCE // row))
    for first in range(0, workloads, size):
        lot = slice(first, min(first + size, workloads))
        yield lot, [draw_workload(game, k, split="test") for k in range(lot.start, lot.stop)]


def _told(values: Sequence[float] | Floats) -> tuple[float | None, ...]:
    """Return numbers as JSON has them: None where there is none."""
    return tuple(float(value) if math.isfinite(value) else None for value in values)
