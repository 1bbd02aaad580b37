"""The weights of a policy, whatever their file's formatting: whether two are the same, or nearly.

Names, order, padding and metadata are formatting; what an array holds, its shape and type are not.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, deserialize

from edge_marl.errors import SubmissionError
from edge_marl.leaderboards.submission.files import LARGEST_POLICY_FILE, read_bytes

__all__ = [
    "NEAR",
    "Array",
    "distance",
    "parameters_in",
    "parameters_of",
    "read_weights",
    "weights_digest",
]

NEAR = 1e-3
"""Relative distance below which weights are as good as equal: two trainings end far apart."""

NUMPY_TYPES = {
    f"{kind}{8 * size}": f"<{kind.lower()}{size}" for kind in "FIU" for size in (2, 4, 8)
} | {"I8": "i1"}


@dataclass(frozen=True, eq=False)
class Array:
    """One array of a policy."""

    shape: tuple[int, ...]
    values: npt.NDArray[np.float64]
    """All of them in a row, rounded to float64."""
    digest: bytes
    """Of its type, its shape and its bytes."""

    @cached_property
    def norm(self) -> float:
        """Its Euclidean norm."""
        return float(np.linalg.norm(self.values))


def read_weights(path: Path) -> list[Array]:
    """Return the arrays of a `weights.safetensors`.

    Raises:
        SubmissionError: no such file, too large, or not of the format.
    """
    try:
        tensors = deserialize(read_bytes(path, LARGEST_POLICY_FILE))  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise SubmissionError(f"{path}: not a safetensors file ({error})") from None
    return [_array(facts) for _, facts in tensors]


def _array(facts: dict[str, Any]) -> Array:
    kind, shape, content = facts["dtype"], tuple(facts["shape"]), bytes(facts["data"])
    digest = hashlib.sha256(f"{kind} {shape}\n".encode() + content).digest()
    return Array(shape, _values(kind, content), digest)


def _values(kind: str, content: bytes) -> npt.NDArray[np.float64]:
    """Return the numbers of an array's bytes; of a type that NumPy lacks the bytes themselves."""
    if kind == "BF16":  # the upper half of a float32
        halves = np.frombuffer(content, "<u2").astype("<u4") << 16
        return halves.view("<f4").astype(np.float64)
    return np.frombuffer(content, NUMPY_TYPES.get(kind, "u1")).astype(np.float64)


def parameters_of(arrays: list[Array]) -> int:
    """Return how many numbers arrays hold."""
    return sum(len(array.values) for array in arrays)


def parameters_in(content: bytes) -> int:
    """Return how many numbers the arrays of a `weights.safetensors` hold, given its content."""
    tensors = deserialize(content)  # type: ignore[no-untyped-call]
    return parameters_of([_array(facts) for _, facts in tensors])


def weights_digest(arrays: list[Array]) -> str:
    """Return a digest (hex) that is the same for the same arrays, however named and ordered."""
    return hashlib.sha256(b"".join(sorted(array.digest for array in arrays))).hexdigest()


def distance(one: list[Array], other: list[Array]) -> float:
    """Return the norm of two policies' difference as a share of the first's; inf if shapes differ.

    Each array is compared with the nearest of its shape, as names may be others. Where the norms
    alone show that it is beyond `NEAR`, it is their distance, which is no larger.
    """
    if sorted(a.shape for a in one) != sorted(b.shape for b in other):
        return math.inf
    size = math.hypot(*(a.norm for a in one)) or math.inf
    pairs = [(a, [b for b in other if b.shape == a.shape]) for a in one]
    least = [min(abs(a.norm - b.norm) for b in alike) for a, alike in pairs]
    if math.hypot(*least) > NEAR * size:
        return math.hypot(*least) / size
    apart = [min(float(np.linalg.norm(a.values - b.values)) for b in alike) for a, alike in pairs]
    return math.hypot(*apart) / size
