"""What the sheets say: points with their values by workload, and the file that they are kept in."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from edge_marl.benchmarks.records.records import Provenance
from edge_marl.benchmarks.report.intervals import Estimate
from edge_marl.benchmarks.report.stats import estimate
from edge_marl.errors import RecordError
from edge_marl.files import write_file

__all__ = ["SHEETS", "Findings", "Point", "Sheet", "read", "write"]

Sheet = Literal["cross-play", "dropout", "scaling"]
SHEETS: tuple[Sheet, ...] = ("cross-play", "dropout", "scaling")


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Point(_Model):
    """What one agent got in one game of a sheet, or why it did not play."""

    sheet: Sheet
    agent: str
    learns: bool
    at: float
    """Gateways that play something else; share of the time that gateways sleep; gateways."""
    key: str
    """Of all that decides the values: a point of the same key is not played again."""
    servers: int
    """In the game; the cloud, if any, is one of them."""
    values: dict[str, tuple[float | None, ...]] = {}
    """By measure, one number per workload; None where it is not defined."""
    left_out: str = ""
    """Why it was not played; empty where it was."""

    def estimate(self, name: str, less: str = "") -> Estimate | None:
        """Return the mean of a measure over workloads, with its interval; None where there is none.

        Args:
            name: of the measure.
            less: another, which is taken off it workload by workload.
        """
        if name not in self.values or (less and less not in self.values):
            return None
        values = np.array(self.values[name], dtype=np.float64)
        if less:
            values = values - np.array(self.values[less], dtype=np.float64)
        values = values[np.isfinite(values)]
        return estimate(values[None]) if len(values) else None


class Findings(_Model):
    """All sheets of a game."""

    game: str
    digest: str
    gateways: int
    against: str
    """The heuristic that replaced gateways play."""
    workloads: int
    """Of the test split, from 0 on."""
    seed: int
    asleep_s: float
    """Mean length of a sleep in the sheet *dropout*."""
    machine: Provenance
    points: tuple[Point, ...] = ()

    def of(self, sheet: Sheet) -> list[Point]:
        """Return the points of a sheet, in order."""
        return [point for point in self.points if point.sheet == sheet]


def write(findings: Findings, path: Path) -> None:
    """Write findings as JSON, whole or not at all.

    Raises:
        RecordError: the file cannot be written.
    """
    write_file(path, findings.model_dump_json(indent=1) + "\n", RecordError)


def read(path: Path) -> Findings | None:
    """Read findings; None where there are none yet.

    Raises:
        RecordError: the file cannot be read, or is none of ours.
    """
    try:
        return Findings.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror or error})") from None
    except ValidationError as error:
        problem = str(error).splitlines()[0]
        raise RecordError(
            f"{path}: not what `edge-marl robustness` writes ({problem}): move it away, or give "
            "another folder"
        ) from None
