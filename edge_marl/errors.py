"""Every error that edge-marl raises on purpose, and the hint that messages share.

EdgeMarlError
├── ScenarioError (ValueError)      a tier, a scenario file or a scenario's field
├── WorkloadError (ValueError)      a workload, or a file that should hold one
├── DataError (ValueError)          a recorded data set, or a file that should belong to one
├── ActionError (ValueError)        an action outside the action space
├── AgentError (ValueError)         an unknown agent, or settings or a checkpoint it cannot take
├── SuiteError (ValueError)         a suite's name, file or field, or what it asks of a machine
├── RecordError (ValueError)        a benchmark record that cannot be used
├── SubmissionError (ValueError)    a submission to a leaderboard, or a file of one
└── EpisodeOverError (RuntimeError) a step where no episode is running

Messages name the value, the rule and the fix; the command line prints them without a traceback.
"""

import difflib
from collections.abc import Iterable


class EdgeMarlError(Exception):
    """Base of all errors raised on purpose; catch this to catch them all."""


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


class EpisodeOverError(EdgeMarlError, RuntimeError):
    """A step was taken before the first reset or after the end of an episode."""


def did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return `did you mean 'x'? ` for the known name that is most like one, else nothing."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f"did you mean '{near[0]}'? " if near else ""
