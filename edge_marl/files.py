"""Files and folders that are there whole or not at all, and where the caches are.

Everything is written beside its place, brought to the disk and renamed: at any moment the old or
the new one is there. The name beside is drawn anew, since two processes may write one file at once.
What is downloaded is what was promised, by its SHA-256, or nothing.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

__all__ = ["CACHE_VARIABLE", "cache_folder", "download", "new_file", "new_folder", "write_file"]

CACHE_VARIABLE = "EDGE_MARL_CACHE"
"""Environment variable that names the folder of the caches."""


def cache_folder() -> Path:
    """Return the folder of all caches: `$EDGE_MARL_CACHE`, or else the user's cache folder.

    A `~` is the home folder, as it is to a shell that is not told the value in quotes.
    """
    named = os.environ.get(CACHE_VARIABLE) or platformdirs.user_cache_dir("edge-marl")
    return Path(os.path.expanduser(named))


def write_file(path: Path, content: bytes | str, failure: type[Exception]) -> None:
    """Write a file in one step, text as UTF-8; its folder is made.

    Args:
        path: where to.
        content: all of it.
        failure: what is raised if that is not possible.
    """
    with new_file(path, failure) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def new_file(path: Path, failure: type[Exception]) -> Iterator[Path]:
    """Give the path of a file to write, and put it in place of `path` when it is written.

    Args:
        path: where to; its folder is made.
        failure: what is raised where the system does not let us.
    """
    part = _beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        _bring_to_disk(part)
        part.replace(path)
        _bring_to_disk(path.parent)
    except OSError as error:
        raise failure(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:  # an interrupt leaves no part behind either
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path, failure: type[Exception], fix: str = "") -> Iterator[Path]:
    """Give a new empty folder to fill, and put it in place of `path` when it is filled.

    Args:
        path: where to; the folder that it lies in is made. What is there already is replaced.
        failure: what is raised where the system does not let us.
        fix: what can be done then, for its message.
    """
    part, old = _beside(path), _beside(path)
    try:
        part.mkdir(parents=True)
        yield part
        for inside in part.rglob("*"):
            _bring_to_disk(inside)
        if path.exists():
            path.rename(old)
        part.rename(path)
        _bring_to_disk(path.parent)
    except OSError as error:
        reason = f"cannot be written ({error.strerror or error})"
        raise failure(f"{path}: {reason}{fix and ': '}{fix}") from error
    finally:
        if old.exists() and not path.exists():  # cut short between the two renames
            old.rename(path)
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def download(
    address: str, sha256: str, place: Path, failure: type[Exception], fix: str, changed: str
) -> None:
    """Download a file by pooch, which checks its SHA-256 before it moves it into its place.

    Args:
        address: http or https.
        sha256: of its content, in hexadecimal.
        place: where to; its folder is made.
        failure: what is raised where it cannot be had, or is another.
        fix: what can be done without a network, for its message.
        changed: what has happened if it stays another file, likewise.
    """
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")
    get = pooch.HTTPDownloader(timeout=30)
    try:
        pooch.retrieve(address, f"sha256:{sha256}", place.name, place.parent, downloader=get)
    except requests.exceptions.RequestException as error:
        kind = type(error).__name__
        raise failure(
            f"{address}: cannot be downloaded ({kind}): check the network, or {fix}"
        ) from None
    except ValueError:
        raise failure(
            f"{address}: what was downloaded has another SHA-256 than {sha256}: try again; if it "
            f"stays so, {changed}"
        ) from None


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")


def _bring_to_disk(path: Path) -> None:
    """Have the system write out what it holds in memory of a file, or of a folder's entries."""
    if path.is_dir() and os.name == "nt":  # Windows opens no folders
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
