"""What of benchmarks/ is shipped, and that it needs nothing that is not."""

import ast
import tomllib
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAINTAINERS = {f"edge_marl.benchmarks.{name}" for name in ("measure", "release", "study")}


def shipped() -> dict[str, Path]:
    """Folder of each package that is in the wheel."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    folders = {}
    for name in config["packages"]:
        root = next((r for r in config["package-dir"] if f"{name}.".startswith(f"{r}.")), "")
        inside = name.removeprefix(root).strip(".").replace(".", "/")
        folders[name] = ROOT / config["package-dir"].get(root, "") / inside
    return folders


def names_in(path: Path) -> set[str]:
    """Dotted names that a file imports, in functions as well."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def test_every_folder_of_benchmarks_is_shipped_or_a_maintainers() -> None:
    found = {f"edge_marl.benchmarks.{path.parent.name}" for path in ROOT.glob("benchmarks/*/*.py")}
    assert found == {name for name in shipped() if name.count(".") == 2 and "benchm" in name} | (
        MAINTAINERS
    )


def test_what_is_shipped_needs_no_maintainers_tool_and_no_test() -> None:
    for folder in shipped().values():
        assert folder.is_dir()
        for path in folder.glob("*.py"):
            for name in names_in(path):
                assert name.split(".")[0] != "tests", path
                assert not MAINTAINERS & {name, name.rpartition(".")[0]}, path


def test_a_checkout_has_them_all_the_same() -> None:
    assert all(find_spec(name) for name in MAINTAINERS)
