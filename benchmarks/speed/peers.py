"""Other suites, measured in the same run by a Python environment of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge_marl.benchmarks.speed.findings import PeerRow, Spread
from edge_marl.benchmarks.speed.peer_script import PEERS
from edge_marl.errors import SuiteError
from edge_marl.files import cache_folder

__all__ = ["default_folder", "install", "measure"]

HERE = Path(__file__).parent
PINS, SCRIPT = "peers.txt", "peer_script.py"

TORCH = "torch"
"""Installed first and by itself: its pin decides whether gigabytes of CUDA come along."""

MOST_S = 300
"""Time for all rounds of one suite, its compilation included."""


def default_folder() -> Path:
    """Return where the environment is kept."""
    return cache_folder() / "peers"


def install(folder: Path) -> Path:
    """Make the environment, or bring it up to date; return its Python.

    Raises:
        SuiteError: it cannot be made; the message has pip's last line.
    """
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    pins = (HERE / PINS).read_text("utf-8")
    marker = folder / ".installed"
    if marker.is_file() and marker.read_text("utf-8") == pins and python.exists():
        return python
    folder.mkdir(parents=True, exist_ok=True)
    _run([sys.executable, "-m", "venv", "--clear", str(folder)], "no environment for peers")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    wanted = [line for line in pins.splitlines() if line and not line.startswith("#")]
    _run(pip + [line for line in wanted if line.startswith(TORCH)], "torch for peers")
    _run(pip + wanted, "peers")
    marker.write_text(pins, "utf-8")
    return python


def _run(command: list[str], what: str) -> None:
    try:
        subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        raise SuiteError(f"--peers: cannot install {what}: {said[-1] if said else error}") from None


def measure(python: Path, seconds: float, rounds: int) -> Iterator[PeerRow]:
    """Measure all suites; yield one after the other, those that failed too.

    Args:
        python: of an environment that has them.
        seconds: of a round.
        rounds: per suite.
    """
    for name, peer in PEERS.items():
        command = [str(python), str(HERE / SCRIPT), str(seconds), str(rounds), name]
        try:
            said = _asked(command)
        except (OSError, subprocess.SubprocessError, StopIteration, ValueError) as error:
            said = {"failed": f"{type(error).__name__}: {str(error)[:100]}"}
        found = Spread.of(said["per_s"]) if "per_s" in said else None
        yield PeerRow(
            name=name,
            what=peer.what,
            version=said.get("version", ""),
            steps_per_s=found,
            failed=said.get("failed", ""),
        )


def _asked(command: list[str]) -> dict[str, Any]:
    """Return the line of JSON that the script prints; suites print lines of their own."""
    # JAX is to take the processor, as everything else here.
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONWARNINGS": "ignore"}
    run = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=MOST_S, env=environment
    )
    line = next(line for line in run.stdout.splitlines() if line.startswith("{"))
    said: dict[str, Any] = json.loads(line)
    return said
