"""What a bench finds: rows of numbers, and the file that they are kept in."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from edge_marl.benchmarks.records.records import Provenance
from edge_marl.errors import RecordError
from edge_marl.files import write_file

__all__ = [
    "ApiRow",
    "Findings",
    "LearnerRow",
    "PeerRow",
    "Spread",
    "StartRow",
    "TierRow",
    "read",
    "write",
]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Spread(_Model):
    """A quantity over rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return it of the values of all rounds."""
        return cls(median=statistics.median(values), low=min(values), high=max(values))


class ApiRow(_Model):
    """How fast a scenario is played by an API."""

    tier: str
    api: str
    threads: int
    rows: int
    """Environments that are stepped at once."""
    turns: float
    """Choices per decision that are asked for, idle gateways' among them."""
    without_resets: Spread
    """Decisions per second."""
    with_resets: Spread


class TierRow(_Model):
    """What a decision of a scenario's native batch is made of, on one thread."""

    tier: str
    rows: int
    transition_ns: float
    observation_ns: float
    api_ns: float
    reset_ns: float
    floor_ns: float
    state_bytes: int
    observation_bytes: int

    @property
    def total_ns(self) -> float:
        """Of all parts."""
        return self.transition_ns + self.observation_ns + self.api_ns + self.reset_ns


class StartRow(_Model):
    """How long a new process takes, in seconds."""

    tier: str
    import_s: float
    """To import the package."""
    warm_s: float
    """To its first step, with machine code on disk."""
    cold_s: float | None
    """The same when everything is compiled first."""


class LearnerRow(_Model):
    """How fast an agent trains."""

    tier: str
    agent: str
    decisions_per_s: float | None
    failed: str = ""


class PeerRow(_Model):
    """How fast another suite is, in the same run."""

    name: str
    what: str
    """What a step is."""
    version: str = ""
    steps_per_s: Spread | None = None
    failed: str = ""


class Findings(_Model):
    """All of a bench."""

    machine: Provenance
    repeat: int
    quick: bool
    apis: tuple[ApiRow, ...]
    tiers: tuple[TierRow, ...] = ()
    starts: tuple[StartRow, ...] = ()
    learners: tuple[LearnerRow, ...] = ()
    peers: tuple[PeerRow, ...] = ()


def write(findings: Findings, path: Path) -> None:
    """Write findings as JSON.

    Raises:
        RecordError: the file cannot be written.
    """
    write_file(path, findings.model_dump_json(indent=1) + "\n", RecordError)


def read(path: Path) -> Findings:
    """Read findings.

    Raises:
        RecordError: there are none, or they are damaged.
    """
    try:
        return Findings.model_validate_json(path.read_text("utf-8"))
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (ValidationError, ValueError) as error:
        problem = str(error).splitlines()[0]
        raise RecordError(f"{path}: not what `edge-marl bench` writes ({problem})") from None
