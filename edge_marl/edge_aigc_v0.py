"""The multi-agent game in PettingZoo's module form.

`parallel_env(**settings)`, `env(**settings)` and `raw_env(**settings)` (AEC); the settings are
those of `edge_marl.envs.parallel.EdgeAIGCParallelEnv`. The environments check their calls
themselves, so `env` wraps nothing around `raw_env`.
"""

from edge_marl.envs.aec import EdgeAIGCAECEnv as env
from edge_marl.envs.aec import EdgeAIGCAECEnv as raw_env
from edge_marl.envs.parallel import EdgeAIGCParallelEnv as parallel_env

__all__ = ["env", "parallel_env", "raw_env"]
