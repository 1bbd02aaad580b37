"""Arrays in `.npz` files that anybody may have written: bounded, plain, nothing unpickled."""

from __future__ import annotations

import io
import math
import sys
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["read_arrays"]

MOST_ARRAYS = 32
LONGEST_HEADER = 1000
PLAIN = "biufU"
"""Kinds of what an array may hold: truth values, numbers and text."""

DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError),
    *(NotImplementedError, RuntimeError),  # of ways to pack: unknown, encrypted
)
"""What `zipfile` raises on a file that is none, or that something has happened to."""

NO_HEADER = (
    *(ValueError, TypeError, OverflowError, SyntaxError, RecursionError, MemoryError),
    *(tokenize.TokenError, Warning),
)
"""What NumPy raises on an array's head, which it reads as a literal of Python's."""

HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_arrays(
    content: bytes, most: int, wanted: Collection[str] = ()
) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of an `.npz` file by name; they cannot be written to.

    Args:
        content: of the file.
        most: bytes that they may take unpacked, all together.
        wanted: names of those that must be there, and no others; none allows any.

    Raises:
        ValueError: what is wrong with the file, for a message that names it.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            packed = {}
            for info in _members(archive, wanted):
                packed[info.filename] = _unpack(archive, info, most)
                most -= len(packed[info.filename])
    except _Refused:
        raise
    except DAMAGED as error:
        raise ValueError(f"no whole .npz archive ({error})") from None
    return {name.removesuffix(".npy"): _array(name, packed.pop(name)) for name in list(packed)}


class _Refused(ValueError):
    """An archive that is whole, and not what it must be."""


def _members(archive: zipfile.ZipFile, wanted: Collection[str]) -> list[zipfile.ZipInfo]:
    members = archive.infolist()
    names = sorted(info.filename for info in members)
    needed = sorted(f"{name}.npy" for name in wanted)
    once = len(set(names)) == len(names) <= MOST_ARRAYS
    if not once or (needed and names != needed) or not all(n.endswith(".npy") for n in names):
        must = " and ".join(needed) or f"arrays (.npy), each once and at most {MOST_ARRAYS}"
        raise _Refused(f"holds {', '.join(names)[:200] or 'nothing'}: must hold {must}")
    for info in members:
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _Refused(f"{info.filename} is packed by another method than deflate")
    return members


def _unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> bytes:
    # The size that the archive's table says is a claim like any other.
    size = info.file_size
    if size <= most:
        with archive.open(info) as stream:
            content = stream.read(most + 1)
        if len(content) <= most:
            return content
        size = len(content)
    raise _Refused(f"{info.filename} unpacks to {size} bytes: at most {most} are allowed")


def _array(name: str, content: bytes) -> npt.NDArray[Any]:
    """The array in the content of an `.npy` file, in place: no room is made for what it claims."""
    stream = io.BytesIO(content)
    try:
        read_header = HEADERS[np.lib.format.read_magic(stream)]
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what NumPy would put right is not what was written
            shape, is_fortran, dtype = read_header(stream, max_header_size=LONGEST_HEADER)
    except KeyError:
        raise _no_array(name, "another version of .npy than 1.0 and 2.0") from None
    except NO_HEADER as error:
        raise _no_array(name, " ".join(str(error).split())) from None
    shape = tuple(map(int, shape))  # a truth value is a whole number of Python's
    size = math.prod(shape) * dtype.itemsize
    here = len(content) - stream.tell()
    if dtype.kind not in PLAIN:
        raise _no_array(name, f"it holds {dtype}")
    if size != here or not all(0 <= length <= len(content) for length in shape):
        raise _no_array(name, f"{dtype} {shape} takes {size} bytes, it has {here}")
    array: npt.NDArray[Any] = np.ndarray(
        shape, dtype, content, stream.tell(), order="F" if is_fortran else "C"
    )
    if not _has_values(array):
        raise _no_array(name, f"its bytes are no {dtype}")
    return array


def _no_array(name: str, reason: str) -> ValueError:
    return ValueError(f"{name} is no array of numbers ({reason[:120]})")


def _has_values(array: npt.NDArray[Any]) -> bool:
    """Whether the bytes of truth values and text are some."""
    if array.dtype.kind == "b":
        return bool((array.view(np.uint8) <= 1).all())
    if array.dtype.kind == "U" and array.nbytes:
        code = np.dtype(np.uint32).newbyteorder(array.dtype.byteorder)
        return bool((np.frombuffer(array.tobytes(), code) <= sys.maxunicode).all())
    return True
