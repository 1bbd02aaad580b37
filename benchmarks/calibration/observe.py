"""Agents serve requests in front of the testbed; each leaves a log, and what came back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from edge_marl.agents.base import Agent
from edge_marl.benchmarks.calibration.station import Answer, Client, station
from edge_marl.benchmarks.calibration.testbed import Testbed
from edge_marl.benchmarks.calibration.wishes import Wishes
from edge_marl.draw import draw_workload
from edge_marl.errors import ServingError
from edge_marl.files import write_file
from edge_marl.kernel.world import ARRIVAL, DEMAND, TYPE
from edge_marl.scenario import Scenario
from edge_marl.workload import Workload

__all__ = ["Observed", "observe_all", "place_of", "read_observed", "requests_of"]


class Observed(BaseModel):
    """What is known of a run besides its log."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    quality: dict[int, float]
    """By number of request in the log, of those that were served."""
    crashes: int
    """Servers that died."""
    down_s: float
    """Time that servers were gone, all together."""


def place_of(folder: Path, line: int, run: int, agent: str) -> Path:
    """Return where a run's log is (`.jsonl`), and beside it what else is known (`.json`)."""
    name = "".join(c if c.isalnum() or c in "-_" else "-" for c in agent)
    return folder / "logs" / f"line-{line}" / f"{run}-{name}.jsonl"


def read_observed(log: Path) -> Observed | None:
    """Return what is known of a run that is finished; None if it is not.

    Raises:
        ServingError: the file is none of this command's.
    """
    path = log.with_suffix(".json")
    if not path.exists():
        return None
    try:
        return Observed.model_validate_json(path.read_bytes())
    except (ValidationError, OSError):
        raise ServingError(f"{path}: not what this command writes; remove it") from None


def requests_of(wishes: Wishes, scenario: Scenario, run: int) -> Workload:
    """Return the requests of a run: the same for every agent, and every kind of servers."""
    drawn = draw_workload(scenario, wishes.seed, episode=run)
    count = min(wishes.requests, drawn.num_tasks)
    details = None if drawn.details is None else drawn.details[:count]
    return Workload(drawn.topology, drawn.tasks[:count], details)


async def observe_all(
    wishes: Wishes,
    scenario: Scenario,
    line: int,
    make: Callable[[str], Agent],
    folder: Path,
    say: Callable[[str], None],
) -> None:
    """Have every agent serve every run's requests that it has not served yet.

    Args:
        wishes: of the calibration.
        scenario: fitted to the servers, which agents decide in.
        line: tasks that may wait at a server.
        make: an agent of a name, warmed up.
        folder: of the logs.
        say: told what is served next.
    """
    logs = [
        (run, agent, place_of(folder, line, run, agent))
        for run in range(wishes.runs)
        for agent in wishes.agents
    ]
    left = [each for each in logs if read_observed(each[2]) is None]
    if not left:
        return
    async with Testbed(wishes.capacity, line, wishes.tiles) as bed:
        for at, (run, agent, log) in enumerate(left):
            say(f"{at + 1} of {len(left)}: {agent}, run {run}, a line of {line}")
            requests = requests_of(wishes, scenario, run)
            decides = make(agent)
            decides.reset(wishes.seed)
            observed = await _observe(bed, scenario, decides, requests, log)
            write_file(log.with_suffix(".json"), observed.model_dump_json() + "\n", ServingError)


async def _observe(
    bed: Testbed, scenario: Scenario, agent: Agent, requests: Workload, log: Path
) -> Observed:
    """Have an agent serve the requests of a run."""
    log.unlink(missing_ok=True)
    await bed.idle()
    before = len(bed.deaths)
    async with station(bed, scenario, agent.act, log) as client:
        answers = await _send_all(client, requests)
    await bed.idle()
    deaths = bed.deaths[before:]
    return Observed(
        quality={answer.number: answer.quality for answer in answers if answer.number >= 0},
        crashes=len(deaths),
        down_s=sum(death.down_s or 0.0 for death in deaths),
    )


async def _send_all(client: Client, requests: Workload) -> list[Answer]:
    """Send each request at its time, whatever came of those before it."""
    clock = asyncio.get_running_loop().time
    began = clock()

    async def send(seed: int, row: np.ndarray) -> Answer:
        await asyncio.sleep(max(0.0, began + row[ARRIVAL] / 1000 - clock()))
        return await client.ask(int(row[TYPE]), int(row[DEMAND]), seed)

    return list(await asyncio.gather(*(send(k, row) for k, row in enumerate(requests.tasks))))
