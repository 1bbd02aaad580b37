"""The last observations of an episode side by side, as recurrent networks are shown them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["add_frame"]


def add_frame(
    frames: npt.NDArray[np.float32], observation: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return the last frames (B, F * D) with one more observation (B, D), the oldest left out."""
    size = observation.shape[1]
    return np.concatenate([frames[:, size:], observation], axis=1)
