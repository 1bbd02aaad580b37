"""Archives of arrays: NumPy's are read as NumPy does, and nothing is taken for what it claims."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
import pytest

from edge_marl.arrays import read_arrays

HEADER = "{{'descr': {}, 'fortran_order': False, 'shape': {}, }}"


def packed(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def npy(descr: str, shape: str, body: bytes = b"") -> bytes:
    head = HEADER.format(descr, shape).encode()
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + body


def archive(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as out:
        for name, content in members.items():
            out.writestr(f"{name}.npy", content)
    return file.getvalue()


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.zeros((0, 5), np.int32),
        np.array("text"),
        np.array(["a", "\U0001f600"]),
        np.array([True, False]),
        np.arange(3, dtype=">i4"),
        np.array(7, np.uint16),
    ],
)
def test_arrays_come_back_as_they_were(array: Any) -> None:
    found = read_arrays(packed(a=array, b=np.zeros(2)), 10_000)
    assert found.keys() == {"a", "b"}
    assert found["a"].dtype == array.dtype
    np.testing.assert_array_equal(found["a"], array)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (npy("'<i8'", "(9999999999999,)"), "takes 79999999999992 bytes, it has 0"),
        (npy("'<i8'", "(-1,)", b"x" * 8), "takes -8 bytes"),
        (npy("'<i8'", "(2, -1, -1)", b"x" * 16), "it has 16"),
        (npy("'<i8'", f"(0, {10**30})"), "takes 0 bytes, it has 0"),
        (npy("'<i8'", "(2,)", b"x" * 8), "takes 16 bytes, it has 8"),
        (npy("'|O'", "()", b"x" * 8), "holds object"),
        (npy("'<M8[ns]'", "()", b"x" * 8), "holds datetime64"),
        (npy("'|b1'", "(2,)", b"\x01\x02"), "its bytes are no bool"),
        (npy("'<U1'", "()", b"\xff" * 4), "its bytes are no <U1"),
        (npy("'<i8'", "(" * 300), "no array of numbers"),
        (npy("'<i8'", "'''"), "no array of numbers"),
        (npy("'<i8'", " " * 2000), "no array of numbers"),
        (b"\x93NUMPY\x03\x00", "another version"),
        (b"", "no array of numbers"),
    ],
)
def test_what_is_no_array(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=r"^a\.npy is no array of numbers \(") as caught:
        read_arrays(archive(a=content), 10_000)
    assert reason in str(caught.value)


def test_a_truth_value_as_a_length_is_a_number() -> None:
    assert read_arrays(archive(a=npy("'<i8'", "(True,)", bytes(8))), 10_000)["a"].shape == (1,)


def changed(at: int, value: bytes) -> bytes:
    """An archive of one array with other bytes in its table of contents, and in its head."""
    content = bytearray(packed(a=np.arange(100)))
    table = content.find(b"PK\x01\x02")
    content[table + at : table + at + len(value)] = value
    content[at - 2 : at - 2 + len(value)] = value
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no whole .npz archive"),
        (b"PK\x05\x06" + bytes(17), "no whole .npz archive"),
        (changed(8, b"\x01\x00"), "password"),
        (changed(8, b"\x20\x00"), "patched"),
        (changed(16, b"1234"), "Bad CRC-32"),
        (changed(10, b"\x63\x00"), "packed by another method than deflate"),
        (changed(24, b"\xfe\xff\xff\xff"), "unpacks to 4294967294 bytes: at most 10000"),
        (packed(a=np.zeros(700), b=np.zeros(700)), "b.npy unpacks to 5728 bytes: at most 4272"),
        (packed(**{f"a{k}": np.zeros(1) for k in range(40)}), "at most 32"),
        (packed(c=np.zeros(1)), r"holds c.npy: must hold a.npy and b.npy"),
    ],
)
def test_what_is_no_archive_of_such_arrays(content: bytes, reason: str) -> None:
    wanted = ("a", "b") if b"c.npy" in content else ()
    with pytest.raises(ValueError, match=reason):
        read_arrays(content, 10_000, wanted)
