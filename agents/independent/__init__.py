"""Independent learners in the game of gateways: `ippo`, `idqn`, `iadsac`.

Importing it registers them.
"""

from edge_marl.agents.independent import trainers

__all__ = ["trainers"]
