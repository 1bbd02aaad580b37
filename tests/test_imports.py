"""What may import what, what an import costs, and what is public."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import edge_marl

ROOT = Path(__file__).parents[1]

# Each package may import itself and those to its right; the command line puts them all together.
LAYERS = ["leaderboards", "benchmarks", "agents", "edge_marl"]
# The same within edge_marl, from what is used by all to what uses all.
MODULES = [
    {"errors", "_version"},
    {"sections"},
    {"scenario", "scenarios"},
    {"topology"},
    {"workload"},
    {"sampling"},
    {"devices"},
    {"arrivals"},
    {"data", "draw", "kernel"},
    {"game"},
    {"layout", "compiled"},
    {"packing"},
    {"utility"},
    {"simulator"},
    {"metrics", "render", "bound", "gateways"},
    {"envs"},
    {"edge_aigc_v0"},
]
COMPOSITION_ROOTS = {"cli", "cli_evaluate", "cli_scenarios", "cli_train", "testing", "__init__"}


def imports(path: Path) -> set[str]:
    """Dotted names that a file imports, in functions as well."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def test_packages_import_downwards_only() -> None:
    for rank, package in enumerate(LAYERS):
        above = {f"edge_marl.{name}" for name in LAYERS[:rank]}
        for path in (ROOT / package).rglob("*.py"):
            if package == "edge_marl" and path.stem in COMPOSITION_ROOTS:
                continue
            found = {name for name in imports(path) if any(name.startswith(up) for up in above)}
            assert not found, f"{path} imports upwards: {found}"


def test_modules_of_edge_marl_import_downwards_only() -> None:
    rank_of = {name: rank for rank, group in enumerate(MODULES) for name in group}
    for path in (ROOT / "edge_marl").rglob("*.py"):
        relative = path.relative_to(ROOT / "edge_marl").with_suffix("").parts
        if relative[0] in COMPOSITION_ROOTS:
            continue
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "edge_marl" and len(parts) > 1 and parts[1] in rank_of:
                same = parts[1] == relative[0]
                assert same or rank_of[parts[1]] <= rank_of[relative[0]], f"{path} imports {name}"


def test_every_module_has_a_place() -> None:
    placed = {name for group in MODULES for name in group} | COMPOSITION_ROOTS
    found = {path.stem for path in (ROOT / "edge_marl").iterdir() if path.suffix == ".py"}
    found |= {path.parent.name for path in (ROOT / "edge_marl").glob("*/__init__.py")}
    assert found == placed


def test_import_is_light_and_silent() -> None:
    code = "import sys, edge_marl; print(*sorted(sys.modules))"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    loaded = {name.split(".")[0] for name in run.stdout.split()}
    heavy = {"torch", "tianshou", "pandas", "matplotlib", "numba", "scipy", "pydantic", "PIL"}
    assert not loaded & heavy
    assert run.stdout.count("\n") == 1
    assert run.stderr == ""


def test_public_names_exist_and_are_listed() -> None:
    for name in edge_marl.__all__:
        assert getattr(edge_marl, name) is not None
    assert set(dir(edge_marl)) == set(edge_marl.__all__)


def test_modules_export_what_they_define() -> None:
    for path in (ROOT / "edge_marl").glob("*.py"):
        if path.stem in {"__init__", "cli", "kernel", "game", "errors", "_version"}:
            continue
        module = import_module(f"edge_marl.{path.stem}")
        for name in module.__all__:
            assert hasattr(module, name), f"{module.__name__}.{name}"


def test_nothing_of_ours_is_importable_under_a_generic_name() -> None:
    # TorchRL's wheel brings a `benchmarks` of its own, so that name alone says nothing.
    code = (
        "from importlib.util import find_spec as find\n"
        "ours = ('agents.registry', 'benchmarks.run_benchmark')\n"
        "print([n for n in ours if find(n.split('.')[0]) and find(n)])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/"
    )
    assert run.stdout.strip() == "[]"
