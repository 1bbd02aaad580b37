"""How Numba translates a part of a program (`jit.part`): with no step that parts do not need.

A type of argument may have facts: what some elements of its arrays always are. Branches that these
rule out are not translated, nor is what only they call.
"""

from __future__ import annotations

import gc
import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import ir
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, Flags, compile_extra
from numba.core.compiler_machinery import FunctionPass, PassManager, register_pass
from numba.core.ir_utils import get_definition, guard
from numba.core.registry import cpu_target
from numba.core.typed_passes import (
    AnnotateTypes,
    IRLegalization,
    NativeLowering,
    NoPythonBackend,
    NopythonTypeInference,
    PreLowerStripPhis,
)
from numba.core.untyped_passes import (
    DeadBranchPrune,
    FixupArgs,
    GenericRewrites,
    IRProcessing,
    ReconstructSSA,
    TranslateByteCode,
)

__all__ = ["translate"]


class _PartLibrary(JITCodeLibrary):
    """The code of a part, and of those that it calls, as it was translated.

    Of its base class's two steps that take long, it leaves out both; a Numba that names them
    otherwise takes them, and longer.
    """

    def _optimize_final_module(self) -> None:
        """Do not optimise it."""

    def _finalize_final_module(self) -> None:
        """Do not make machine code of it."""
        self._finalized = True


@register_pass(mutates_CFG=False, analysis_only=False)
class _FillFacts(FunctionPass):
    """Write constants for what facts of the arguments say, and for comparisons with them."""

    _name = "fill_facts"

    def __init__(self) -> None:
        """Numba asks for one."""
        super().__init__()

    def run_pass(self, state: Any) -> bool:
        """Return whether there was any."""
        found = False
        for block in state.func_ir.blocks.values():
            for assignment in block.find_insts(ir.Assign):
                value = guard(_value_of, state, assignment.value)
                if value is not None:
                    constant = ir.Const(value, assignment.loc)
                    definitions = state.func_ir._definitions[assignment.target.name]
                    definitions[definitions.index(assignment.value)] = constant
                    assignment.value = constant
                    found = True
        return found


def _value_of(state: Any, value: Any) -> Any:
    """Return what an expression is: `argument.array[NAME]` or a comparison; None: unknown."""

    def defined(variable: Any) -> Any:
        return get_definition(state.func_ir, variable)

    if not isinstance(value, ir.Expr):
        return None
    if value.op == "getitem":
        array, index = defined(value.value), defined(value.index)
        if not isinstance(array, ir.Expr) or array.op != "getattr":
            return None
        argument = defined(array.value)
        if not isinstance(argument, ir.Arg) or not isinstance(index, ir.Global | ir.Const):
            return None
        facts = getattr(state.args[argument.index], "facts", {})
        return facts.get((array.attr, index.value))
    if value.op == "binop" and value.fn is operator.eq:
        sides = defined(value.lhs), defined(value.rhs)
        if all(isinstance(side, ir.Const) for side in sides):
            return bool(sides[0].value == sides[1].value)
    return None


class _PartCompiler(CompilerBase):
    """Numba's steps for compiled code, but for those that change nothing in parts."""

    def define_pipelines(self) -> list[Any]:
        """Return the steps."""
        steps = PassManager("part")
        for step in (
            *(TranslateByteCode, FixupArgs, IRProcessing, _FillFacts, DeadBranchPrune),
            *(GenericRewrites, ReconstructSSA, NopythonTypeInference, PreLowerStripPhis),
            *(IRLegalization, AnnotateTypes, NativeLowering, NoPythonBackend),
        ):
            steps.add_pass(step, step.__name__)
        steps.finalize()
        return [steps]


def translate(body: Callable[..., Any], kinds: tuple[Any, ...], inline: bool) -> Any:
    """Return Numba's result for a part: its signature, and a library with its code.

    Args:
        body: the function.
        kinds: Numba's types of its arguments.
        inline: whether it is written out wherever it is called; LLVM decides if not.
    """
    with _without_collecting():
        return _translate(body, kinds, inline)


def _translate(body: Callable[..., Any], kinds: tuple[Any, ...], inline: bool) -> Any:
    context = cpu_target.target_context
    flags = Flags()
    flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
    flags.forceinline, flags.error_model, flags.nrt = inline, "numpy", True
    library = _PartLibrary(context.codegen(), body.__name__)
    return compile_extra(
        *(cpu_target.typing_context, context, body, kinds, None, flags, {}),
        library=library,
        pipeline_class=_PartCompiler,
    )


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Keep Python from looking for garbage, which takes a sixth of a translation's time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
