"""What all tests of environments need."""

import pytest


@pytest.fixture(autouse=True)
def _no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of `render_mode="human"` open nowhere, and wait for nobody."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr("edge_marl.envs.one_episode.RENDER_FPS", 1000)
