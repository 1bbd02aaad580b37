"""The window of `render_mode="human"`."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.error import DependencyNotInstalled

__all__ = ["Window"]


class Window:
    """Shows pictures; opens with the first, and stays closed once a person has closed it.

    A copy shows nothing: an environment that looks ahead in copies is seen where it stands.

    Args:
        title: of the window.
        fps: pictures per second, at most.
    """

    def __init__(self, title: str, fps: int) -> None:
        self._title, self._fps = title, fps
        self._window: Any = None
        self.closed = False
        """Whether there is nobody to show a picture to."""

    def __deepcopy__(self, memo: dict[int, object]) -> Window:
        """Return a window that is closed."""
        twin = Window(self._title, self._fps)
        twin.closed = True
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle a window that is closed."""
        return Window, (self._title, self._fps), {"closed": True, "_window": None}

    def show(self, picture: npt.NDArray[np.uint8]) -> None:
        """Show a picture (H, W, 3), and wait until it is time for the next.

        Raises:
            DependencyNotInstalled: pygame is not installed (Gymnasium's).
        """
        if self.closed:
            return
        pygame = _pygame()
        height, width, _ = picture.shape
        if self._window is None:
            pygame.init()
            self._window = pygame.Window(self._title, (width, height))
            self._clock = pygame.time.Clock()
        surface = self._window.get_surface()
        pygame.surfarray.blit_array(surface, picture.swapaxes(0, 1))
        self._window.flip()
        self._clock.tick(self._fps)
        self._listen(pygame)

    def _listen(self, pygame: Any) -> None:
        """Close if a person wishes so; wishes about other windows are left for those."""
        for event in pygame.event.get():
            if event.type == pygame.WINDOWCLOSE and event.window not in (self._window, None):
                pygame.event.post(event)
            elif event.type in (pygame.WINDOWCLOSE, pygame.QUIT):
                self.close()

    def close(self) -> None:
        """Close it, for good."""
        self.closed = True
        if self._window is not None:
            self._window.destroy()
            self._window = None


def _pygame() -> Any:
    """Return pygame, which greets on standard output when it is first imported."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            import pygame

            _ = pygame.Window  # the older pygame, of the same name, has none
    except (ImportError, AttributeError):
        raise DependencyNotInstalled(
            "render_mode 'human' needs pygame-ce: pip install 'edge-marl[render]'"
        ) from None
    return pygame
