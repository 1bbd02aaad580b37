"""What is asked for: the servers of the testbed, the requests, and who serves them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_marl.errors import ServingError
from edge_marl.files import write_file
from edge_marl.serving.backend.denoiser import CLASSES, MODELS

__all__ = ["AGENTS", "SERVICES", "TYPES", "Wishes", "keep_wishes"]

AGENTS = (
    *("random", "round-robin", "power-of-two"),
    *("join-shortest-work", "crash-avoid-best", "prophet"),
)
SERVICES = tuple(MODELS)
TYPES = CLASSES


class Wishes(BaseModel):
    """All that decides what is measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    agents: tuple[str, ...] = AGENTS
    runs: Annotated[int, Field(ge=0)] = 3
    """Sequences of requests; every agent serves each. 0: the servers are measured, no more."""
    requests: Annotated[int, Field(ge=1)] = 200
    """Of a run."""
    lines: tuple[Annotated[int, Field(ge=0, le=64)], ...] = (0, 4)
    """Tasks that may wait at a server, for each kind of servers; 0: one too many ends it."""
    load: Annotated[float, Field(gt=0, le=10)] = 0.7
    """Share of the time that a server would compute, if every request ran alone."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of the requests, and of the agents' own randomness."""
    capacity: tuple[int, ...] = (280, 220, 220)
    """Denoising steps that each server has memory for."""
    demand: tuple[int, ...] = (20, 40, 80, 160)
    """Denoising steps that a request asks for, each as often."""
    tiles: Annotated[int, Field(ge=1)] = 64
    """Digits on a sheet: the work of a step."""
    gateways: Annotated[int, Field(ge=1, le=16)] = 1
    """That requests arrive at, each as many; each decides alone."""


def keep_wishes(wishes: Wishes, folder: Path) -> None:
    """Note in a folder what is asked for, or check that it is what was asked for there before.

    Raises:
        ServingError: something else was, or it cannot be written.
    """
    path = folder / "wishes.json"
    if not path.exists():
        write_file(path, wishes.model_dump_json(indent=2) + "\n", ServingError)
        return
    try:
        before = Wishes.model_validate_json(path.read_bytes())
    except (ValidationError, OSError):
        raise ServingError(f"{path}: not what this command writes; give another --out") from None
    for name, asked in wishes.model_dump().items():
        if name in ("agents", "runs", "lines"):  # more of the same are added
            continue
        if (found := getattr(before, name)) != asked:
            raise ServingError(
                f"{folder} has logs of {name} = {found}, not {asked}: give another --out"
            )
