"""Digests of the sources that a result depends on."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
from functools import cache
from pathlib import Path

from edge_marl.benchmarks.plan.cells import Anchors, Cell

__all__ = ["agent_code", "code_digest", "code_now"]

BESIDE = {
    *("agents", "benchmarks", "leaderboards"),  # found below `edge_marl` where it is installed
    *("cli", "__main__.py", "console.py", "testing.py"),
}
"""What lies beside the sources in the package: no result depends on it."""

FOLDERS_BESIDE = {("tiers", "evidence"), ("envs", "render")}
"""Likewise what results are written to, tier after tier, while others are still played; and what
people are shown of an episode."""


def agent_code(name: str) -> str:
    """Digest of the sources that an agent's results depend on.

    Those of a user's agent are the file of its class too, and all that it imports and nobody has
    installed (`own_sources`).

    Raises:
        AgentError: if there is no such agent.
    """
    from edge_marl.agents.own_files import own_sources
    from edge_marl.agents.registry import find, own_class

    if not (named := own_class(name)):
        return code_digest()
    own = Path(inspect.getfile(find(named))).resolve()
    imported = [path.resolve() for _, path in sorted(own_sources(named.rpartition(":")[0]).items())]
    return code_digest(own, *(path for path in imported if path != own))


def code_now(job: Cell | Anchors) -> str:
    """Digest of the sources that this process would do a job with; `job.code` is what it asks for.

    Raises:
        AgentError: if its agent cannot be found.
    """
    from edge_marl.agents.training.settings_text import parse_spec

    return code_digest() if isinstance(job, Anchors) else agent_code(parse_spec(job.agent)[0])


def code_digest(*files: Path) -> str:
    """SHA-256 (hex) of the sources of the environment, the agents and the evaluation, and `files`.

    A version number would not do: while code is being worked on, it stays and the results change.
    """
    digest = hashlib.sha256(_own_digest().encode())
    for path in files:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


@cache
def _own_digest() -> str:
    """Digest of the package's own sources: as they were when this process first asked."""
    digest = hashlib.sha256()
    for name, path in sorted(_sources().items()):
        digest.update(f"{name}\n{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _sources() -> dict[str, Path]:
    """Every source that a result depends on, by a name that is the same however it is installed."""
    evaluation = Path(__file__).parents[1] / "run" / "evaluation.py"
    found = {"benchmarks/run/evaluation.py": evaluation}
    for package in ("edge_marl", "edge_marl.agents"):
        spec = importlib.util.find_spec(package)
        for root in map(Path, spec.submodule_search_locations or [] if spec else []):
            for path in root.rglob("*"):
                inside = path.relative_to(root)
                # .json: the tiers' anchors and prices, and the presets of agents.
                beside = inside.parts[0] in BESIDE or inside.parts[:2] in FOLDERS_BESIDE
                if path.suffix in (".py", ".json") and not beside:
                    found[f"{package}/{inside.as_posix()}"] = path
    return found
