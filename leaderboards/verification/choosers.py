"""The choosers of a verification: the log, and the policy on the log.

Each is the `choose` of `chain.play_episodes` for all test workloads of one run. In a game of
gateways a policy is asked as a whole, or one gateway of it alone, with what this one sees.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl.errors import SubmissionError
from edge_marl.leaderboards.policies.asking import Ask
from edge_marl.leaderboards.submission.chain import (
    Choose,
    Episode,
    Moment,
    choices_of,
    rows_of,
)
from edge_marl.leaderboards.submission.files import Actions
from edge_marl.leaderboards.submission.schema import WORKLOADS
from edge_marl.scenario import Scenario

Shown = tuple[Moment, npt.NDArray[np.int64]]
"""What a policy is shown in a step, and what the log says, a row each."""

__all__ = [
    "MAY_DIFFER",
    "Again",
    "Logged",
    "Seen",
    "Shown",
    "Views",
    "alike",
    "as_good",
    "check_again",
    "checked",
    "digests_of",
    "firsts",
    "own_part",
]

MAY_DIFFER = 0.001
"""Share of a run's decisions that its policy may make otherwise on another machine: networks
differ in their last bits, and with them, once in a while, a choice between two as good."""

ROUNDING = 1e-5
"""How much less, of the size of what it prefers, a policy may prefer a logged action to the one
that it chooses now: some hundred roundings of single precision."""


class Logged:
    """Chooses as the log says."""

    def __init__(self, actions: Actions, run: int, scenario: Scenario, where: str) -> None:
        self._lengths = actions.lengths[run]
        self.where, self.gateways = where, rows_of(scenario)
        self.steps = 0
        """Moments of the longest episode so far."""
        self._next = np.zeros(WORKLOADS, dtype=np.int64)
        """The decision of each episode's log that comes next."""
        self._table = np.zeros((WORKLOADS, int(self._lengths.max())), dtype=np.int64)
        for k, length in enumerate(self._lengths):
            episode = actions.episode(run, k)
            self._table[k, :length] = episode
            if (wrong := np.flatnonzero(episode >= choices_of(scenario))).size:
                raise SubmissionError(
                    f"{where}, workload {k}, decision {wrong[0]}: expected an action from 0 to "
                    f"{choices_of(scenario) - 1}, found {episode[wrong[0]]}"
                )

    def choose(
        self, moment: Moment, needed: npt.NDArray[np.bool_] | None = None
    ) -> npt.NDArray[np.int64]:
        """Return the logged actions (R,); there must be one where it is needed, or at all going."""
        if moment.number == 0:
            self._next[:] = 0
        going = (moment.going if needed is None else needed).reshape(WORKLOADS, self.gateways)
        self.steps = max(self.steps, moment.number + 1)
        place = self._next[:, None] + going.cumsum(axis=1) - 1
        if (short := np.argwhere(going & (place >= self._lengths[:, None]))).size:
            k, gateway = short[0]
            raise SubmissionError(
                f"{self.where}, workload {k}, decision {place[k, gateway]}: expected a "
                "decision, found none: the episode goes on where the log ends"
            )
        self._next += going.sum(axis=1)
        found = np.take_along_axis(self._table, np.where(going, place, 0), axis=1)
        return np.where(going, found, 0).ravel()

    def check_all_used(self, episodes: Sequence[Episode]) -> None:
        """Raise if the log goes on where an episode has ended."""
        for k, episode in enumerate(episodes):
            if len(episode.actions) != self._lengths[k]:
                raise SubmissionError(
                    f"{self.where}, workload {k}, decision {len(episode.actions)}: expected the "
                    f"end of the episode, found {self._lengths[k] - len(episode.actions)} more "
                    "decisions"
                )


ROWS_AT_ONCE = 256
"""About so many rows are asked in one question where steps need not be asked one by one: more of
them take longer each, as they leave the processor's cache."""


class Again:
    """Asks a policy on the logged trajectory, so that one decision that differs stays one.

    Args:
        ask: the policy.
        logged: what it is compared with.
        gateway: of a game, whose policy it is, asked alone; None asks the whole policy.
        late: (R,) decisions of each step that were none of the policy's, as they came too late.
    """

    def __init__(
        self,
        ask: Ask,
        logged: Logged,
        gateway: int | None = None,
        late: Sequence[npt.NDArray[np.bool_]] = (),
    ) -> None:
        self._ask, self.logged, self.gateway, self._late = ask, logged, gateway, late
        self._gateways = logged.gateways
        self.asked: list[npt.NDArray[np.int64]] = []
        """What the policy chose at each decision, a row each."""
        self.total = self.differing = 0
        """Decisions that were compared, and those of them that differ."""
        self.first = ""
        """The first that differs, for people."""
        self.worse = ""
        """The first that differs, and is not as good to the policy."""

    def choose(self, moment: Moment) -> npt.NDArray[np.int64]:
        """Return the logged actions, and remember the policy's."""
        logged = self.logged.choose(moment)
        self.compare(*own_part(moment, logged, self.gateway))
        return logged

    def compare_all(self, shown: Sequence[Shown], at_once: bool) -> None:
        """Ask the policy of all steps, and compare.

        Args:
            shown: of each step what it is shown, and what the log says.
            at_once: whether many steps are asked in one question, in which one that looks at other
                rows would see what is to come.
        """
        if not at_once:
            for own, expected in shown:
                self.compare(own, expected)
            return
        for part in _questions(shown):
            moments = [own for own, _ in part]
            lengths = [len(own.going) for own in moments]
            answers = np.split(self._ask(Moment.joined(moments)), np.cumsum(lengths)[:-1])
            for (own, expected), chosen in zip(part, answers, strict=True):
                if np.any(own.going & (chosen != expected)):
                    self.compare(own, expected)  # what it prefers is told of the last question
                else:
                    self._count(own, chosen)

    def compare(self, own: Moment, expected: npt.NDArray[np.int64]) -> None:
        """Ask the policy of a step, and compare.

        Args:
            own: what it is shown.
            expected: what the log says, a row each.
        """
        chosen = self._ask(own)
        wrong = np.flatnonzero(self._count(own, chosen) & (chosen != expected))
        if wrong.size:
            self._note(own, wrong, chosen, expected)

    def _count(self, own: Moment, chosen: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Take what the policy chose in a step; return the rows that are compared."""
        self.asked.append(chosen)
        compared = own.going
        if self._late:
            late = self._late[own.number]
            compared = compared & ~(
                late if self.gateway is None else late[self.gateway :: self._gateways]
            )
        self.total += int(compared.sum())
        return compared

    def _note(
        self,
        moment: Moment,
        wrong: npt.NDArray[np.intp],
        chosen: npt.NDArray[np.int64],
        logged: npt.NDArray[np.int64],
    ) -> None:
        """Note decisions that differ, and the first of them that is not as good to the policy."""
        self.differing += wrong.size

        def says(k: int) -> str:
            return (
                f"{moment.place(k)}: expected {chosen[k]} as the policy decides, found {logged[k]}"
            )

        first, worse = firsts(wrong, as_good(self._ask, chosen, logged), says)
        self.first, self.worse = self.first or first, self.worse or worse


def check_again(where: str, parts: Sequence[Again]) -> None:
    """Raise if a decision differs that was no choice between equals, or too many of a run do.

    Args:
        where: the run, for people.
        parts: its policy, or in a game its gateways.
    """
    differing, total = (
        sum(counts) for counts in zip(*((a.differing, a.total) for a in parts), strict=True)
    )
    counted = f"{differing} of {total} decisions differ"
    for again in parts:
        if again.worse:
            raise SubmissionError(
                f"{where}, {again.worse}: the policy does not prefer both alike; {counted}"
            )
    if differing > MAY_DIFFER * total:
        first = next(again.first for again in parts if again.first)
        raise SubmissionError(f"{where}, {first}; {counted}, {100 * MAY_DIFFER:g} % may")


def _questions(shown: Sequence[Shown]) -> Iterator[list[Shown]]:
    """Cut steps into questions of about `ROWS_AT_ONCE` rows that decide."""
    part: list[Shown] = []
    rows = 0
    for own, expected in shown:
        part.append((own, expected))
        rows += int(own.going.sum())
        if rows >= ROWS_AT_ONCE:
            yield part
            part, rows = [], 0
    if part:
        yield part


def as_good(
    ask: Ask, chosen: npt.NDArray[np.int64], other: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Return whether a policy prefers other actions as much as those it has just chosen, (R,)."""
    told = ask.preferences()
    if told is None:
        return np.zeros(len(chosen), np.bool_)
    known = other < told.shape[1]  # it tells nothing of doing nothing in a game
    good = np.take_along_axis(alike(told, chosen), np.where(known, other, 0)[:, None], axis=1)
    found: npt.NDArray[np.bool_] = good[:, 0] & known
    return found


def firsts(
    wrong: npt.NDArray[np.intp], good: npt.NDArray[np.bool_], says: Callable[[int], str]
) -> tuple[str, str]:
    """Return what is said of the first row that differs, and of the first that is not as good.

    Args:
        wrong: rows that differ, one at least.
        good: (R,) whether the policy prefers both alike (`as_good`).
        says: what of a row; "" where there is none.
    """
    worse = wrong[~good[wrong]]
    return says(int(wrong[0])), says(int(worse[0])) if worse.size else ""


def alike(told: npt.NDArray[np.float64], chosen: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return the actions (R, A) that a policy prefers as much as what it chose, within rounding.

    Args:
        told: (R, A) its preferences.
        chosen: (R,) what it chose; of what is no action nothing is told.
    """
    known = (chosen >= 0) & (chosen < told.shape[1])
    own = np.take_along_axis(told, np.where(known, chosen, 0)[:, None], axis=1)
    with np.errstate(invalid="ignore"):
        near = np.abs(told - own) <= ROUNDING * np.maximum(1.0, np.abs(own))
    found: npt.NDArray[np.bool_] = near & known[:, None] & np.isfinite(own)
    return found


class Seen:
    """Remembers what each episode showed at each decision."""

    def __init__(self, choose: Choose) -> None:
        self._choose = choose
        self.shown: list[list[bytes]] = []
        """A digest per episode, of one that is over nothing."""

    def choose(self, moment: Moment) -> npt.NDArray[np.int64] | None:
        """Choose as another does."""
        self.shown.append(digests_of(moment))
        return self._choose(moment)


class Views:
    """Keeps what some gateways of a game see on the log, to show it to each of them alone.

    Args:
        logged: the log.
        gateways: which ones.
    """

    def __init__(self, logged: Logged, gateways: Sequence[int]) -> None:
        self.logged = logged
        self.of: dict[int, list[Shown]] = {g: [] for g in gateways}
        """Of each what it sees at each step, and what the log says, a row for each episode."""

    def choose(self, moment: Moment) -> npt.NDArray[np.int64]:
        """Return the logged actions."""
        logged = self.logged.choose(moment)
        for gateway, kept in self.of.items():
            kept.append(own_part(moment, logged, gateway))
        return logged


def checked(ask: Ask, scenario: Scenario) -> Callable[[Moment], npt.NDArray[np.int64]]:
    """Return a chooser that lets a policy play, its actions checked."""
    choices = choices_of(scenario)

    def choose(moment: Moment) -> npt.NDArray[np.int64]:
        chosen = ask(moment)
        wrong = np.flatnonzero(moment.going & ((chosen < 0) | (chosen >= choices)))
        if wrong.size:
            raise SubmissionError(
                f"{moment.place(int(wrong[0]))}: the policy chose {chosen[wrong[0]]}: expected 0 "
                f"to {choices - 1}"
            )
        return chosen

    return choose


def own_part(
    moment: Moment, rows: npt.NDArray[Any], gateway: int | None
) -> tuple[Moment, npt.NDArray[Any]]:
    """Return a gateway's part of a moment and of (R, ...), or all of both."""
    if gateway is None:
        return moment, rows
    return moment.of(gateway), rows[gateway :: moment.gateways]


def digests_of(moment: Moment) -> list[bytes]:
    """Return a digest of what is shown in each episode, of one that is over nothing."""
    going = moment.going.reshape(WORKLOADS, moment.gateways)
    deciding: list[bool] = np.any(going, axis=1).tolist()
    shown = (moment.observation, moment.mask, moment.agent_index)
    rows = zip(*(np.split(part, WORKLOADS) for part in shown), deciding, strict=True)
    return [
        hashlib.blake2b(b"".join(part.tobytes() for part in parts), digest_size=8).digest()
        if decides
        else b""
        for *parts, decides in rows
    ]
