"""What people are shown of an episode: text, pictures and a window."""

from edge_marl.envs.render.frame import draw_frame
from edge_marl.envs.render.scene import Scene, scene_of
from edge_marl.envs.render.text import write_text
from edge_marl.envs.render.window import Window

__all__ = ["Scene", "Window", "draw_frame", "scene_of", "write_text"]
