"""A batch of environments that lives on a GPU of NVIDIA's, learner beside it: not run on a GPU.

The bodies of the kernel, as they are, compiled by Numba for CUDA. What was checked instead of a run
is in docs/cuda.md.
"""

from edge_marl.gpu.batch import CudaBatch, CudaStep

__all__ = ["CudaBatch", "CudaStep"]
