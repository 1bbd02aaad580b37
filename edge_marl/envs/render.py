"""Frames of an episode: the servers' load as text or as a picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl.kernel import world as k
from edge_marl.scenario import Scenario
from edge_marl.simulator import EpisodeLog

__all__ = ["draw_frame", "write_text"]

# Colours that also differ in greyscale: the services of a server, from light to dark.
BACKGROUND, INK, FAINT, ALARM = (255, 255, 255), (40, 40, 40), (225, 225, 225), (200, 30, 30)
SERVICE_COLOURS = ((166, 206, 227), (90, 160, 200), (51, 120, 160), (20, 70, 110))
WIDTH, ROW, MARGIN, LABEL = 640, 22, 12, 90


def _running(log: EpisodeLog) -> npt.NDArray[np.int64]:
    """Rows of the tasks that run now, in order of assignment."""
    return log.tasks[log.running]


def _headline(scenario: Scenario, log: EpisodeLog) -> str:
    lost = int((~np.isin(log.tasks[:, k.STATUS], (k.WAITING, k.ADMITTED))).sum())
    return (
        f"{scenario.label}   {log.clock_ms / 3_600_000:.1f} h   task {log.num_decisions}"
        f"/{len(log.tasks)}   return {log.rewards.sum():.1f}   "
        f"crashes {int(log.server_crashes.sum())}   lost {lost}"
    )


def write_text(scenario: Scenario, log: EpisodeLog) -> str:
    """Return one line per server: a bar of its load, its numbers, its crashes."""
    running = _running(log)
    lines = [_headline(scenario, log)]
    for server, capacity in enumerate(log.capacity):
        here = running[running[:, k.PLACE] // log.num_services == server]
        used = int(here[:, k.DEMAND].sum())
        bar = "#" * round(30 * used / int(capacity))
        lines.append(
            f"server {server:>3} |{bar:<30}| {used:>5}/{capacity:<5} "
            f"{len(here):>3} tasks, {log.server_crashes[server]} crashes"
        )
    return "\n".join(lines) + "\n"


def draw_frame(scenario: Scenario, log: EpisodeLog) -> npt.NDArray[np.uint8]:
    """Return a picture (uint8, H x W x 3): a bar per server, a block per running task.

    The width of a block is the task's demand, its shade the service, its dark foot its progress;
    the red figure counts the server's crashes.
    """
    from PIL import Image, ImageDraw

    height = 2 * MARGIN + ROW * (len(log.capacity) + 1)
    image = Image.new("RGB", (WIDTH, height), BACKGROUND)
    canvas = ImageDraw.Draw(image)
    canvas.text((MARGIN, MARGIN - 4), _headline(scenario, log), fill=INK)
    scale = (WIDTH - LABEL - 60) / int(log.capacity.max())
    running = _running(log)
    for server, capacity in enumerate(log.capacity):
        here = running[running[:, k.PLACE] // log.num_services == server]
        top = MARGIN + ROW * (server + 1)
        canvas.text((MARGIN, top + 3), f"server {server}", fill=INK)
        canvas.rectangle((LABEL, top, LABEL + int(capacity) * scale, top + ROW - 6), fill=FAINT)
        _draw_tasks(canvas, here, log, top, scale)
        crashes = int(log.server_crashes[server])
        if crashes:
            canvas.text((WIDTH - 48, top + 3), f"x {crashes}", fill=ALARM)
    return np.asarray(image, dtype=np.uint8).copy()


def _draw_tasks(
    canvas: Any, tasks: npt.NDArray[np.int64], log: EpisodeLog, top: int, scale: float
) -> None:
    left = float(LABEL)
    for task in tasks:
        right = left + int(task[k.DEMAND]) * scale
        colour = SERVICE_COLOURS[task[k.PLACE] % log.num_services % len(SERVICE_COLOURS)]
        canvas.rectangle((left, top, right - 2, top + ROW - 6), fill=colour)
        progress = (log.clock_ms - int(task[k.START])) / int(task[k.END] - task[k.START])
        foot = left + (right - 2 - left) * min(progress, 1.0)
        canvas.rectangle((left, top + ROW - 9, foot, top + ROW - 6), fill=INK)
        left = right
