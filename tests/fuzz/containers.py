"""Random changes inside of packed files: what is changed is packed again, as somebody would.

A changed byte of a packed file is mostly found by its checksum, and what is inside is never seen.
"""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.fuzz.mutators import change_bytes, change_text, rounds

__all__ = ["change_archive", "change_arrays", "change_npz", "change_safetensors", "pack", "unpack"]

Arrays = dict[str, npt.NDArray[Any]]

NUMBERS = (0, 1, -1, 2, 127, 255, 65535, 2**31 - 1, 2**31, -(2**31), 2**41, 2**62, 2**63 - 1)
DESCRIPTIONS = (
    *(
        "<i8",
        ">i8",
        "<u2",
        "<i4",
        "<f8",
        "<f2",
        "|b1",
        "|O",
        "<U9",
        "|S3",
        "|V8",
        "<M8[ns]",
        "<c16",
    ),
    *("<i9", "i", "", "[('a','<i8')]", "<U999999999", "|V0", "<f16"),
)
SHAPES = (
    *("()", "(0,)", "(1,)", "(-1,)", "(2, 3)", "(1, 2, 3, 4)", "(True,)", "(1.5,)", "[1]"),
    *("('a',)", "(9999999999,)", "(99999999999999999999,)", "(0, 99999999999)", "(2**40,)"),
)
METHODS = (0, 8, 12, 14, 1, 99)


def unpack(content: bytes) -> dict[str, bytes]:
    """Return the members of a zip file."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip file of members."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def change_npz(rng: Random, content: bytes) -> bytes:
    """Change the bytes of a zip file, what it says of its members, or a member."""
    kind = rng.randint(0, 9)
    if kind == 0:
        return change_bytes(rng, content)
    if kind == 1:
        return _change_entry(rng, content)
    members = unpack(content)
    name = rng.choice(sorted(members))
    if kind == 2:
        members[rng.choice((*members, "x.npy", "../x.npy", "format", ".npy", "a\x1bb.npy"))] = (
            members.pop(name)
        )
    elif kind == 3:
        del members[name]
    elif kind == 4:
        members[rng.choice(("odd.npy", "odd", "é\n.npy"))] = members[rng.choice(sorted(members))]
    else:
        for _ in rounds(rng):
            members[name] = _change_npy(rng, members[name])
    return pack(
        members, rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED))
    )


def _change_entry(rng: Random, content: bytes) -> bytes:
    """Change flags, method, checksum or sizes in a zip file's table and, of the first, its head."""
    changed = bytearray(content)
    table = content.rfind(b"PK\x01\x02") if rng.random() < 0.5 else content.find(b"PK\x01\x02")
    field, head, form, values = rng.choice(
        (
            (8, 6, "<H", (1, 8, 0x40, 0x800, 0xFFFF)),
            (10, 8, "<H", METHODS),
            (16, 14, "<I", (0, 1, 2**32 - 1)),
            (20, 18, "<I", (0, 1, 2**31, 2**32 - 1)),
            (24, 22, "<I", (0, 1, 2**31, 2**32 - 2, 2**32 - 1)),
            (28, 26, "<H", (0, 1, 0xFFFF)),
            (42, None, "<I", (0, 7, 2**32 - 1)),
        )
    )
    value = struct.pack(form, rng.choice(values))
    changed[table + field : table + field + len(value)] = value
    if head is not None and rng.random() < 0.7:
        changed[head : head + len(value)] = value
    return bytes(changed)


def _change_npy(rng: Random, content: bytes) -> bytes:
    """Change the head of an array's file, its type or its shape there, or its values."""
    kind = rng.randint(0, 4)
    if kind == 0 or len(content) < 10:
        return change_bytes(rng, content)
    long = int.from_bytes(content[8:10], "little")
    head, body = content[10 : 10 + long], content[10 + long :]
    if kind == 1:
        return content[: 10 + long] + _change_words(rng, body)
    if kind == 2:
        head = change_text(rng, head)
    else:
        shape = rng.choice(SHAPES) if rng.random() < 0.5 else f"({len(body) // 8},)"
        order = rng.choice(("False", "False", "True", "None"))
        head = (
            f"{{'descr': {rng.choice(DESCRIPTIONS)!r}, 'fortran_order': {order}, "
            f"'shape': {shape}, }}\n"
        ).encode()
    return content[:8] + len(head[:65535]).to_bytes(2, "little") + head[:65535] + body


def _change_words(rng: Random, body: bytes) -> bytes:
    """Replace a word of eight bytes, or cut or lengthen."""
    if len(body) < 8 or rng.random() < 0.2:
        return change_bytes(rng, body)
    at = 8 * rng.randint(0, len(body) // 8 - 1)
    odd = rng.choice((*NUMBERS, np.nan, np.inf, -1e300, 0.5))
    word = struct.pack("<q" if isinstance(odd, int) else "<d", odd)
    return body[:at] + word + body[at + 8 :]


def change_arrays(rng: Random, arrays: Arrays) -> Arrays:
    """Change values, types and shapes of arrays, or which there are."""
    changed = dict(arrays)
    for _ in rounds(rng):
        name = rng.choice(sorted(changed))
        array = changed[name]
        kind = rng.randint(0, 9)
        if kind == 0 and len(changed) > 1:
            del changed[name]
        elif kind == 1:
            changed[name] = array.astype(
                rng.choice(("f8", "i4", "u8", "b1", "U3", "c16", "M8[ns]"))
            )
        elif kind == 2:
            changed[name] = array.reshape(rng.choice(((-1,), (1, *array.shape), (*array.shape, 1))))
        elif kind == 3 and array.ndim:
            changed[name] = array[: rng.randint(0, len(array))]
        elif kind == 4 and array.ndim:
            changed[name] = np.concatenate([array, array])
        elif array.size and array.dtype.kind in "iufb":
            changed[name] = _with_odd_value(rng, array)
    return changed


def _with_odd_value(rng: Random, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    changed = array.copy()
    flat = changed.reshape(-1)
    at = rng.randint(0, changed.size - 1)
    with np.errstate(all="ignore"):
        if changed.dtype.kind == "f":
            flat[at] = rng.choice((0.0, -1.0, 1e9, -1e300, np.nan, np.inf, flat[at] * 2))
        else:
            near = rng.choice((*NUMBERS, int(flat[at]) + 1, int(flat[at]) - 1))
            flat[at] = np.array(near).astype(changed.dtype)
    return changed


def change_safetensors(rng: Random, content: bytes) -> bytes:
    """Change the length, the head (JSON) or the data of a safetensors file."""
    kind = rng.randint(0, 7)
    long = int.from_bytes(content[:8], "little")
    head, body = content[8 : 8 + long], content[8 + long :]
    if kind == 0:
        return change_bytes(rng, content)
    if kind == 1:
        odd = rng.choice((0, 1, long - 1, long + 1, len(content), 2**31, 2**63, 2**64 - 1))
        return odd.to_bytes(8, "little") + content[8:]
    if kind == 2:
        return content[: 8 + long] + change_bytes(rng, body)
    if kind <= 4:
        for _ in rounds(rng):
            head = change_text(rng, head)
    else:
        head = json.dumps(_change_tensor(rng, json.loads(head))).encode()
    return len(head).to_bytes(8, "little") + head + body


def _change_tensor(rng: Random, facts: dict[str, Any]) -> dict[str, Any]:
    """Change a tensor's type, shape, place or name."""
    names = [name for name in sorted(facts) if name != "__metadata__"]
    if not names:
        return facts
    name = rng.choice(names)
    tensor = facts[name]
    kind = rng.randint(0, 4)
    if kind == 0:
        types = (
            "F64",
            "F32",
            "F16",
            "BF16",
            "I64",
            "I8",
            "U8",
            "BOOL",
            "F8_E4M3",
            "F8_E5M2",
            "U64",
            "X",
        )
        tensor["dtype"] = rng.choice(types)
    elif kind == 1:
        tensor["shape"] = rng.choice(
            ([], [0], [-1], [2**40, 2**40], [1, *tensor["shape"]], [2.5], None)
        )
    elif kind == 2:
        begin, end = tensor["data_offsets"]
        tensor["data_offsets"] = rng.choice(
            ([0, 0], [begin, end + 8], [end, begin], [0, 2**63], [-1, end])
        )
    elif kind == 3:
        facts[rng.choice(("x", "", "é\n", "__metadata__"))] = facts.pop(name)
    else:  # two in one place, of another type of the same size
        tensor["dtype"] = {"F32": "I32", "F64": "I64", "I64": "F64"}.get(tensor["dtype"], "U8")
        tensor["data_offsets"] = facts[rng.choice(names)]["data_offsets"]
    return facts


def change_archive(rng: Random, content: bytes, inside: Callable[[Random, bytes], bytes]) -> bytes:
    """Change a .gz file's bytes, or what is packed in it."""
    if rng.random() < 0.2:
        return change_bytes(rng, content)
    return gzip.compress(inside(rng, gzip.decompress(content)), 1, mtime=0)
