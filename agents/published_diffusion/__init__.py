"""The published diffusion agents: `adsac-published`, `d2sac`.

Importing it registers them.
"""

from edge_marl.agents.published_diffusion import trainers

__all__ = ["trainers"]
