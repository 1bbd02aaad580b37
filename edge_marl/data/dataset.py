"""Which recorded data sets there are: upstream address, files with SHA-256, licence, citation."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from edge_marl.errors import DataError, did_you_mean

__all__ = ["DataFile", "Dataset", "datasets", "find_dataset"]


@dataclass(frozen=True)
class DataFile:
    """A file of a data set."""

    path: str
    """Below the data set's folder, and below its address."""
    size: int
    """Bytes."""
    sha256: str


@dataclass(frozen=True)
class Dataset:
    """A data set: what it is, where it comes from and on what terms."""

    name: str
    title: str
    url: str
    """Address of the folder that the files are in, at a fixed commit; ends in a slash."""
    licence: str
    citation: str
    files: tuple[DataFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


@lru_cache(maxsize=1)
def datasets() -> Mapping[str, Dataset]:
    """Return the data sets by name."""
    text = resources.files("edge_marl.data").joinpath("registry.toml").read_text("utf-8")
    found = {}
    for name, facts in tomllib.loads(text).items():
        files = tuple(DataFile(path, **known) for path, known in facts.pop("files").items())
        found[name] = Dataset(name=name, files=files, **facts)
    return found


def find_dataset(name: str) -> Dataset:
    """Return a data set by its name, or by a part of its name that no other has (`gentd26`).

    Raises:
        DataError: unknown name; the message has those that there are.
    """
    known = datasets()
    named = [known[name]] if name in known else [known[full] for full in known if name in full]
    if len(named) != 1:
        hint = did_you_mean(name, known, 0.5)
        raise DataError(f"unknown data set '{name}': {hint}the data sets are {', '.join(known)}")
    return named[0]
