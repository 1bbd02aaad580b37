"""The map of a frame: gateways and servers where they are, and what goes on between them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from edge_marl.envs.render.bars import Area
from edge_marl.envs.render.canvas import (
    ALARM,
    EDGE,
    FAINT,
    INK,
    LINE,
    LINK,
    PALE,
    SERVICES,
    Canvas,
    load_colour,
)
from edge_marl.envs.render.places import places_of
from edge_marl.envs.render.scene import Scene
from edge_marl.kernel import world as k

__all__ = ["DETAILED", "Map", "draw_gateway", "draw_line", "draw_models", "draw_server", "map_of"]

Floats = npt.NDArray[np.float64]

MARGIN = 24
"""From the map's rim to the places on it."""

DETAILED = 13.0
"""Size of a server's square from which it shows its models, its line and its number."""

SMALLEST, LARGEST = 4.0, 30.0


@dataclass(frozen=True, eq=False)
class Map:
    """Where everything is in a picture."""

    servers: Floats
    """(S, 2) the edge servers, then the cloud; NaN for those that no gateway reaches."""
    gateways: Floats
    """(G, 2)."""
    size: float
    """Side of the largest server's square."""
    area: Area

    @property
    def detailed(self) -> bool:
        """Whether servers are large enough for details."""
        return self.size >= DETAILED

    def draw(self, canvas: Canvas, scene: Scene) -> None:
        """Draw it."""
        canvas.box(*self.area, PALE, FAINT)
        self._draw_links(canvas, scene)
        sides = self.size * np.sqrt(scene.log.capacity / scene.log.capacity[: scene.cloud].max())
        for server in range(len(self.servers)):
            x, y = self.servers[server]
            if server != scene.cloud and np.isfinite(x):
                side = max(float(sides[server]), DETAILED if self.detailed else SMALLEST)
                self._draw_server(canvas, scene, server, (x, y), side)
        if scene.cloud is not None:
            x, y = self.servers[scene.cloud]
            count = int((scene.server_of[scene.here] == scene.cloud).sum())
            draw_cloud(canvas, x, y, f"cloud: {count}")
        self._draw_gateways(canvas, scene)

    def _draw_links(self, canvas: Canvas, scene: Scene) -> None:
        """Draw a line for each gateway and server with tasks of the one on the other."""
        pairs = np.stack([scene.log.tasks[scene.here, k.GATEWAY], scene.server_of[scene.here]])
        (gateways, servers), counts = np.unique(pairs, axis=1, return_counts=True)
        for gateway, server, count in zip(gateways, servers, counts.tolist(), strict=True):
            ends = [tuple(self.gateways[gateway]), tuple(self.servers[server])]
            width = min(0.5 + 0.5 * count, 3.0)
            canvas.line(ends, FAINT if server == scene.cloud else LINK, width)

    def _draw_server(
        self, canvas: Canvas, scene: Scene, server: int, at: tuple[float, float], side: float
    ) -> None:
        x, y = at
        lost = int(scene.just_lost[server])
        radius = side * 0.75 + 3
        if lost:
            canvas.dot(x, y, radius, None, ALARM, 2 if self.detailed else 1.5)
        down = scene.down_ms[server] > 0
        draw_server(canvas, x, y, side, float(scene.load[server]), down)
        if not self.detailed:
            if scene.waiting[server]:
                canvas.box(x + side / 2, y - side / 2, x + side / 2 + 2, y + side / 2, LINE)
            return
        draw_line(canvas, x + side / 2 + 2, y + side / 2, int(scene.waiting[server]))
        if scene.resident is not None:
            draw_models(canvas, x, y + side / 2 + 4, scene.resident[server])
        if lost:
            canvas.text(x - radius, y - radius, f"-{lost}", 11, ALARM, "mm", halo=True)

    def _draw_gateways(self, canvas: Canvas, scene: Scene) -> None:
        size = 6.0 if self.detailed else max(0.4 * self.size, 2.0)
        for gateway, (x, y) in enumerate(self.gateways.tolist()):
            if not math.isfinite(x):
                continue
            waits = int(scene.at_gateways[gateway])
            draw_gateway(canvas, x, y, size, waits > 0)
            if self.detailed and waits > 1:
                canvas.text(x + size + 5, y - 4, str(waits), 11, INK, "lm", halo=True)


def map_of(scene: Scene, area: Area) -> Map | None:
    """Return the map of a scene in an area of a picture; None where nothing has a place."""
    if scene.neighbours is None:
        return None
    has_cloud = scene.log.has_cloud
    lists = scene.neighbours[:, :-1] if has_cloud else scene.neighbours
    return _map_of(lists.tobytes(), len(lists), scene.num_servers - has_cloud, has_cloud, area)


@lru_cache(maxsize=4)
def _map_of(lists: bytes, gateways: int, edge: int, has_cloud: bool, area: Area) -> Map | None:
    found = places_of(np.frombuffer(lists, dtype=np.int64).reshape(gateways, -1), edge)
    if found is None:
        return None
    left, top, right, bottom = area
    sky = 26 if has_cloud else 0
    low = np.array([left + MARGIN, top + MARGIN + sky])
    span = np.array([right - MARGIN, bottom - MARGIN]) - low
    size = min(0.42 * math.sqrt(float(span.prod()) / (edge + gateways)), LARGEST)
    places = np.concatenate(found) * span + low
    if size >= DETAILED:
        places = _apart(places, 1.75 * size, low, low + span)
    servers = places[:edge]
    if has_cloud:
        servers = np.concatenate([servers, [[(left + right) / 2, top + 16]]])
    return Map(servers, places[edge:], max(size, SMALLEST), area)


def _apart(places: Floats, least: float, low: Floats, high: Floats) -> Floats:
    """Move places that are too near to each other apart, so that all can be seen."""
    places = places.copy()
    for _ in range(60):
        away = places[:, None] - places[None, :]
        # Two at one place have no direction: they part along a line that their numbers give.
        distance = np.maximum(np.sqrt((away**2).sum(axis=-1)), 1e-6)
        short = np.where(distance < least, (least - distance) / 2, 0.0)
        np.fill_diagonal(short, 0.0)
        push = np.nansum(away / distance[..., None] * short[..., None], axis=1)
        places = np.clip(places + 0.5 * push, low, high)
    return places


def draw_server(canvas: Canvas, x: float, y: float, side: float, load: float, down: bool) -> None:
    """Draw a server: a square, the darker and fuller the more it has to do; crossed out if down."""
    half = side / 2
    if side < DETAILED:
        canvas.box(x - half, y - half, x + half, y + half, ALARM if down else load_colour(load))
        return
    box = (x - half, y - half, x + half, y + half)
    canvas.box(*box, (255, 255, 255), None)
    canvas.box(x - half, y + half - side * min(load, 1.0), x + half, y + half, load_colour(load))
    canvas.box(*box, None, ALARM if down else EDGE, 1)
    if down:
        canvas.line([(x - half, y - half), (x + half, y + half)], ALARM, 1.5)
        canvas.line([(x - half, y + half), (x + half, y - half)], ALARM, 1.5)


def draw_line(canvas: Canvas, x: float, bottom: float, count: int) -> None:
    """Draw the tasks in a server's line, from below."""
    for at in range(min(count, 8)):
        canvas.box(x, bottom - 3 * at - 2, x + 4, bottom - 3 * at, LINE)


def draw_models(canvas: Canvas, x: float, y: float, resident: npt.NDArray[np.bool_]) -> None:
    """Draw the models in a server's memory, side by side."""
    models = np.flatnonzero(resident).tolist()
    for at, model in enumerate(models):
        middle = x + 5 * (at - (len(models) - 1) / 2)
        canvas.dot(middle, y, 2.2, SERVICES[model % len(SERVICES)])


def draw_gateway(canvas: Canvas, x: float, y: float, size: float, waits: bool) -> None:
    """Draw a gateway: a diamond, with a ring if a task waits there to be sent."""
    if waits:
        canvas.dot(x, y, size + 4, None, INK, 1.5)
    points = [(x, y - size), (x + size, y), (x, y + size), (x - size, y)]
    canvas.shape(points, INK, (255, 255, 255))


def draw_cloud(canvas: Canvas, x: float, y: float, text: str) -> None:
    """Draw the cloud, with a text in it."""
    half = canvas.width_of(text) / 2 + 8
    canvas.dot(x - half, y, 9, FAINT)
    canvas.dot(x + half, y, 9, FAINT)
    canvas.box(x - half, y - 9, x + half, y + 9, FAINT)
    canvas.text(x, y, text, 11, INK, "mm")
