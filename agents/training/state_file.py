"""A training's state on disk: nested dicts and lists of arrays and numbers in one safetensors file.

The arrays are the file's tensors, what holds them together is JSON in its header. No pickle: a file
from somebody else cannot run code. Written under another name and then renamed, so that a run that
is killed leaves the last whole state behind.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from edge_marl.errors import AgentError
from edge_marl.files import new_file

__all__ = ["read_state", "write_state"]

Tree = Any
"""Dicts (keys: text or whole numbers), lists and tuples (which come back as lists) of tensors,
NumPy arrays, numbers, text, truth values and None."""

FORMAT = "edge-marl-training-1"


def write_state(path: Path, state: Tree) -> None:
    """Write a state to a file, in one step: the old file or the new one is there, never half.

    Raises:
        AgentError: if the file cannot be written.
    """
    arrays: dict[str, Any] = {}
    structure = json.dumps(_take_apart(state, arrays))
    with new_file(path, AgentError) as part:
        try:
            save_file(arrays, part, {"format": FORMAT, "structure": structure})
        except SafetensorError as error:  # its own name for what the system says
            raise OSError(str(error)) from error


def read_state(path: Path) -> Tree:
    """Return the state that `write_state` wrote.

    Raises:
        AgentError: no such file, damaged, or of another format.
    """
    try:
        with safe_open(path, "numpy") as file:
            facts = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise AgentError(f"{path}: no readable state of a training ({error})") from None
    if facts.get("format") != FORMAT:
        raise AgentError(
            f"{path}: format {facts.get('format')!r}: this version of edge-marl goes on with "
            f"'{FORMAT}'; train anew in another folder"
        )
    try:
        return _put_together(json.loads(facts["structure"]), arrays)
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise AgentError(f"{path}: not a state that edge-marl wrote ({reason})") from None


def _take_apart(tree: Tree, arrays: dict[str, Any]) -> Any:
    """Return a tree as JSON can hold it, its arrays put into `arrays`."""
    if isinstance(tree, dict):
        # A list of pairs: JSON has no whole numbers as keys, optimisers' states do.
        return {"dict": [[key, _take_apart(value, arrays)] for key, value in tree.items()]}
    if isinstance(tree, list | tuple):
        return [_take_apart(value, arrays) for value in tree]
    if isinstance(tree, torch.Tensor):
        return {"tensor": _add(tree.detach().numpy(), arrays)}
    if isinstance(tree, np.ndarray):
        return {"array": _add(tree, arrays)}
    if isinstance(tree, np.generic):
        # Not as a number of Python's: arithmetic goes on in the precision that it has.
        return {"scalar": _add(np.asarray(tree), arrays)}
    return tree


def _add(array: Any, arrays: dict[str, Any]) -> str:
    name = str(len(arrays))
    arrays[name] = np.ascontiguousarray(array).reshape(array.shape)
    return name


def _put_together(tree: Any, arrays: dict[str, Any]) -> Tree:
    if isinstance(tree, list):
        return [_put_together(value, arrays) for value in tree]
    if not isinstance(tree, dict):
        return tree
    if "dict" in tree:
        return {key: _put_together(value, arrays) for key, value in tree["dict"]}
    if "tensor" in tree:
        return torch.from_numpy(arrays[tree["tensor"]])
    return arrays[tree["scalar"]][()] if "scalar" in tree else arrays[tree["array"]]
