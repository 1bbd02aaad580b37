"""Trained agents in a run's folder: `agents/STEM/`, whole or not there at all.

A worker hands its agent over as files in memory, so that it need not see the run's folder: it may
be on another machine.
"""

from __future__ import annotations

import base64
import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edge_marl.benchmarks.plan.cells import Cell
from edge_marl.benchmarks.records.records import Checkpoint
from edge_marl.errors import RecordError
from edge_marl.files import new_folder

if TYPE_CHECKING:
    from edge_marl.agents import Agent

__all__ = ["Files", "checkpoint_of", "digest_of", "is_intact", "keep", "pack", "read", "unpack"]

Files = dict[str, str]
"""Content of each file of an agent, in base 64, by name."""


def pack(agent: Agent) -> Files:
    """Return an agent as the files that it saves."""
    with tempfile.TemporaryDirectory() as folder:
        agent.save(folder)
        return read(Path(folder))


def read(folder: Path) -> Files:
    """Return the files of a folder."""
    return {
        path.relative_to(folder).as_posix(): base64.b64encode(path.read_bytes()).decode()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def unpack(files: Files, folder: Path) -> None:
    """Write the files to a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(content))


def digest_of(files: Files) -> str:
    """SHA-256 (hex) of the names and contents of files."""
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        inside = hashlib.sha256(base64.b64decode(content)).hexdigest()
        digest.update(f"{name}\n{inside}\n".encode())
    return digest.hexdigest()


def checkpoint_of(cell: Cell, files: Files) -> Checkpoint:
    """Return where the agent of the cell that trains it is kept, and its hash."""
    stem = cell.file_name.removesuffix(".json")
    return Checkpoint(folder=f"agents/{stem}", sha256=digest_of(files))


def keep(run: Path, checkpoint: Checkpoint, files: Files) -> None:
    """Write an agent to its place in a run's folder, in one step; what was there is replaced.

    Raises:
        RecordError: if it cannot be written.
    """
    with new_folder(run / checkpoint.folder, RecordError) as part:
        unpack(files, part)


def is_intact(run: Path, checkpoint: Checkpoint) -> bool:
    """Whether a kept agent is there, as it was written."""
    return digest_of(read(run / checkpoint.folder)) == checkpoint.sha256
