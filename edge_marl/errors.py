"""Every error that edge-marl raises on purpose, and what messages share.

EdgeMarlError
├── ScenarioError (ValueError)      a tier, a scenario file or a scenario's field
├── WorkloadError (ValueError)      a workload, or a file that should hold one
├── DataError (ValueError)          a recorded data set, or a file that should belong to one
├── ActionError (ValueError)        an action outside the action space
├── AgentError (ValueError)         an unknown agent, or settings or a checkpoint it cannot take
├── SuiteError (ValueError)         a suite's name, file or field, or what it asks of a machine
├── RecordError (ValueError)        a benchmark record that cannot be used
├── SubmissionError (ValueError)    a submission to a leaderboard, or a file of one
├── StateError (ValueError)         a saved state of an environment, or what it is to go on with
├── ServingError (ValueError)       a gateway's file or log, or what a model server needs
└── EpisodeOverError (RuntimeError) a step where no episode is running

Messages name the value, the rule and the fix; the command line prints them without a traceback.
Values often come from files of somebody else's, so that no message is trusted to be a line of text.
"""

import difflib
from collections.abc import Iterable

LONGEST = 900
"""Characters of a problem that are shown: its start and its end, where the fix is."""
MOST_PROBLEMS = 20
"""Lines of a message, if a file has that many problems."""


class EdgeMarlError(Exception):
    """Base of all errors raised on purpose; catch this to catch them all.

    Args:
        problems: what is wrong, a line each. Characters that would break a line or steer a terminal
            are replaced, long ones are cut, and of very many problems the first ones are told.
    """

    def __init__(self, *problems: str) -> None:
        told = problems
        if len(problems) > MOST_PROBLEMS:
            rest = len(problems) - MOST_PROBLEMS + 1
            told = (*problems[: MOST_PROBLEMS - 1], f"... and {rest} more problems")
        super().__init__(*map(as_line, told))

    def __str__(self) -> str:
        return "\n".join(self.args)


def as_line(text: str) -> str:
    """Return a text of somebody else's as one line that a terminal can show."""
    if len(text) > LONGEST:
        text = f"{text[: LONGEST * 2 // 3 - 5]} ... {text[-LONGEST // 3 :]}"
    return printable(text)


def printable(text: str) -> str:
    """Return a text with something in the place of what would break a line or steer a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text)


class ScenarioError(EdgeMarlError, ValueError):
    """A tier name, a scenario file or a field of a scenario is not usable."""


class WorkloadError(EdgeMarlError, ValueError):
    """A workload breaks a rule, does not fit its scenario, or its file cannot be read."""


class DataError(EdgeMarlError, ValueError):
    """A data set is unknown or not at hand, or a file of it is damaged or malformed."""


class ActionError(EdgeMarlError, ValueError):
    """An action lies outside the action space."""


class AgentError(EdgeMarlError, ValueError):
    """An agent is unknown, or its settings or checkpoint do not fit."""


class SuiteError(EdgeMarlError, ValueError):
    """A suite's name, its file or a field of it is not usable."""


class RecordError(EdgeMarlError, ValueError):
    """A benchmark record is damaged or not what its place says."""


class SubmissionError(EdgeMarlError, ValueError):
    """A submission cannot be made or read, or does not hold what it claims."""


class StateError(EdgeMarlError, ValueError):
    """A saved state is none, or of another kind of environment than the one that should go on."""


class ServingError(EdgeMarlError, ValueError):
    """A gateway's file or log is not usable, or what a model server needs is missing."""


class EpisodeOverError(EdgeMarlError, RuntimeError):
    """A step was taken before the first reset or after the end of an episode."""


def show(value: object) -> str:
    """Return a value as a message shows it: as Python writes it, cut where it is long."""
    try:
        shown = repr(value)
    except ValueError:  # Python writes no integers of more than 4,300 digits
        return "a number of thousands of digits"
    return shown if len(shown) <= 100 else f"{shown[:100]}..."


def did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return `did you mean 'x'? ` for the known name that is most like one, else nothing."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f"did you mean '{near[0]}'? " if near else ""
