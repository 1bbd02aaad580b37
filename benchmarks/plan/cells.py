"""What a run consists of: a plan, the jobs it expands to, and the key that identifies each.

A job is one cell (scenario, API, agent, seed) or the anchors of one scenario. Its key is a hash of
all that its result depends on, the code included: a result is used again only for the very same
job.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from edge_marl.benchmarks.suites import PUBLIC, Split
from edge_marl.scenario import Api, Scenario

__all__ = [
    "PLAN_VERSION",
    "SCHEMA_VERSION",
    "AgentEntry",
    "Anchors",
    "Arena",
    "Cell",
    "Job",
    "Plan",
    "folder_name",
    "label_of",
    "spec_of",
]

SCHEMA_VERSION = 3
"""Version of the records that a run leaves in `cells/`."""

PLAN_VERSION = 4
"""Version of `run.json`: from 4 on, each arena says where its agents are trained."""

LONGEST_NAME = 120
"""Characters of a record's file name before its key, and of a cut folder's name before its own."""

FILE_SYSTEMS_ALLOW = 255
"""Bytes of a name; those made here are ASCII."""

Count = Annotated[int, Field(ge=1)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Judged(_Model):
    """Which workloads agents are judged on: `first..first+episodes-1` of a split."""

    split: Split = "test"
    first: Annotated[int, Field(ge=0)] = 0
    episodes: Annotated[int, Field(ge=1, le=PUBLIC)]


class _Job(_Judged):
    scenario: Scenario
    code: str
    """Digest of the sources that the result depends on."""

    @property  # not cached: pydantic's model_copy would copy the cache with it
    def key(self) -> str:
        """SHA-256 (hex) of all that the result depends on."""
        return _hash(self._identity() | self._place)

    def _identity(self) -> dict[str, Any]:
        return {"code": self.code, "schema_version": SCHEMA_VERSION}

    @property
    def _place(self) -> dict[str, Any]:
        workloads = {"split": self.split, "first": self.first, "episodes": self.episodes}
        return workloads | {"scenario": self.scenario.digest}

    @property
    def file_name(self) -> str:
        """Name of the record's file."""
        return self._file_name(self.scenario.label)

    @property
    def older_file_name(self) -> str:
        """The same in a run of before labels had versions; of a later version, the same."""
        scenario = self.scenario
        if scenario.version > 1:
            return self.file_name
        return self._file_name(scenario.name + scenario.label.removeprefix(scenario.release))

    def _file_name(self, place: str) -> str:
        """Readable in front, cut where an agent's path is long; the key makes it unique.

        Args:
            place: label of the scenario.
        """
        parts = [place + self._where.removeprefix(self.scenario.label), *self._told]
        return f"{file_part('_'.join(parts))[-LONGEST_NAME:]}_{self.key[:16]}.json"

    @property
    def _where(self) -> str:
        """Label of the scenario, and what else there is to say of the place."""
        raise NotImplementedError

    @property
    def _told(self) -> tuple[str, ...]:
        """What else a record's name tells."""
        raise NotImplementedError

    def _labelled(self, where: str) -> str:
        """Name a place, with its workloads where they are not the usual ones."""
        if (self.split, self.first) == ("test", 0):
            return where
        return f"{where}, {self.split} {self.first}..{self.first + self.episodes - 1}"


class Cell(_Job):
    """One agent with one seed on one scenario."""

    kind: Literal["cell"] = "cell"
    agent: str
    """A registered name, `module:Class` or `file.py:Class`, and after it the settings that are not
    its defaults, as `spec_of` writes them."""
    variant: str | None = None
    """Name that the agent with these settings has in its suite, if it has one."""
    seed: Annotated[int, Field(ge=0)]
    """Seed of the training and of the agent's own randomness; the workloads do not depend on it."""
    budget: Count | None
    """Decisions that the agent may train on; None for an agent that does not learn."""
    api: Api = "single"
    """What it is evaluated on."""
    train_on: Scenario | None = None
    """Where it is trained, if elsewhere than where it is evaluated."""
    threads: Count = 1
    """Threads of its process: they change the last bits of what a network computes."""

    @property
    def key(self) -> str:
        """SHA-256 (hex) of all that the result depends on."""
        # The name too: two of one agent and one training are two rows, a record each.
        return _hash(self._identity() | self._place | {"api": self.api, "variant": self.variant})

    @property
    def training_key(self) -> str:
        """The same of the agent: cells that differ only in where it is evaluated share it."""
        return _hash(self._identity())

    def _identity(self) -> dict[str, Any]:
        place = self.train_on or self.scenario
        return super()._identity() | {
            "agent": self.agent,
            "seed": self.seed,
            "budget": self.budget,
            "threads": self.threads,
            "train_on": place.digest if self.budget else None,
        }

    @property
    def name(self) -> str:
        """The agent's name for people: its variant's, or else with its settings."""
        return self.variant or self.agent

    @property
    def label(self) -> str:
        """Name for people."""
        return f"{self._where} / {self.name} / seed {self.seed}"

    @property
    def _where(self) -> str:
        return self._labelled(label_of(self.scenario, self.api))

    @property
    def _told(self) -> tuple[str, ...]:
        return self.name, f"s{self.seed}"


class Anchors(_Job):
    """The anchors of one scenario: what random dispatch gets and the bound, for each workload."""

    kind: Literal["anchors"] = "anchors"

    @property
    def label(self) -> str:
        """Name for people."""
        return f"{self._where} / anchors"

    @property
    def _where(self) -> str:
        return self._labelled(self.scenario.label)

    @property
    def _told(self) -> tuple[str, ...]:
        return ("anchors",)


Job = Annotated[Cell | Anchors, Field(discriminator="kind")]


class AgentEntry(_Model):
    """An agent of a plan, with what decides how many cells it has."""

    agent: str
    """As in `Cell.agent`."""
    variant: str | None = None
    """As in `Cell.variant`."""
    budget: Count | None = None
    """Decisions that it trains on, if they are not the plan's."""
    learns: bool
    """Whether it trains, so that the budget is part of its cells."""
    deterministic: bool
    """Whether its actions depend on no seed: then one cell says it all."""
    code: str
    """Digest of the sources that its results depend on."""

    @property
    def name(self) -> str:
        """Name for people, as in `Cell.name`."""
        return self.variant or self.agent


class Arena(_Model):
    """Where agents are evaluated: a scenario under one API. Each has a table of its own."""

    scenario: Scenario
    api: Api = "single"
    train_on: Scenario | None = None
    """Where agents are trained, if elsewhere."""

    @property
    def place(self) -> Scenario:
        """Where agents are trained."""
        return self.train_on or self.scenario

    @property
    def label(self) -> str:
        """Name for people; where the game is played, with gateways and clock."""
        return label_of(self.scenario, self.api)


class Plan(_Judged):
    """All that a run was asked for; kept in its folder, so that tables can be made again."""

    schema_version: Literal[4] = 4
    name: str
    """Of the suite, or of the run's folder where none is given."""
    arenas: Annotated[tuple[Arena, ...], Field(min_length=1)]
    agents: Annotated[tuple[AgentEntry, ...], Field(min_length=1)]
    seeds: Count
    budget: Count
    code: str
    """Digest of the sources that the anchors depend on."""
    threads: Count = 1
    """Threads of each cell's process."""

    def anchors(self, scenario: Scenario) -> Anchors:
        """Return the job that computes the anchors of one scenario: the same for both APIs."""
        return Anchors(scenario=scenario, code=self.code, **self._judged)

    def cells(self, arena: Arena, agent: AgentEntry) -> list[Cell]:
        """Return the cells of an agent in an arena, by seed."""
        elsewhere = arena.train_on if agent.learns else None
        return [
            Cell(
                scenario=arena.scenario,
                code=agent.code,
                agent=agent.agent,
                variant=agent.variant,
                seed=seed,
                budget=(agent.budget or self.budget) if agent.learns else None,
                api=arena.api,
                train_on=elsewhere,
                threads=self.threads,
                **self._judged,
            )
            for seed in range(1 if agent.deterministic else self.seeds)
        ]

    @property
    def workloads(self) -> str:
        """Which workloads the agents are judged on, for people."""
        told = f"{self.episodes} {self.split} workloads"
        return f"{told} from number {self.first}" if self.first else told

    @property
    def _judged(self) -> dict[str, Any]:
        return {"split": self.split, "first": self.first, "episodes": self.episodes}

    def jobs(self) -> list[Cell | Anchors]:
        """Return every job: per arena the anchors, if they are new, and the cells by agent."""
        jobs: dict[str, Cell | Anchors] = {}
        for arena in self.arenas:
            anchors = self.anchors(arena.scenario)
            jobs.setdefault(anchors.key, anchors)
            for agent in self.agents:
                jobs.update({cell.key: cell for cell in self.cells(arena, agent)})
        return list(jobs.values())

    def trained_by(self) -> dict[str, Cell]:
        """Return for each training key the cell that does the training: the first that needs it."""
        cells: dict[str, Cell] = {}
        for job in self.jobs():
            if isinstance(job, Cell) and job.budget:
                cells.setdefault(job.training_key, job)
        return cells


def spec_of(agent: str, settings: dict[str, Any]) -> str:
    """Return an agent and its settings as one text, such as `adsac gamma=0.9`."""
    return " ".join([agent, *(f"{k}={canonical_json(v)}" for k, v in sorted(settings.items()))])


def label_of(scenario: Scenario, api: Api) -> str:
    """Return a scenario's name for people; where the game is played, with gateways and clock."""
    if api == "single":
        return scenario.label
    count, clock = scenario.gateways.count, scenario.clock
    parts = [scenario.label, "1 gateway" if count == 1 else f"{count} gateways"]
    parts.append(f"slots of {clock.slot_s:.12g} s" if clock.slot_s else "event clock")
    return ", ".join(parts + ["hold"] * clock.hold)


def file_part(label: str) -> str:
    """Return a label as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9._@-]+", "-", label)


def folder_name(*labels: str) -> str:
    """Return labels as one name of a folder, cut where it is too long for one."""
    name = "+".join(dict.fromkeys(file_part(label) for label in labels))
    if len(name) <= FILE_SYSTEMS_ALLOW:
        return name
    return f"{name[:LONGEST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def canonical_json(facts: Any) -> str:
    """Return the one JSON text of `facts` that hashes are taken of."""
    return json.dumps(facts, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _hash(facts: dict[str, Any]) -> str:
    return hashlib.sha256(canonical_json(facts).encode()).hexdigest()
