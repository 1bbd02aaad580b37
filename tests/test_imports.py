"""What may import what, what an import costs, and what is public."""

import ast
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

import pytest

import edge_marl

ROOT = Path(__file__).parents[1]

PACKAGES = {
    "edge_marl": [
        *(
            {"errors", "_version", "tables", "translation"},
            {"arrays", "files", "console", "jit", "memory", "tiers", "kernel"},
            {"scenario"},
        ),
        *({"workload", "layout"}, {"data"}, {"draw"}, {"simulator"}, {"metrics"}),
        *({"bound"}, {"envs"}, {"edge_aigc_v0", "gpu"}, {"serving"}),
    ],
    "agents": [
        *({"checkpoint", "own_files", "streams"}, {"base"}, {"own_code"}),
        *({"play", "registry"}, {"heuristics", "pretrained", "recording"}, {"networks"}),
        *({"policy_agent"}, {"training"}, {"on_tianshou"}),
        {"outcome", "policy_gradient", "soft_actor_critic", "value_based"},
        {"centralised", "independent", "published_diffusion"},
        {"planning", "references"},
    ],
    "benchmarks": [
        *({"suites"}, {"plan"}, {"records"}, {"run", "report"}, {"speed"}),
        {"robustness", "calibration"},
        {"release", "study", "measure"},
    ],
    "leaderboards": [{"submission"}, {"policies"}, {"verification", "boards"}, {"findings"}],
}
"""The four packages and their parts, from what is used by all to what uses all. Each part may
import those before it, and each package those before it."""

COMPOSITION_ROOT = (
    *("edge_marl/cli", "edge_marl/__main__.py"),
    *("benchmarks/calls.py", "edge_marl/testing.py"),
)
"""What knows all parts, by path: it may import anything, and only what lies above imports it."""

MAINTAINERS = {f"edge_marl.benchmarks.{name}" for name in ("measure", "release", "study")}
MAINTAINERS |= {"edge_marl.leaderboards.findings"}
"""Tools of a checkout."""

ABOVE = ("benchmarks/run_benchmark.py",)
"""Scripts that start a command from a file."""


def sources() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "edge_marl" else ("edge_marl", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in sources()}


def imports(path: Path) -> set[str]:
    """Modules of ours that a file imports, in functions and for type checkers as well."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inside = f"{node.module}.{alias.name}"
                names.add(inside if inside in MODULES else node.module)
    return names & MODULES.keys()


def is_root(path: Path) -> bool:
    place = path.relative_to(ROOT).as_posix()
    return place.startswith(COMPOSITION_ROOT) or place in ABOVE


def rank(module: str) -> tuple[int, int] | None:
    """Place of a module: of its package, and of its part in it (None: it holds no part's code)."""
    parts = module.split(".")
    package = parts[1] if len(parts) > 1 and parts[1] in PACKAGES else "edge_marl"
    inside = parts[1:] if package == "edge_marl" else parts[2:]
    if not inside:
        return None
    found = [i for i, group in enumerate(PACKAGES[package]) if inside[0] in group]
    assert found, f"{module}: give '{inside[0]}' a place in PACKAGES (tests/test_imports.py)"
    return list(PACKAGES).index(package), found[0]


def part(module: str) -> tuple[str, ...]:
    """The part that a module lies in: a folder of a package, or a file beside them."""
    parts = module.split(".")
    return tuple(parts[:3]) if len(parts) > 1 and parts[1] in PACKAGES else tuple(parts[:2])


def test_nothing_imports_upwards_or_sideways() -> None:
    for module, path in MODULES.items():
        if is_root(path) or (here := rank(module)) is None:
            continue
        for name in imports(path):
            assert not is_root(MODULES[name]), f"{path} imports the composition root: {name}"
            there = rank(name)
            below = there is None or there < here or part(name) == part(module)
            assert below, f"{path} imports {name}, which is not below it"


def test_no_import_goes_in_a_circle() -> None:
    """No module reaches itself; imports of a package by its parts' importers are not counted."""
    arrows = {module: imports(path) - {module} for module, path in MODULES.items()}
    while arrows:
        free = {module for module, names in arrows.items() if not names & arrows.keys()}
        assert free, f"these import one another: {sorted(arrows)}"
        arrows = {module: names for module, names in arrows.items() if module not in free}


def test_every_part_has_a_place() -> None:
    for package, layers in PACKAGES.items():
        found = {path.stem for path in (ROOT / package).glob("*.py")}
        found |= {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
        beside = {"__init__", "__main__", "calls", "cli", "testing", "run_benchmark"}
        assert found - beside == set().union(*layers)


def test_the_list_of_packages_is_that_of_the_folders() -> None:
    """But for maintainers' tools, which write into the sources: no wheel has them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    listed = project["tool"]["setuptools"]["packages"]
    folders = {path.parent for path in sources() if path.name == "__init__.py"}
    folders |= {path.parent for path in (ROOT / "edge_marl" / "tiers").rglob("*.json")}
    found = {module_of(folder / "__init__.py") for folder in folders}
    assert sorted(listed) == sorted(found - MAINTAINERS)


def test_what_is_shipped_needs_no_maintainers_tool_and_no_test() -> None:
    for module, path in MODULES.items():
        if not module.startswith(tuple(MAINTAINERS)):
            assert not {name for name in imports(path) if name.startswith(tuple(MAINTAINERS))}, path
            assert "from tests" not in path.read_text("utf-8"), path


def test_a_checkout_has_the_maintainers_tools() -> None:
    assert all(find_spec(name) for name in MAINTAINERS)


def test_folders_and_files_are_small() -> None:
    folders = {path.parent for path in sources()}
    for folder in folders:
        files = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(files) <= 15, f"{folder} has {len(files)} source files: at most 15"
    for path in sources():
        lines = len(path.read_text("utf-8").splitlines())
        assert lines <= 400, f"{path} has {lines} lines: at most 400"


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


@pytest.mark.parametrize("module", sorted(MODULES))
def test_modules_export_what_they_define(module: str) -> None:
    path = MODULES[module]
    for extra in ("torchrl", "aiohttp", "grpc", "envoy.service", "ray.serve", "transformers"):
        if f"import {extra}" in path.read_text("utf-8") or f"from {extra}" in path.read_text(
            "utf-8"
        ):
            pytest.importorskip(extra)
    loaded = import_module(module)
    for name in getattr(loaded, "__all__", ()):
        assert hasattr(loaded, name), f"{module}.{name}"


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


def test_no_script_shadows_a_library() -> None:
    """A file that is run has its folder first on the path: `coverage.py` there broke Numba."""
    installed = {
        name.partition(".")[0] for name in packages_distributions()
    } | sys.stdlib_module_names
    scripts = [path for path in sources() if '__name__ == "__main__"' in path.read_text("utf-8")]
    folders = {path.parent for path in scripts}
    beside = {path.stem for folder in folders for path in folder.glob("*.py")}
    assert not (beside - {"__init__", "__main__"}) & installed
