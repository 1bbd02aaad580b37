"""The event log of a gateway: JSON lines as it is written, a workload and a trace as it is read.

Every line is handed to the system when its event happens, so that a gateway that is killed loses at
most the line that it was writing. A run begins with a line that says what was served; several runs
may be in one file, and several gateways' files are read as one.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TextIO

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from edge_marl.data.recordings import OPTIONAL, REQUIRED
from edge_marl.errors import ServingError
from edge_marl.kernel.world import (
    DEADLINE,
    DOWNLOAD,
    LOAD_TIME,
    NUM_DETAILS,
    NUM_TASK_FIELDS,
    UPLOAD,
)
from edge_marl.scenario import Scenario
from edge_marl.scenario.section import MAX_TASKS, MAX_TIME_MS, Section, rule_of
from edge_marl.serving.world import Choice, Request
from edge_marl.workload import Workload
from edge_marl.workload.topology import Topology

__all__ = ["EventLog", "Fate", "History", "read_logs"]

LINKS = {"neighbours", "propagation", "us_per_kb"}
"""Arrays of a topology that have a row for each gateway, which it alone knows."""
LONGEST = 2**26
"""Bytes of a line: that of the largest topology."""
Time = Annotated[int, Field(ge=0, le=MAX_TIME_MS // 4)]
Outcome = Literal["served", "failed", "declined", "refused", "invalid", "left"]
"""What became of a request: an answer of a backend's; none that could be used; the policy said no;
no server takes it; the backend found it wrong; its client left before it was answered."""


class Begin(Section):
    """A gateway begins to serve."""

    event: Literal["begin"] = "begin"
    format: Literal["edge-marl-serving-1"] = "edge-marl-serving-1"
    started_ms: Annotated[int, Field(ge=0, le=MAX_TIME_MS)]
    """Since 1970; times of the events after it are from here on."""
    scenario: str
    digest: str
    gateway: Annotated[int, Field(ge=0, lt=2**20)]
    backends: tuple[str, ...]
    topology: dict[str, Any]


class Arrived(Section):
    """A request arrived: its fields are those of `Request`."""

    event: Literal["request"] = "request"
    t: Time
    id: int
    type: Annotated[int, Field(ge=0, lt=2**31)]
    demand: Annotated[int, Field(ge=1, lt=2**31)]
    run_time_ms: Annotated[int, Field(ge=1, le=MAX_TIME_MS // 2)]
    deadline_ms: Time = 0
    upload_kb: Annotated[int, Field(ge=0, le=10**9)] = 0
    download_kb: Annotated[int, Field(ge=0, le=10**9)] = 0
    load_ms: Time = 0
    weight: Annotated[int, Field(ge=1, le=10**6)] = 1000


class Sent(Section):
    """A request was sent."""

    event: Literal["send"] = "send"
    t: Time
    id: int
    server: Annotated[int, Field(ge=0, lt=2**20)]
    service: Annotated[int, Field(ge=0, lt=64)]
    steps: Annotated[int, Field(ge=1, lt=2**31)]
    by: str
    """`policy`, or why the default action was taken."""
    utility: float
    """That the simulator expects of it."""


class Ended(Section):
    """A request is over."""

    event: Literal["end"] = "end"
    t: Time
    id: int
    outcome: Outcome


class Server(Section):
    """A server went down or came up."""

    event: Literal["down", "up"]
    t: Time
    server: int


class Stop(Section):
    """The gateway stopped by itself."""

    event: Literal["stop"] = "stop"
    t: Time


Event = Begin | Arrived | Sent | Ended | Server | Stop
_EVENTS: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


class EventLog:
    """Writes the events of a run.

    Args:
        path: appended to; what a run that was killed left of its last line is cut off.
        scenario: that is served.
        topology: the servers.
        gateway: which of the scenario's it is.
        backends: the servers' names.

    Raises:
        ServingError: it cannot be written, or another gateway does.
    """

    def __init__(
        self,
        path: Path,
        scenario: Scenario,
        topology: Topology,
        gateway: int,
        backends: Sequence[str],
    ) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8", buffering=1)  # line by line
            _keep_for_itself(self._file)
            _cut_torn_line(path)
        except BlockingIOError:
            raise ServingError(
                f"{path}: another gateway writes its log there; give each its own --log"
            ) from None
        except OSError as error:
            raise ServingError(f"{path}: cannot be written ({error.strerror or error})") from None
        begin = Begin(
            started_ms=time.time_ns() // 10**6,
            scenario=scenario.label,
            digest=scenario.digest,
            gateway=gateway,
            backends=tuple(backends),
            topology={name: array.tolist() for name, array in topology.arrays().items()},
        )
        self._write(begin)

    def arrived(self, t: int, number: int, request: Request) -> None:
        """Note a request."""
        self._write(Arrived(t=t, id=number, **vars(request)))

    def sent(self, t: int, number: int, choice: Choice, by: str, utility: float) -> None:
        """Note where it was sent."""
        self._write(Sent(t=t, id=number, by=by, utility=utility, **vars(choice)))

    def ended(self, t: int, number: int, outcome: Outcome) -> None:
        """Note what became of it."""
        self._write(Ended(t=t, id=number, outcome=outcome))

    def server(self, t: int, server: int, event: Literal["down", "up"]) -> None:
        """Note that a server went down, or came up."""
        self._write(Server(t=t, server=server, event=event))

    def close(self, t: int) -> None:
        """Note that the gateway stops."""
        self._write(Stop(t=t))
        self._file.close()

    def _write(self, event: Event) -> None:
        self._file.write(json.dumps(event.model_dump(), separators=(",", ":")) + "\n")


def _keep_for_itself(file: TextIO) -> None:
    """Have no other process write a file until this one ends; BlockingIOError: one does."""
    import fcntl  # only here: logs are read on systems that have it not

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise


def _cut_torn_line(path: Path) -> None:
    """Cut off a last line without an end."""
    with path.open("rb+") as file:
        end = file.seek(0, 2)
        while end > 0:
            start = max(0, end - 2**16)
            file.seek(start)
            at = file.read(end - start).rfind(b"\n")
            if at >= 0:
                file.truncate(start + at + 1)
                return
            end = start
        file.truncate(0)


class Fate(NamedTuple):
    """What became of a request."""

    sent: Sent | None = None
    """Where it was sent, the last time if there were several; None: nowhere."""
    ended: Ended | None = None
    """None: the log ends before it."""


@dataclass(frozen=True, eq=False)
class History:
    """Requests that were served, of all gateways, in order of arrival."""

    topology: Topology
    """The servers, as the last run has them."""
    arrived: tuple[tuple[int, int, Arrived], ...]
    """Time since the first request (ms), gateway and what was asked for."""
    fates: tuple[Fate, ...]
    """What became of each."""
    downs: int
    """How often a server went down."""

    @property
    def outcomes(self) -> dict[Outcome, int]:
        """How many ended how."""
        return dict(Counter(fate.ended.outcome for fate in self.fates if fate.ended))

    def workload(self, scenario: Scenario, start_s: float = 0.0) -> Workload:
        """Return what was asked for as a workload, as much as an episode of a scenario holds.

        Args:
            scenario: what it is to be played in.
            start_s: seconds after the first request to begin at.

        Raises:
            ServingError: there is no request then.
            WorkloadError: it does not fit the scenario.
        """
        rows = self._rows(scenario, start_s)
        tasks = np.zeros((len(rows), NUM_TASK_FIELDS), dtype=np.int64)
        details = np.zeros((len(rows), NUM_DETAILS), dtype=np.int64)
        for at, (time_ms, gateway, asked) in enumerate(rows):
            own = (time_ms - rows[0][0], asked.run_time_ms, asked.demand, asked.type, gateway)
            tasks[at] = own
            details[at, DEADLINE], details[at, LOAD_TIME] = asked.deadline_ms, asked.load_ms
            details[at, UPLOAD], details[at, DOWNLOAD] = asked.upload_kb, asked.download_kb
        weights = [asked.weight for _, _, asked in rows] if scenario.tasks.classes else None
        made = Workload(
            topology=self.topology,
            tasks=tasks,
            details=details if scenario.extended else None,
            weights=None if weights is None else np.array(weights),
        )
        made.check_fits(scenario)
        made.check_observable(scenario)
        return made

    def trace(self, scenario: Scenario) -> str:
        """Return the requests as the text of a `replay.csv` file.

        Args:
            scenario: what it is for; one of the base model takes no optional columns.
        """
        more = OPTIONAL[:-1] if scenario.extended else ()  # whether it fails by itself is not known
        lines = [",".join(REQUIRED + more)]
        for time_ms, gateway, asked in self.arrived:
            row = [time_ms / 1000, asked.type, asked.demand, asked.run_time_ms / 1000, gateway]
            extra = [asked.deadline_ms / 1000, asked.load_ms / 1000, asked.upload_kb]
            row += [*extra, asked.download_kb][: len(more)]
            lines.append(",".join(f"{value:.12g}" for value in row))
        return "\n".join(lines) + "\n"

    def _rows(self, scenario: Scenario, start_s: float) -> list[tuple[int, int, Arrived]]:
        first, length = round(1000 * start_s), scenario.arrivals.horizon_ms
        rows = [row for row in self.arrived if row[0] >= first]
        if not rows:
            raise ServingError(f"the log has no request {start_s:g} s after its first one or later")
        if scenario.episode.end == "horizon":
            rows = [row for row in rows if row[0] - rows[0][0] <= length]
        return rows[:MAX_TASKS]


def read_logs(paths: Sequence[Path]) -> History:
    """Return what one or more gateways served.

    Raises:
        ServingError: a file cannot be read, or a line is none of a log's, or there is no request.
    """
    arrived: list[tuple[int, int, Arrived]] = []
    fates: list[Fate] = []
    notices: list[tuple[int, int, Begin | Server]] = []
    begins: list[Begin] = []
    for at, path in enumerate(paths):
        begin: Begin | None = None
        places: dict[int, int] = {}  # of the requests of a run in the list, by number
        for number, event in _events(path):
            if isinstance(event, Begin):
                begin, places = event, {}
                begins.append(begin)
                notices.append((begin.started_ms, at, begin))
            elif begin is None:
                raise ServingError(f"{path}, line {number}: '{event.event}' before any 'begin'")
            elif isinstance(event, Arrived):
                places[event.id] = len(arrived)
                arrived.append((begin.started_ms + event.t, begin.gateway, event))
                fates.append(Fate())
            elif isinstance(event, Sent | Ended) and event.id in places:
                fate = fates[places[event.id]]
                fates[places[event.id]] = (
                    Fate(event, fate.ended) if isinstance(event, Sent) else Fate(fate.sent, event)
                )
            elif isinstance(event, Server):
                notices.append((begin.started_ms + event.t, at, event))
    if not arrived:
        raise ServingError(f"{', '.join(map(str, paths))}: holds no request")
    order = sorted(range(len(arrived)), key=lambda place: arrived[place][:2])
    first = arrived[order[0]][0]
    return History(
        topology=_topology(begins),
        arrived=tuple((arrived[k][0] - first, *arrived[k][1:]) for k in order),
        fates=tuple(fates[k] for k in order),
        downs=_downs(notices),
    )


def _downs(notices: Sequence[tuple[int, int, Begin | Server]]) -> int:
    """Return how often servers went down, each time noticed by one gateway or by several.

    Args:
        notices: when, by which gateway, and what: that it begins, and knows of none.
    """
    down: dict[int, set[int]] = {}  # gateways that know a server to be so
    count = 0
    for _, gateway, event in sorted(notices, key=lambda notice: notice[0]):
        if isinstance(event, Begin):
            for known in down.values():
                known.discard(gateway)
            continue
        known = down.setdefault(event.server, set())
        if event.event == "up":
            known.discard(gateway)
        else:
            count += not known
            known.add(gateway)
    return count


def _events(path: Path) -> Iterator[tuple[int, Event]]:
    """Yield the events of a file with their lines; a last line without an end is passed over."""
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(LONGEST):
                number += 1
                if not line.endswith(b"\n"):
                    return
                yield number, _event(path, number, line)
    except OSError as error:
        raise ServingError(f"{path}: cannot be read ({error.strerror or error})") from None


def _event(path: Path, number: int, line: bytes) -> Event:
    try:
        return _EVENTS.validate_json(line)
    except ValidationError as error:
        field = ".".join(map(str, error.errors()[0]["loc"])) or "the line"
        raise ServingError(f"{path}, line {number}: {field}: {rule_of(error)}") from None


def _topology(begins: Sequence[Begin]) -> Topology:
    """Return the servers as the last run has them, with the links that each gateway says it has."""
    told = dict(begins[-1].topology)
    known = Topology.__dataclass_fields__.keys()
    if not told.keys() <= known or not {"capacity", "baseline", "curve"} <= told.keys():
        raise ServingError(f"topology has {', '.join(told)}: not those of a log")
    try:
        arrays = {name: np.array(given) for name, given in told.items()}
        for begin in begins:
            for name in LINKS & told.keys() & begin.topology.keys():
                arrays[name][begin.gateway] = begin.topology[name][begin.gateway]
        return Topology(**arrays)
    except (ValueError, TypeError, OverflowError, LookupError) as error:
        raise ServingError(f"topology of the log: {error}") from None
