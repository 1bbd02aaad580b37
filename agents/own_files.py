"""A user's own code: the files that an agent is made of and that nobody has installed.

They are found by reading, not by running: so what is imported only later, inside a function, is
found as well, and nothing runs where it must not.
"""

from __future__ import annotations

import ast
import sys
import sysconfig
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

__all__ = ["file_of", "let_import_beside", "own_sources"]

STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib")).resolve()
INSTALLED = {"site-packages", "dist-packages"}
"""Folders that installers fill."""

_beside: list[str] = []
"""Folders of agents' files that were put on `sys.path`, the last one's first."""


def file_of(place: str) -> Path:
    """Return the file of `module` or `file.py`; there may be none. Nothing is imported."""
    if place.endswith(".py"):
        return Path(place)
    top, *parts = place.split(".")
    spec = _find(top, None)
    for part in parts:
        inside = spec and spec.submodule_search_locations
        spec = PathFinder.find_spec(f"{spec.name}.{part}", inside) if spec and inside else None
    return Path(spec.origin if spec and spec.has_location and spec.origin else place)


def own_sources(place: str) -> dict[str, Path]:
    """Return the files of `module` or `file.py` by name: its own, and what it needs of the user's.

    That is every module that it imports by name, directly or through others, and that is neither
    installed nor of the standard library; a package counts whole. What is loaded by path, or by a
    name that is made up at run time, is not found.
    """
    found = {"": file_of(place)}
    for spec in _imported(place).values():
        found |= _files(spec)
    return found


def let_import_beside(file: Path) -> None:
    """Let an agent's file import what lies beside it, as a script can.

    Its folder comes last on `sys.path`, so that nothing there stands in for a library. Where
    another agent's file has brought a module of the same name, this one gets its own.
    """
    folder = str(file.resolve().parent)
    for name, spec in _imported(str(file)).items():
        old = getattr(sys.modules.get(name), "__spec__", None)
        if old is not None and _home(old) in _beside and _home(old) != _home(spec):
            for loaded in [key for key in sys.modules if key.partition(".")[0] == name]:
                del sys.modules[loaded]
    sys.path[:] = [entry for entry in sys.path if entry not in _beside]
    if folder not in sys.path:
        _beside[:] = [folder, *(other for other in _beside if other != folder)]
    sys.path.extend(_beside)


def _imported(place: str) -> dict[str, ModuleSpec]:
    """Return the top-level modules that `module` or `file.py` needs and nobody installed."""
    found: dict[str, ModuleSpec] = {}
    if place.endswith(".py"):
        folder, names = str(Path(place).resolve().parent), _names(Path(place))
    else:
        folder, names = None, {place.partition(".")[0]}
    asked = {"edge_marl"}  # whose sources have a digest of their own
    while names := names - asked:
        asked |= names
        specs = {name: spec for name in sorted(names) if (spec := _find(name, folder))}
        new = {name: spec for name, spec in specs.items() if not _is_installed(spec)}
        found |= new
        names = {
            name for spec in new.values() for path in _files(spec).values() for name in _names(path)
        }
    return found


def _find(name: str, folder: str | None) -> ModuleSpec | None:
    """Find a top-level module where an import would, other agents' folders left out."""
    path = [entry for entry in sys.path if entry not in _beside]
    if folder is not None:
        path.append(folder)
    for finder in sys.meta_path:
        spec = finder.find_spec(name, path if finder is PathFinder else None)
        if spec is not None:
            return spec
    return None


def _is_installed(spec: ModuleSpec) -> bool:
    places = [spec.origin] if spec.has_location and spec.origin else []
    paths = [
        Path(place).resolve() for place in places + list(spec.submodule_search_locations or [])
    ]
    return not paths or any(_lies_in_library(path) for path in paths)


def _lies_in_library(path: Path) -> bool:
    return not INSTALLED.isdisjoint(path.parts) or path.is_relative_to(STANDARD_LIBRARY)


def _home(spec: ModuleSpec) -> str | None:
    """Folder that a top-level module lies in."""
    place = next(iter(spec.submodule_search_locations or []), spec.origin)
    return str(Path(place).resolve().parent) if place else None


def _files(spec: ModuleSpec) -> dict[str, Path]:
    """Return a module's file, or all of a package, by name."""
    if spec.submodule_search_locations is None:
        return {f"{spec.name}.py": Path(str(spec.origin))}
    return {
        f"{spec.name}/{path.relative_to(folder).as_posix()}": path
        for folder in map(Path, spec.submodule_search_locations)
        for path in folder.rglob("*.py")
        if not _lies_in_library(path)
    }


def _names(path: Path) -> set[str]:
    """Return the top-level modules that a file imports, wherever in it."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return set()  # whoever imports it will say so
    return {name.partition(".")[0] for node in ast.walk(tree) for name in _asked(node)}


def _asked(node: ast.AST) -> Iterator[str]:
    """Yield what a node imports; a relative import stays in its package."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.level == 0:
        yield str(node.module)
    elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        called = getattr(node.func, "attr", getattr(node.func, "id", None))
        if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
            yield node.args[0].value
