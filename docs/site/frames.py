"""Pictures of the site's pages of tiers and games: a frame of each, drawn when the site is built.

Not of recorded tiers, whose requests would have to be downloaded first.
"""

from __future__ import annotations

import io

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from PIL import Image

from edge_marl import EdgeAIGCVectorEnv, draw_workload, list_games, list_tiers, load_scenario
from edge_marl.agents import make
from edge_marl.agents.play import open_rows, take_seat
from edge_marl.envs.render import draw_frame, scene_of
from edge_marl.kernel import world as k
from edge_marl.scenario import Scenario

AGENT = "power-of-two"
"""Plays up to the frame: it fills servers evenly and asks nothing of them."""

PER_SERVER = 3
"""Requests for each server, about, before the frame."""

AFTER = "<!-- end -->"
"""What a page's first table, that of its world, ends with."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pictures."""
    for folder, labels in (("tiers", list_tiers()), ("games", list_games())):
        for name in dict.fromkeys(label.split("@")[0] for label in labels):
            scenario = load_scenario(name)
            if scenario.replay is None:
                path = f"docs/{folder}/{name}.png"
                files.append(File.generated(config, path, content=picture(scenario)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Show a world's picture below its table."""
    picture = page.file.src_uri.removesuffix(".md") + ".png"
    if page.file.src_uri == picture or files.get_file_from_path(picture) is None:
        return markdown
    shown = f"![Amid an episode of {page.file.name}]({page.file.name}.png)"
    return markdown.replace(AFTER, f"{AFTER}\n\n{shown}", 1)


def picture(scenario: Scenario) -> bytes:
    """Return a PNG of an episode in which every server may have got something."""
    workload = draw_workload(scenario, 0, split="train")
    envs = open_rows(scenario, 1, scenario.api)
    seat = take_seat(make(AGENT, scenario), envs, [workload], seed=0)
    simulator = envs.simulator if isinstance(envs, EdgeAIGCVectorEnv) else envs.game
    last = min(PER_SERVER * scenario.num_servers, len(workload.tasks) - 1)
    observation, info = envs.reset(options={"workloads": [workload]})
    while simulator.world.episode[0, k.CLOCK] < workload.tasks[last, k.ARRIVAL]:
        observation, _, _, _, info = envs.step(seat.decide(observation, info))
    pixels = draw_frame(scene_of(simulator, 0))
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return file.getvalue()
