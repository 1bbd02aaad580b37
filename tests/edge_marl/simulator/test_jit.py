"""Compiled code is kept on disk where there is a place for it, and does without otherwise."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Any

import numba
import pytest

import edge_marl
from edge_marl import jit

PACKAGE = Path(edge_marl.__file__).parent

CODE = """
import warnings
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    import edge_marl.bound.base, edge_marl.bound.extended_prices, edge_marl.simulator.compiled
    from edge_marl.workload import sampling
print(edge_marl.__file__)
print(*(str(one.message) for one in told if "NUMBA_CACHE_DIR" in str(one.message)), sep="\\n")
from edge_marl.jit import jit
assert jit(lambda number: number + 1)(1) == 2
"""


def test_without_a_folder_for_compiled_code(tmp_path: Path) -> None:
    """As in a read-only install that is used by someone without a home."""
    copy = tmp_path / "edge_marl"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "*.npz"))
    for folder in [copy, *(path for path in copy.rglob("*") if path.is_dir())]:
        (folder / "__pycache__").touch()  # not even the superuser can make the folder
    nowhere = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR"), "/dev/null/none")
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env=os.environ | nowhere | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    place, *told = done.stdout.splitlines()
    assert Path(place).parent == copy
    assert len(told) == 1
    assert "set the environment variable NUMBA_CACHE_DIR to a folder" in told[0]


def test_a_cached_function_does_not_outlive_a_change_of_its_folder(tmp_path: Path) -> None:
    """Numba itself looks at the function's own file only."""
    (tmp_path / "inner.py").write_text(
        "from edge_marl.jit import jit\n@jit\ndef number():\n    return 1\n"
    )
    (tmp_path / "outer.py").write_text(
        "from edge_marl.jit import jit\nfrom inner import number\n"
        "@jit\ndef twice():\n    return 2 * number()\nprint(twice())\n"
    )
    said = []
    for other in ("return 1", "return 4"):
        inner = tmp_path / "inner.py"
        inner.write_text(inner.read_text().replace("return 1", other))
        run = [sys.executable, str(tmp_path / "outer.py")]
        said.append(subprocess.run(run, capture_output=True, text=True, check=True).stdout)
    assert said == ["2\n", "8\n"]


class Terminal(io.StringIO):
    """Somebody looks at it."""

    def isatty(self) -> bool:
        return True


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="compiles")
@pytest.mark.parametrize(("stream", "lines"), [(Terminal, 1), (io.StringIO, 0)])
def test_who_waits_at_a_terminal_is_told_why_and_once(
    stream: type[io.StringIO], lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, told = stream(), threading.Event()
    say = jit._say_once.__wrapped__

    def slow(*arguments: Any, **options: Any) -> Any:
        assert told.wait(60)
        return lambda body: body

    def once() -> None:
        say()
        told.set()

    monkeypatch.setattr(jit, "PATIENCE_S", 0.0)
    monkeypatch.setattr(jit, "_say_once", cache(once))
    monkeypatch.setattr(sys, "stderr", said)
    monkeypatch.setattr(numba, "cfunc", slow)
    for _ in range(3):
        jit.c_function(lambda number: number, numba.int64(numba.int64))
    assert said.getvalue().count("compiling the simulator") == lines
