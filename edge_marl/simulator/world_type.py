"""`World` in compiled code: the address of a table that says where its arrays are.

To Numba a tuple of arrays is some 250 numbers, which every function takes and hands on, and whose
owners it counts; a World of this type is one number. What the table says never changes while
compiled code runs, which LLVM is told, so that it is read once, and only where it is needed; so
are lengths that are the same for all scenarios, and that arrays of different types never overlap.

Indices count from the front: a negative one would read what lies before an array. No body of the
kernel has one (`tests/edge_marl/simulator/test_world_type.py`).
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core.cgutils import unpack_tuple
from numba.core.datamodel import PrimitiveModel
from numba.core.typing.templates import (
    AbstractTemplate,
    AttributeTemplate,
    infer_getattr,
    infer_global,
    signature,
)
from numba.extending import intrinsic, lower_builtin, lower_getattr_generic, register_model
from numba.np.numpy_support import from_dtype

from edge_marl.kernel.world import ARRAYS, EXTENDED, TERMS, Array

__all__ = ["WORLDS_AT", "ColumnsType", "address_table", "place_of", "world_at"]

WORD = ir.IntType(64)
BYTES_OF_WORD = 8

MODELS = {
    "base": {EXTENDED: 0, TERMS: 0},
    "extended": {EXTENDED: 1, TERMS: 0},
    "terms": {EXTENDED: 1, TERMS: 1},
}
"""The models (`Scenario.model`), and what `spec` says where they are on."""

TABLE_SHAPE = (len(ARRAYS), 1 + max(len(array.axes) for array in ARRAYS.values()))


def address_table(arrays: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
    """Return a row (address, shape, zeros) per array, in the order of `World`.

    The caller keeps the table and the arrays, C-contiguous, for as long as it uses the address.
    """
    table = np.zeros(TABLE_SHAPE, dtype=np.int64)
    for row, array in zip(table, arrays, strict=True):
        row[0] = array.ctypes.data
        row[1 : 1 + array.ndim] = array.shape
    return table


class WorldType(types.Type):
    """The address of a table.

    Args:
        model: of its scenario, where that is known: then what others have is left out
            (`translation.py`).
    """

    def __init__(self, model: str | None = None) -> None:
        known = {} if model is None else MODELS[model]
        self.facts = {("spec", entry): value for entry, value in known.items()}
        super().__init__(name=f"World({model})")


class ColumnsType(types.Type):
    """The address of a row of a table: one of the arrays of `World`.

    Args:
        array: what `World` says of it. Arrays that it says the same of are of one type.
    """

    def __init__(self, array: Array) -> None:
        self.dtype = from_dtype(np.dtype(array.dtype))
        self.lengths = tuple(axis if isinstance(axis, int) else None for axis in array.axes)
        super().__init__(name=f"Columns({self.dtype}, {self.lengths})")

    @property
    def constant(self) -> bool:
        """Whether it has no axis of a scenario's size: then no compiled code writes to it."""
        return None not in self.lengths


COLUMNS = {name: ColumnsType(array) for name, array in ARRAYS.items()}


@register_model(WorldType)
@register_model(ColumnsType)
class Address(PrimitiveModel):
    """Both are one word."""

    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, WORD)


def _reading(model: str | None) -> Any:
    """Return compiled code's function from the address of an address table to a `World`."""
    kind = WorldType(model)

    def world(typing_context: Any, address: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            return values[0]

        return kind(types.int64), build

    return intrinsic(world)


world_at = _reading(None)
"""The `World` of the arrays of the address table at an address."""

WORLDS_AT = {model: _reading(model) for model in MODELS}
"""`world_at` by model: it has to be that one."""


# What bodies do with them, typed: `w.name`, `array[...]`, `array[...] = value`, `array.shape` and
# `len(array)`.


@infer_getattr
class _WorldAttributes(AttributeTemplate):
    key = WorldType

    def generic_resolve(self, world: Any, name: str) -> Any:
        return COLUMNS.get(name)


@infer_getattr
class _ColumnsAttributes(AttributeTemplate):
    key = ColumnsType

    def resolve_shape(self, array: ColumnsType) -> Any:
        return types.UniTuple(types.int64, len(array.lengths))


@infer_global(len)
class _Length(AbstractTemplate):
    def generic(self, arguments: Any, named: Any) -> Any:
        (array,) = arguments
        return signature(types.int64, array) if isinstance(array, ColumnsType) else None


@infer_global(operator.getitem)
class _Read(AbstractTemplate):
    def generic(self, arguments: Any, named: Any) -> Any:
        array, index = arguments
        if not isinstance(array, ColumnsType) or not _fits(array, index):
            return None
        return signature(array.dtype, array, _wide(index))


@infer_global(operator.setitem)
class _Write(AbstractTemplate):
    def generic(self, arguments: Any, named: Any) -> Any:
        array, index, _ = arguments
        if not isinstance(array, ColumnsType) or not _fits(array, index) or array.constant:
            return None
        return signature(types.none, array, _wide(index), array.dtype)


def _fits(array: ColumnsType, index: Any) -> bool:
    """Whether an index is of one element."""
    parts = tuple(index) if isinstance(index, types.BaseTuple) else (index,)
    whole = all(isinstance(part, types.Integer) for part in parts)
    return whole and len(parts) == len(array.lengths)


def _wide(index: Any) -> Any:
    """Return the type that an index is converted to."""
    is_tuple = isinstance(index, types.BaseTuple)
    return types.UniTuple(types.int64, len(index)) if is_tuple else types.int64


# The same, written in LLVM's terms.


@lower_getattr_generic(WorldType)
def _row_of(context: Any, builder: Any, kind: Any, world: Any, name: str) -> Any:
    before = list(ARRAYS).index(name) * TABLE_SHAPE[1]
    return builder.add(world, WORD(before * BYTES_OF_WORD))


@lower_getattr_generic(ColumnsType)
def _shape_of(context: Any, builder: Any, kind: ColumnsType, row: Any, name: str) -> Any:
    lengths = [_length(builder, kind, row, axis) for axis in range(len(kind.lengths))]
    return context.make_tuple(builder, types.UniTuple(types.int64, len(lengths)), lengths)


@lower_builtin(len, ColumnsType)
def _length_of(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    return _length(builder, signature.args[0], values[0], 0)


@lower_builtin(operator.getitem, ColumnsType, types.Any)
def _read(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    array, index = signature.args
    value = builder.load(
        place_of(context, builder, array, values[0], _parts(builder, index, values[1]))
    )
    if array.constant:
        _say_invariant(builder, value)
    _say_type(builder, array, value)
    return value


@lower_builtin(operator.setitem, ColumnsType, types.Any, types.Any)
def _write(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    array, index, _ = signature.args
    place = place_of(context, builder, array, values[0], _parts(builder, index, values[1]))
    _say_type(builder, array, builder.store(values[2], place))
    return context.get_dummy_value()


def place_of(context: Any, builder: Any, array: ColumnsType, row: Any, index: Sequence[Any]) -> Any:
    """Return a pointer to an element.

    Args:
        context: the target's.
        builder: where the code goes.
        array: type of the array.
        row: value of the array.
        index: a 64-bit value per axis.
    """
    at = index[0]
    for axis, part in enumerate(index[1:], start=1):
        at = builder.add(builder.mul(at, _length(builder, array, row, axis)), part)
    element = context.get_data_type(array.dtype).as_pointer()
    return builder.gep(builder.inttoptr(_entry(builder, row, 0), element), [at])


def _parts(builder: Any, index: Any, value: Any) -> Sequence[Any]:
    parts: Sequence[Any] = (
        unpack_tuple(builder, value) if isinstance(index, types.BaseTuple) else [value]
    )
    return parts


def _length(builder: Any, array: ColumnsType, row: Any, axis: int) -> Any:
    known = array.lengths[axis]
    return _entry(builder, row, 1 + axis) if known is None else WORD(known)


def _entry(builder: Any, row: Any, column: int) -> Any:
    """Return what a row of the table says."""
    address = builder.add(row, WORD(column * BYTES_OF_WORD))
    entry = builder.load(builder.inttoptr(address, WORD.as_pointer()))
    _say_invariant(builder, entry)
    return entry


def _say_invariant(builder: Any, load: Any) -> None:
    """Tell LLVM that what is loaded never changes."""
    load.set_metadata("invariant.load", builder.module.add_metadata([]))


def _say_type(builder: Any, array: ColumnsType, access: Any) -> None:
    """Tell LLVM that this does not touch what is said to be of another type."""
    note = builder.module.add_metadata
    kind = note([str(array.dtype), note(["edge-marl"]), WORD(0)])
    access.set_metadata("tbaa", note([kind, kind, WORD(0)]))
