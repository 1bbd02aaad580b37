"""Films of frames: GIF with Pillow, MP4 with ffmpeg."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from edge_marl.errors import DataError

__all__ = ["Film"]

COLOURS = 128
"""Of a frame of a GIF."""


class Film:
    """A film that is written frame by frame; its suffix says what it is.

    Args:
        path: of the file, `.gif` or `.mp4`.
        fps: frames per second.

    Raises:
        DataError: another suffix, no such folder, or what an MP4 needs is not installed.
    """

    def __init__(self, path: Path, fps: int) -> None:
        self._path, self._fps = path, fps
        self.frames = 0
        """Frames so far."""
        self._pictures: list[Any] = []
        self._to_ffmpeg: Any = None
        if path.suffix not in (".gif", ".mp4"):
            raise DataError(f"{path}: a film is called .gif or .mp4")
        if not path.parent.is_dir():
            raise DataError(f"{path}: there is no folder {path.parent}")
        if path.suffix == ".mp4":
            _check_ffmpeg()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the file; of a film that was broken off, with what it has."""
        if self._to_ffmpeg is not None:
            self._to_ffmpeg.close()
        if self._pictures:
            first, *others = self._pictures
            first.save(
                self._path, save_all=True, append_images=others, duration=1000 // self._fps, loop=0
            )

    def add(self, frame: npt.NDArray[np.uint8]) -> None:
        """Add a frame (H, W, 3), of the size of the first."""
        self.frames += 1
        if self._path.suffix == ".gif":
            from PIL import Image

            self._pictures.append(
                Image.fromarray(frame).quantize(COLOURS, dither=Image.Dither.NONE)
            )
            return
        if self._to_ffmpeg is None:
            import imageio_ffmpeg

            height, width, _ = frame.shape
            self._to_ffmpeg = imageio_ffmpeg.write_frames(
                self._path, (width, height), fps=self._fps, macro_block_size=2, quality=7
            )
            self._to_ffmpeg.send(None)
        self._to_ffmpeg.send(np.ascontiguousarray(frame))


def _check_ffmpeg() -> None:
    try:
        import imageio_ffmpeg  # noqa: F401 (only whether it is there)
    except ImportError:
        raise DataError(
            "an MP4 needs ffmpeg: pip install 'edge-marl[render]', or take --gif"
        ) from None
