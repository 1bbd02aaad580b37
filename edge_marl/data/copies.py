"""The user's copies of the data sets: brought from upstream or a folder, checked, kept in a cache.

A data set is a folder in the cache. It is made next to its place and moved there when all of its
files have the size and the SHA-256 that the registry states, so it is there whole or not at all.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

from edge_marl.data.dataset import DataFile, Dataset, find_dataset
from edge_marl.errors import DataError
from edge_marl.files import CACHE_VARIABLE, cache_folder, download, new_folder

__all__ = [
    "add",
    "added_folder",
    "file_of",
    "folder_of",
    "is_here",
    "verify",
]

Track = Callable[[Iterable[DataFile]], Iterable[DataFile]]
"""Goes over files and shows how far it is."""


def folder_of(name: str) -> Path:
    """Return where a data set's files are, or would be.

    Raises:
        DataError: unknown name.
    """
    return cache_folder() / "data" / find_dataset(name).name


def is_here(name: str) -> bool:
    """Return whether a data set was added."""
    return folder_of(name).is_dir()


def added_folder(name: str) -> Path:
    """Return the folder of a data set that was added.

    Raises:
        DataError: unknown name, or not added; the message has the command that adds it.
    """
    place = folder_of(name)
    if not place.is_dir():
        raise DataError(
            f"data set '{name}' is not here ({place}): edge-marl data add {name} downloads it, "
            f"edge-marl data add {name} --from FOLDER takes a copy that you have"
        )
    return place


def add(name: str, folder: str | Path | None = None, track: Track = iter) -> Path:
    """Bring a data set into the cache, in place of a copy that is there, and return its folder.

    Args:
        name: of the data set.
        folder: where a copy is, with the files as upstream has them; None downloads them.
        track: wraps the files that are gone over, to show progress.

    Raises:
        DataError: unknown name; no network; a file that is missing, cut short or changed; a cache
            that cannot be written to. Nothing is left behind, and a copy that was there stays.
    """
    dataset, place = find_dataset(name), folder_of(name)
    if folder is not None and not Path(folder).is_dir():
        raise DataError(
            f"{folder}: there is no such folder: give the one that holds {dataset.files[0].path}"
        )
    fix = f"make room there, or name another folder in the environment variable {CACHE_VARIABLE}"
    with new_folder(place, DataError, fix) as new:
        if folder is None:
            _download(dataset, new, track)
        else:
            _copy(dataset, Path(folder), new, track)
    return place


def verify(name: str) -> None:
    """Check sizes and SHA-256 of all files of a data set that was added.

    Raises:
        DataError: unknown name, not added, or a file that is missing, cut short or changed.
    """
    dataset, place = find_dataset(name), added_folder(name)
    for file in dataset.files:
        _check(place / file.path, file, f"add it again: edge-marl data add {name}")


def file_of(name: str, path: str) -> Path:
    """Return where a file of a data set is, its SHA-256 checked (once per process and content).

    Raises:
        DataError: as `verify`, for this file.
    """
    file = next(file for file in find_dataset(name).files if file.path == path)
    found = added_folder(name) / path
    fix = f"add it again: edge-marl data add {name}"
    try:
        state = found.stat()
    except OSError:
        _check(found, file, fix)
        raise
    _check_once(found, file, fix, state.st_mtime_ns)
    return found


@lru_cache(maxsize=256)
def _check_once(found: Path, file: DataFile, fix: str, changed: int) -> None:
    _check(found, file, fix)


def _copy(dataset: Dataset, source: Path, target: Path, track: Track) -> None:
    missing = [file.path for file in dataset.files if not (source / file.path).is_file()]
    if missing:
        raise DataError(
            f"{source}: has no file {missing[0]} ({len(missing)} of the {len(dataset.files)} files "
            f"of '{dataset.name}' are missing): give the folder that holds them as {dataset.url} "
            "does"
        )
    for file in track(dataset.files):
        copy = target / file.path
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / file.path, copy)
        _check(copy, file, f"get it from {dataset.url}{file.path}", shown=source / file.path)


def _download(dataset: Dataset, target: Path, track: Track) -> None:
    folder = f"get the files elsewhere and give their folder: edge-marl data add {dataset.name}"
    changed = "upstream has changed and the registry of edge-marl has to follow"
    for file in track(dataset.files):
        address, copy = dataset.url + file.path, target / file.path
        download(address, file.sha256, copy, DataError, f"{folder} --from FOLDER", changed)


def _check(path: Path, file: DataFile, fix: str, shown: Path | None = None) -> None:
    """Raise DataError unless a file has the size and the SHA-256 that the registry states."""
    import pooch

    name = shown or path
    if not path.is_file():
        raise DataError(f"{name}: this file of the data set is missing: {fix}")
    size = path.stat().st_size
    if size < file.size:
        raise DataError(f"{name}: cut short, {size:,} of {file.size:,} bytes: {fix}")
    if size > file.size or pooch.file_hash(str(path), alg="sha256") != file.sha256:
        raise DataError(
            f"{name}: its content is not that of the data set ({size:,} bytes; expected "
            f"{file.size:,} bytes with SHA-256 {file.sha256}): {fix}"
        )
