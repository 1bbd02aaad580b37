"""`render_mode="human"`, on a screen that is none."""

from __future__ import annotations

import pickle
import sys
from typing import Any

import gymnasium
import numpy as np
import pygame
import pytest
from gymnasium.error import DependencyNotInstalled

from edge_marl import edge_aigc_v0
from edge_marl.envs import EdgeAIGCEnv
from edge_marl.envs.render.window import Window


def window_of(env: Any) -> Any:
    window = getattr(env.unwrapped, "_game", env.unwrapped)._window
    assert isinstance(window, Window)
    return window


def pixels(env: Any) -> Any:
    return pygame.surfarray.array3d(window_of(env)._window.get_surface()).swapaxes(0, 1)


def close_by_hand(env: Any) -> None:
    pygame.event.post(pygame.event.Event(pygame.WINDOWCLOSE, window=window_of(env)._window))


def test_every_reset_and_step_shows_what_there_is_to_see() -> None:
    env = gymnasium.make("EdgeAIGC-v0", scenario="smoke", render_mode="human")
    picture = EdgeAIGCEnv("smoke", render_mode="rgb_array")
    for one in (env, picture):
        one.reset(seed=0)
    np.testing.assert_array_equal(pixels(env), picture.render())
    for one in (env, picture):
        one.step(0)
    np.testing.assert_array_equal(pixels(env), picture.render())
    assert env.render() is None
    env.close()
    env.close()


@pytest.mark.parametrize("make", [edge_aigc_v0.parallel_env, edge_aigc_v0.env])
def test_the_game_has_a_window_too(make: Any) -> None:
    env = make("smoke-game", render_mode="human")
    env.reset(seed=0)
    assert pixels(env).std() > 0
    env.close()
    assert window_of(env).closed


def test_a_window_closed_by_hand_stays_closed_and_the_other_open() -> None:
    first, second = (EdgeAIGCEnv("smoke", render_mode="human") for _ in range(2))
    first.reset(seed=0)
    second.reset(seed=0)
    close_by_hand(first)
    second.step(0)
    assert not window_of(second).closed
    first.step(0)
    assert window_of(first).closed
    first.step(0)
    first.reset()
    second.close()


def test_who_looks_ahead_is_not_shown() -> None:
    env = EdgeAIGCEnv("smoke", render_mode="human")
    env.reset(seed=0)
    shown = pixels(env)
    for twin in (env.clone(), pickle.loads(pickle.dumps(env))):
        twin.step(0)
        assert window_of(twin)._window is None
    np.testing.assert_array_equal(pixels(env), shown)
    env.close()


def test_without_pygame_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygame", None)
    env = EdgeAIGCEnv("smoke", render_mode="human")
    with pytest.raises(DependencyNotInstalled, match=r"pip install 'edge-marl\[render\]'"):
        env.reset(seed=0)
