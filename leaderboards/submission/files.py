"""Reading and writing the files of a submission, which is somebody else's and trusted in nothing.

Sizes are bounded before a byte is unpacked, JSON is strict (UTF-8, no key twice, no NaN), arrays
are plain numbers, links are followed nowhere, and nothing is unpickled or imported.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ValidationError

from edge_marl.arrays import read_arrays
from edge_marl.errors import SubmissionError
from edge_marl.leaderboards.submission.chain import Episode
from edge_marl.leaderboards.submission.ledger import Ledger
from edge_marl.leaderboards.submission.schema import SCHEMA_VERSION, WORKLOADS, Chain, Submission

__all__ = [
    "ACTIONS",
    "CHAIN",
    "LEDGER",
    "SUBMISSION",
    "Actions",
    "Entry",
    "actions_of",
    "list_submissions",
    "read_actions",
    "read_chain",
    "read_ledger",
    "read_submission",
    "sha256_of",
]

SUBMISSION, ACTIONS, CHAIN, LEDGER = "submission.json", "actions.npz", "chain.json", "digests.json"

MIB = 2**20
LIMITS = {SUBMISSION: 8 * MIB, ACTIONS: 32 * MIB, CHAIN: 32 * MIB, LEDGER: 32 * MIB}
LARGEST_POLICY_FILE = 64 * MIB
UNPACKED = 128 * MIB
"""All that an archive may unpack to; 100 episodes of `planet`, three times, are 7 MiB."""

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, eq=False)
class Actions:
    """What `actions.npz` holds: all decisions of R runs on W workloads.

    In the file: `actions` uint16, the episodes one after another, run by run and in each workload
    by workload; `lengths` int32 (R, W), the decisions of each episode.
    """

    actions: npt.NDArray[np.uint16]
    lengths: npt.NDArray[np.int32]

    def episode(self, run: int, workload: int) -> npt.NDArray[np.uint16]:
        """Return the decisions of one episode, in order."""
        at = run * self.lengths.shape[1] + workload
        start = int(self.lengths.ravel()[:at].sum(dtype=np.int64))
        return self.actions[start : start + int(self.lengths[run, workload])]

    def packed(self) -> bytes:
        """Return the file's content; the same for the same decisions."""
        content = io.BytesIO()
        np.savez_compressed(content, actions=self.actions, lengths=self.lengths)
        return content.getvalue()


@dataclass(frozen=True)
class Entry:
    """A submission where it lies."""

    folder: Path
    submission: Submission

    @property
    def name(self) -> str:
        """Its folder and its board's, `paper-v0/2026-11-25-prophet`."""
        return f"{self.folder.parent.name}/{self.folder.name}"


def actions_of(runs: Sequence[Sequence[Episode]]) -> Actions:
    """Return the decisions of the episodes of each run, (runs, workloads)."""
    every = [episode.actions for run in runs for episode in run]
    lengths = np.array([len(one) for one in every], "<i4").reshape(len(runs), -1)
    return Actions(actions=np.concatenate(every).astype("<u2"), lengths=lengths)


def list_submissions(root: Path) -> list[Entry]:
    """Return the submissions below a folder, sorted by board and name.

    Raises:
        SubmissionError: if the `submission.json` of one cannot be read (`verify` says more).
    """
    folders = sorted(path.parent for path in root.glob(f"*/*/{SUBMISSION}"))
    return [Entry(folder, read_submission(folder)) for folder in folders]


def read_submission(folder: Path) -> Submission:
    """Return what a folder's `submission.json` says.

    Raises:
        SubmissionError: no such file, too large, not strict JSON, or not of the schema.
    """
    return _read_model(folder / SUBMISSION, Submission)


def read_chain(folder: Path) -> Chain:
    """Return what a folder's `chain.json` says.

    Raises:
        SubmissionError: as `read_submission`.
    """
    return _read_model(folder / CHAIN, Chain)


def read_ledger(root: Path) -> Ledger:
    """Return the ledger of a folder of submissions; an empty one if there is none.

    Raises:
        SubmissionError: if it cannot be read.
    """
    return _read_model(root / LEDGER, Ledger) if (root / LEDGER).exists() else Ledger()


def read_actions(folder: Path) -> Actions:
    """Return what a folder's `actions.npz` holds.

    Raises:
        SubmissionError: no such file, too large, packed or unpacked, or not of the layout.
    """
    path = folder / ACTIONS
    content = read_bytes(path, LIMITS[ACTIONS])
    try:
        arrays = read_arrays(content, UNPACKED, ("actions", "lengths"))
    except ValueError as error:
        raise SubmissionError(f"{path}: {error}") from None
    log = Actions(arrays["actions"], arrays["lengths"])
    _check_layout(path, log)
    return log


def read_bytes(path: Path, limit: int) -> bytes:
    """Return a file's content.

    Raises:
        SubmissionError: no such file, a link, or larger than `limit` bytes.
    """
    try:
        if path.is_symlink():
            raise SubmissionError(f"{path}: a link: a submission holds files only")
        if not path.is_file():
            raise SubmissionError(f"{path}: there is no such file")
        size = path.stat().st_size
        if size > limit:
            raise SubmissionError(f"{path}: {size} bytes: at most {limit} are allowed")
        return path.read_bytes()
    except OSError as error:
        raise SubmissionError(f"{path}: cannot be read ({error.strerror})") from None


def limit_of(place: str) -> int:
    """Return how many bytes a file of a submission may have, given its place in the folder."""
    return LIMITS.get(place, LARGEST_POLICY_FILE)


def sha256_of(content: bytes) -> str:
    """Return a content's SHA-256 (hex)."""
    return hashlib.sha256(content).hexdigest()


def parse_json(path: Path, content: bytes) -> Any:
    """Return what strict JSON says.

    Raises:
        SubmissionError: not UTF-8, not JSON, a key twice, NaN or infinity, half a character.
    """
    try:
        facts = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_once,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
        if b"\\ud" in content.lower():  # perhaps half a character, which no text may hold
            json.dumps(facts, ensure_ascii=False).encode("utf-8")
        return facts
    except UnicodeDecodeError as error:
        raise SubmissionError(f"{path}: not UTF-8 (byte {error.start})") from None
    except RecursionError:
        raise SubmissionError(f"{path}: nested too deeply") from None
    except ValueError as error:
        raise SubmissionError(f"{path}: not JSON as it must be: {error}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for key, value in pairs:
        if key in facts:
            raise ValueError(f"key '{key[:60]}' is there twice")
        facts[key] = value
    return facts


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:20]} is larger than any number here")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON's")


def _read_model(path: Path, model: type[M]) -> M:
    facts = parse_json(path, read_bytes(path, LIMITS[path.name]))
    version = facts.get("schema_version") if isinstance(facts, dict) else None
    if version != SCHEMA_VERSION:
        raise SubmissionError(
            f"{path}: schema_version {version!r:.60}: this version of edge-marl reads "
            f"{SCHEMA_VERSION}"
        )
    try:
        return model.model_validate_json(json.dumps(facts))  # JSON's rules: dates are text
    except (ValidationError, ValueError, RecursionError) as error:
        raise SubmissionError(f"{path}: {_first_problem(error)}") from None


def _first_problem(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return f"not of the schema ({type(error).__name__})"
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part)[:60] for part in first["loc"]) or "the whole"
    value = first.get("input")
    shown = "" if isinstance(value, dict | list | tuple) else f" (found {value!r:.80})"
    return f"{field}: {first['msg']}{shown}"


def _check_layout(path: Path, log: Actions) -> None:
    """Raise SubmissionError unless the arrays have the types and shapes of `Actions`."""
    actions, lengths = log.actions, log.lengths
    if actions.dtype != np.dtype("<u2") or actions.ndim != 1:
        raise SubmissionError(
            f"{path}: actions is {actions.dtype} {actions.shape}: must be uint16 (decisions,)"
        )
    if lengths.dtype != np.dtype("<i4") or lengths.ndim != 2 or lengths.shape[1] != WORKLOADS:
        raise SubmissionError(
            f"{path}: lengths is {lengths.dtype} {lengths.shape}: must be int32 (runs, {WORKLOADS})"
        )
    total = int(lengths.sum(dtype=np.int64))
    if (lengths < 1).any() or total != len(actions):
        raise SubmissionError(
            f"{path}: lengths adds up to {total} decisions (none below 1), actions holds "
            f"{len(actions)}"
        )
