"""Agents serve requests in front of the testbed; each leaves a log, and what came back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from edge_marl.agents.base import Agent
from edge_marl.benchmarks.calibration.station import station
from edge_marl.benchmarks.calibration.testbed import Testbed
from edge_marl.benchmarks.calibration.wishes import Wishes
from edge_marl.draw import draw_workload
from edge_marl.errors import ServingError
from edge_marl.files import write_file
from edge_marl.scenario import Scenario
from edge_marl.serving.client import Wanted, wanted_of
from edge_marl.serving.log import History
from edge_marl.workload import Workload

__all__ = ["Observed", "logs_of", "observe_all", "place_of", "read_observed", "requests_of"]


class Observed(BaseModel):
    """What is known of a run besides its log."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    quality: tuple[dict[int, float], ...]
    """Of each gateway, by number of request in its log, of those that were served."""
    crashes: int
    """Servers that died."""
    down_s: float
    """Time that servers were gone, all together."""

    def quality_of(self, history: History) -> npt.NDArray[np.float64]:
        """Return the quality of the requests of a run's logs, (N,); 0 if it was not served."""
        found = [self.quality[gateway].get(asked.id, 0.0) for _, gateway, asked in history.arrived]
        return np.array(found)


def place_of(folder: Path, line: int, run: int, agent: str) -> Path:
    """Return where a run's log is (`.jsonl`), and beside it what else is known (`.json`)."""
    name = "".join(c if c.isalnum() or c in "-_" else "-" for c in agent)
    return folder / "logs" / f"line-{line}" / f"{run}-{name}.jsonl"


def logs_of(log: Path, gateways: int) -> list[Path]:
    """Return the log of each gateway of a run, of which the first is at `place_of`."""
    return [log, *(log.with_suffix(f".gateway-{k}.jsonl") for k in range(1, gateways))]


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
            decide = [make(agent) for _ in range(wishes.gateways)]
            for gateway, own in enumerate(decide):
                own.reset(wishes.seed + gateway)
            observed = await _observe(bed, scenario, decide, requests, log)
            write_file(log.with_suffix(".json"), observed.model_dump_json() + "\n", ServingError)


async def _observe(
    bed: Testbed, scenario: Scenario, agents: Sequence[Agent], requests: Workload, log: Path
) -> Observed:
    """Have agents, one at each gateway, serve the requests of a run."""
    logs = logs_of(log, len(agents))
    for path in logs:
        path.unlink(missing_ok=True)
    wanted = [
        Wanted(one.at_s, one.gateway, {**one.body, "seed": k})
        for k, one in enumerate(wanted_of(requests, scenario))
    ]
    await bed.idle()
    before = len(bed.deaths)
    async with station(bed, scenario, [agent.act for agent in agents], logs) as client:
        answers = await client.ask_all(wanted)
    await bed.idle()
    deaths = bed.deaths[before:]
    quality: tuple[dict[int, float], ...] = tuple({} for _ in agents)
    for answer in answers:
        if answer.served:
            quality[answer.gateway][answer.number] = answer.quality or 0.0
    return Observed(
        quality=quality,
        crashes=len(deaths),
        down_s=sum(death.down_s or 0.0 for death in deaths),
    )
