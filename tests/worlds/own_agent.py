"""A user's agent of several files, which nobody has installed."""

from pathlib import Path

OWN = """
import json
import numpy as np
from edge_marl.agents import Agent
from choice import ACTION

class Own(Agent):
    def reset(self, seed):
        pass

    def act(self, observation, info):
        import later
        return np.full(len(observation), ACTION + later.MORE, dtype=np.int64)
"""


def write(folder: Path, action: int = 0) -> Path:
    """Write `own.py` and what it imports to a folder; its class `Own` takes `action`."""
    folder.mkdir(exist_ok=True)
    (folder / "own.py").write_text(OWN)
    (folder / "choice.py").write_text(f"import json\nACTION = {action}\n")
    (folder / "later.py").write_text("from tools.deep import MORE\n")
    (folder / "tools").mkdir()
    (folder / "tools" / "__init__.py").write_text("")
    (folder / "tools" / "deep.py").write_text("from . import number\nMORE = number.MORE\n")
    (folder / "tools" / "number.py").write_text("MORE = 0\n")
    (folder / "unused.py").write_text("raise SystemExit\n")
    (folder / "json.py").write_text("raise SystemExit\n")
    return folder / "own.py"
