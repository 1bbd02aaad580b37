"""The choosers of a verification: the log, the policy on the log, the policy on twins.

Each is the `choose` of `chain.play_episodes` for all test workloads of one run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from edge_marl.errors import SubmissionError
from edge_marl.leaderboards.policies.asking import Ask
from edge_marl.leaderboards.submission.chain import Episode, Moment
from edge_marl.leaderboards.submission.files import Actions
from edge_marl.leaderboards.submission.schema import WORKLOADS
from edge_marl.scenario import Scenario

__all__ = ["MAY_DIFFER", "Again", "Logged", "Paired", "checked"]

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
        self._where = where
        self.total = int(self._lengths.sum())
        self._table = np.zeros((int(self._lengths.max()), WORKLOADS), dtype=np.int64)
        for k, length in enumerate(self._lengths):
            episode = actions.episode(run, k)
            self._table[:length, k] = episode
            if (wrong := np.flatnonzero(episode >= scenario.num_actions)).size:
                raise SubmissionError(
                    f"{where}, workload {k}, decision {wrong[0]}: expected an action from 0 to "
                    f"{scenario.num_actions - 1}, found {episode[wrong[0]]}"
                )

    def choose(
        self, moment: Moment, needed: npt.NDArray[np.bool_] | None = None
    ) -> npt.NDArray[np.int64]:
        """Return the logged actions; there must be some where they are needed, or at all going."""
        needed = moment.going if needed is None else needed
        if (short := np.flatnonzero(needed & (self._lengths <= moment.number))).size:
            raise SubmissionError(
                f"{self._where}, workload {short[0]}, decision {moment.number}: expected a "
                "decision, found none: the episode goes on where the log ends"
            )
        row: npt.NDArray[np.int64] = self._table[moment.number]
        return row

    def check_all_used(self, episodes: Sequence[Episode]) -> None:
        """Raise if the log goes on where an episode has ended."""
        for k, episode in enumerate(episodes):
            if len(episode.actions) != self._lengths[k]:
                raise SubmissionError(
                    f"{self._where}, workload {k}, decision {len(episode.actions)}: expected the "
                    f"end of the episode, found {self._lengths[k] - len(episode.actions)} more "
                    "decisions"
                )


class Again:
    """Asks a policy on the logged trajectory, so that one decision that differs stays one."""

    def __init__(self, ask: Ask, logged: Logged) -> None:
        self._ask, self.logged = ask, logged
        self.asked: list[npt.NDArray[np.int64]] = []
        """What the policy chose at each decision, (E,) each."""
        self.seen: list[list[bytes]] = []
        """Digest of what it was shown at each decision in each episode."""
        self.differing = 0
        self._first = ""
        self._worse = ""

    def choose(self, moment: Moment) -> npt.NDArray[np.int64]:
        """Return the logged actions, and remember the policy's."""
        logged, chosen = self.logged.choose(moment), self._ask(moment)
        self.asked.append(chosen)
        self.seen.append(_shown(moment))
        wrong = np.flatnonzero(moment.going & (chosen != logged))
        if wrong.size:
            self._note(moment.number, wrong, chosen, logged)
        return logged

    def _note(
        self,
        number: int,
        wrong: npt.NDArray[np.intp],
        chosen: npt.NDArray[np.int64],
        logged: npt.NDArray[np.int64],
    ) -> None:
        """Note decisions that differ, and the first of them that is not as good to the policy."""
        self.differing += wrong.size
        told = self._ask.preferences()
        for k in wrong:
            said = (
                f"workload {k}, decision {number}: expected {chosen[k]} as the policy decides, "
                f"found {logged[k]}"
            )
            self._first = self._first or said
            if told is None or not _as_good(told[k], int(logged[k]), int(chosen[k])):
                self._worse = self._worse or said

    def check(self, where: str) -> None:
        """Raise if a decision differs that was no choice between equals, or too many do."""
        counted = f"{self.differing} of {self.logged.total} decisions differ"
        if self._worse:
            raise SubmissionError(
                f"{where}, {self._worse}: the policy does not prefer both alike; {counted}"
            )
        if self.differing > MAY_DIFFER * self.logged.total:
            raise SubmissionError(f"{where}, {self._first}; {counted}, {100 * MAY_DIFFER:g} % may")


def _as_good(preferences: npt.NDArray[np.float64], one: int, other: int) -> bool:
    """Whether two actions of a row (A,) are preferred alike, to within rounding."""
    if not 0 <= other < len(preferences):
        return False
    a, b = preferences[one], preferences[other]
    return bool(abs(a - b) <= ROUNDING * max(1.0, abs(b)))  # never of what is not finite


class Paired:
    """Asks a policy in twin episodes, and compares while it is shown the same as before."""

    def __init__(self, ask: Ask, again: Again) -> None:
        self._ask, self._again = ask, again
        self._same = np.ones(WORKLOADS, dtype=np.bool_)
        self._shared = np.zeros(WORKLOADS, dtype=np.int64)
        self.compared = 0
        self._first = ""

    def choose(self, moment: Moment) -> npt.NDArray[np.int64] | None:
        """Return what was chosen before where all is the same; None when nothing is any more."""
        number = moment.number
        seen = self._again.seen
        before = seen[number] if number < len(seen) else [b""] * WORKLOADS
        same = [one == other for one, other in zip(_shown(moment), before, strict=True)]
        self._same &= moment.going & np.array(same)
        if not self._same.any():
            return None
        chosen = self._ask(moment)
        expected = self._again.asked[number]
        wrong = np.flatnonzero(self._same & (chosen != expected))
        if wrong.size:
            k = int(wrong[0])
            self._first = (
                f"workload {k}, decision {number}: expected {expected[k]} as in the "
                f"twin that is the same so far, found {chosen[k]}: the policy knows what is to come"
            )
            return None
        self._shared += self._same
        self.compared += int(self._same.sum())
        return np.where(self._same, self._again.logged.choose(moment, self._same), 0)

    def check(self, where: str) -> None:
        """Raise if a decision differs, or if there was nothing to compare."""
        if self._first:
            raise SubmissionError(f"{where}, {self._first}")
        if not self._shared.all():
            raise SubmissionError(
                f"{where}, workload {int(self._shared.argmin())}: shares no decision with its twin"
            )


def checked(ask: Ask, scenario: Scenario) -> Callable[[Moment], npt.NDArray[np.int64]]:
    """Return a chooser that lets a policy play, its actions checked."""

    def choose(moment: Moment) -> npt.NDArray[np.int64]:
        chosen = ask(moment)
        wrong = np.flatnonzero(moment.going & ((chosen < 0) | (chosen >= scenario.num_actions)))
        if wrong.size:
            raise SubmissionError(
                f"workload {wrong[0]}, decision {moment.number}: the policy chose "
                f"{chosen[wrong[0]]}: expected 0 to {scenario.num_actions - 1}"
            )
        return chosen

    return choose


def _shown(moment: Moment) -> list[bytes]:
    """Return a digest of what is shown in each episode, of one that is over nothing."""
    rows = zip(moment.observation, moment.mask, moment.agent_index, moment.going, strict=True)
    return [
        hashlib.blake2b(b"".join(part.tobytes() for part in parts), digest_size=8).digest()
        if going
        else b""
        for *parts, going in rows
    ]
