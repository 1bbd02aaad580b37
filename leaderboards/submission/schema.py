"""Models of a submission's files, `submission.json` and `chain.json`.

A submission is a folder `<board>/<date>-<agent>/` below `leaderboards/submissions`; where there is
more to tell, `<date>-<agent>,<class>,<settings>`: a learner's class from *standard* on, and the
settings that were chosen, such as `2026-12-01-ippo,standard,network=pairs`:

    submission.json   who, with what, in which world, and the claimed metrics (`Submission`)
    actions.npz       every decision of every run on every test workload (`files.Actions`); of a
                      compact submission, whose policies make them again, those of the first run
    chain.json        what ties them to what was seen and earned (`Chain`)
    policy/seed-K/    optional: the agent of run K as `Agent.save` writes it, config and safetensors
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from datetime import date
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from edge_marl.benchmarks.plan.budgets import BUDGETS, BudgetClass, budget_class
from edge_marl.benchmarks.plan.cells import canonical_json
from edge_marl.leaderboards.submission.game_facts import (
    Count,
    Execution,
    Facts,
    GameFacts,
    Information,
    SparseFacts,
)
from edge_marl.leaderboards.submission.texts import Link, LongText, Settings, Slug, Text

__all__ = [
    "FEWER_RUNS",
    "LEVELS",
    "RUNS",
    "SCHEMA_VERSION",
    "WORKLOADS",
    "About",
    "AgentFacts",
    "Chain",
    "ChainRun",
    "Execution",
    "GameFacts",
    "Hardware",
    "Information",
    "Kind",
    "Level",
    "Run",
    "ScenarioFacts",
    "Submission",
    "Training",
    "board_of",
    "each_told",
    "problem_of",
    "seal_of",
    "slug_of",
]

SCHEMA_VERSION = 1

WORKLOADS = 100
"""Test workloads 0..99, all of them."""

Kind = Literal["learner", "randomised", "deterministic"]
RUNS: dict[Kind, int] = {"learner": 10, "randomised": 3, "deterministic": 1}
"""Runs that a submission is asked for; they have the seeds 0, 1, ...: none can be picked.

A learner's seed is its training's; a randomised agent draws lots from it; what a deterministic
agent does depends on no seed, so that one run says it all.
"""
FEWER_RUNS = 5
"""Of a learner, taken as well: with a mark."""

Level = Literal["claimed", "replayed", "re-executed", "held-out"]
LEVELS: tuple[Level, ...] = ("claimed", "replayed", "re-executed", "held-out")
"""How far a submission was checked, each level with all before it."""

SMALLEST = next(iter(BUDGETS))
"""The class of which a folder's name says nothing."""

ENVIRONMENT_VERSION = 0
"""Of the id EdgeAIGC-v0: a change of the dynamics, or of a tier, opens new boards."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Place = Annotated[
    str,
    Field(
        pattern=r"^(actions\.npz|chain\.json|"
        r"policy/seed-(0|[1-9][0-9]?)/(config\.json|weights\.safetensors))$"
    ),
]
"""A file of a submission besides `submission.json`; there are no others."""
Amount = Annotated[float, Field(ge=0.0)]

TOLD_SETTING = re.compile(r"[a-z_][a-z0-9_]*=-?[a-z0-9]+([._-][a-z0-9]+)*")
LONGEST_TOLD = 60
"""Characters of the settings in a folder's name; longer ones are a digest there."""


class Training(SparseFacts):
    """What a policy was trained on, as its authors declare it."""

    sparse: ClassVar[frozenset[str]] = frozenset({"budget_class"})

    data: Text
    """Such as "train workloads of paper"."""
    budget: Count
    """Decisions per training; 0 for an agent that does not learn."""
    budget_class: BudgetClass | None = None
    """The class that this budget is of; None for an agent that does not learn, and in submissions
    of before there were classes."""
    test_data_used: bool = False
    """Whether test workloads had any part in training or choosing it."""

    @model_validator(mode="after")
    def _is_of_its_class(self) -> Self:
        said, own = self.budget_class, budget_class(self.budget)
        if said not in (None, own):
            raise PydanticCustomError(
                "class", f"a budget of {self.budget} decisions is of class '{own}', not '{said}'"
            )
        return self


class About(Facts):
    """What the authors say of their submission."""

    authors: Annotated[tuple[Text, ...], Field(min_length=1, max_length=50)]
    links: Annotated[tuple[Link, ...], Field(max_length=20)] = ()
    """Paper, code, home page."""
    description: LongText = ""
    training: Training


class AgentFacts(SparseFacts):
    """Which agent."""

    sparse: ClassVar[frozenset[str]] = frozenset({"chosen"})

    name: Slug
    """A registered name, or one for an agent of the authors' own."""
    kind: Kind
    registered: bool
    """Whether it is one of the package's; else its code is elsewhere."""
    settings: Settings
    """As they were resolved."""
    chosen: Settings | None = None
    """Those of them that its run asked for, and that are not what the agent takes by itself; None
    in submissions of before this was said, which are taken for the agent as it is by itself."""
    code_sha256: Sha256 | None = None
    """Of the file that holds its class, where it is not registered."""

    @model_validator(mode="after")
    def _chosen_are_settings(self) -> Self:
        for name, value in (self.chosen or {}).items():
            if name not in self.settings or self.settings[name] != value:
                has = _told_value(self.settings.get(name, "no such setting"))
                told = f"chosen has {name}={_told_value(value)}, settings has {has}"
                raise PydanticCustomError("chosen", "{told}", {"told": told})
        return self

    @property
    def chosen_text(self) -> str:
        """The settings that were chosen as people read them, `network=pairs`; empty if none."""
        return " ".join(each_told(self.chosen or {}))

    @property
    def full_name(self) -> str:
        """The name with the settings that were chosen: what tells entries of one agent apart."""
        return f"{self.name} {self.chosen_text}".rstrip()


class ScenarioFacts(Facts):
    """Which world."""

    name: Annotated[
        str, Field(pattern=r"^[a-z0-9]+([.-][a-z0-9]+)*(@[1-9][0-9]*(-w[0-9]+)?)?$", max_length=60)
    ]
    """Label of a release: a tier, with `@V` where it has versions, and with `-wK` where it is
    another of its worlds."""
    digest: Sha256


class Hardware(Facts):
    """What the decisions were made on: for their latency, and where their last bits are from."""

    system: Text
    machine: Text
    processor: Text
    cores: Annotated[int, Field(ge=1)]
    memory_gib: Amount | None


class Run(SparseFacts):
    """One training seed's results, workload by workload."""

    sparse: ClassVar[frozenset[str]] = frozenset({"train_cpu_s", "curve"})

    seed: Count
    metrics: dict[
        Text, Annotated[tuple[float | None, ...], Field(min_length=WORKLOADS, max_length=WORKLOADS)]
    ]
    """Every metric of `edge_marl.METRICS` on workloads 0..99; None where an episode has none."""
    decision_latency_us: Amount | None = None
    """Median time of a decision at batch 1. Reported, never ranked, and no check can repeat it."""
    train_s: Amount | None = None
    """Seconds of training, by the wall clock."""
    train_cpu_s: Amount | None = None
    """Processor time of training in seconds; None where the run did not measure it."""
    curve: (
        Annotated[tuple[tuple[Count, float | None], ...], Field(min_length=1, max_length=100)]
        | None
    ) = None
    """Of its training: decisions so far, and utility per task on validation workloads then (None
    where that is undefined). Reported, never ranked. None where there is none, or none was kept."""


class Submission(SparseFacts):
    """`submission.json`."""

    sparse: ClassVar[frozenset[str]] = frozenset({"game"})

    schema_version: Literal[1] = 1
    date: date
    agent: AgentFacts
    game: GameFacts | None = None
    """Of a policy of gateways; None on boards of the single environment."""
    about: About
    scenario: ScenarioFacts
    versions: Annotated[dict[Text, Text], Field(max_length=50)]
    """Of Python and of the packages that the results were made with."""
    hardware: Hardware
    workloads: Annotated[tuple[Sha256, ...], Field(min_length=WORKLOADS, max_length=WORKLOADS)]
    """Digest of each test workload."""
    runs: Annotated[tuple[Run, ...], Field(min_length=1, max_length=10)]
    means: dict[Text, float | None]
    """Mean of every metric over all runs and workloads that have it."""
    files: dict[Place, Sha256]
    """Digest of every other file of the folder."""
    seal: Sha256
    """Digest of all the above (`seal_of`), and so of the whole submission."""

    @property
    def board(self) -> str:
        """Folder of the board that it is for."""
        return board_of(self.scenario.name)

    @property
    def folder_name(self) -> str:
        """Name of its own folder, which tells all that entries of one agent are told apart by."""
        parts = [f"{self.date.isoformat()}-{self.agent.name}"]
        if self.agent.chosen is not None:  # else its name was made when date and agent were all
            parts += [one for one in [self.budget_class] if one not in (None, SMALLEST)]
            parts += _told_settings(self.agent.chosen)
        return ",".join(parts)

    @property
    def line(self) -> tuple[object, ...]:
        """What it has in common with entries that it supersedes, or that supersede it."""
        chosen = canonical_json(self.agent.chosen or {})
        return self.author_names, self.agent.name, chosen, self.budget_class

    @property
    def entry(self) -> str:
        """Its id in the ledger: its folder below that of all submissions."""
        return f"{self.board}/{self.folder_name}"

    @property
    def author_names(self) -> frozenset[str]:
        """Its authors' names, as they are compared: whatever their letters' case and width."""
        return frozenset(
            " ".join(unicodedata.normalize("NFKC", name).casefold().split())
            for name in self.about.authors
        )

    @property
    def budget_class(self) -> BudgetClass | None:
        """The class that it is ranked in; None for what does not learn, which stands in all."""
        return budget_class(self.about.training.budget) if self.agent.kind == "learner" else None

    @property
    def mark(self) -> str | None:
        """What is to be known of it wherever it is shown; None if nothing is."""
        asked, found = RUNS[self.agent.kind], len(self.runs)
        return f"{found} training seeds where {asked} are asked" if found < asked else None

    @property
    def policy_seeds(self) -> tuple[int, ...]:
        """Seeds of the runs whose policy it brings."""
        matches = (re.fullmatch(r"policy/seed-(\d+)/config\.json", place) for place in self.files)
        return tuple(sorted(int(match[1]) for match in matches if match))

    @property
    def policy_digest(self) -> str:
        """SHA-256 (hex) of its policies, code included: what fresh workloads are drawn from."""
        policy: dict[str, Any] = {k: v for k, v in self.files.items() if k.startswith("policy/")}
        policy |= {"agent": self.agent.name, "code": self.agent.code_sha256}
        return _digest(policy)


class ChainRun(SparseFacts):
    """The episodes of one run."""

    sparse: ClassVar[frozenset[str]] = frozenset({"gateways"})

    seed: Count
    heads: Annotated[tuple[Sha256, ...], Field(min_length=WORKLOADS, max_length=WORKLOADS)]
    """Last hash of each workload's episode; in a game SHA-256 of the last hashes of its gateways.
    """
    marks: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]*$")], ...],
        Field(min_length=WORKLOADS, max_length=WORKLOADS),
    ]
    """Six bits of the hash after each decision, or after each so many (`Chain.every`), as a base64
    digit: they say where two episodes part."""
    gateways: (
        Annotated[
            tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]*$")], ...],
            Field(min_length=WORKLOADS, max_length=WORKLOADS),
        ]
        | None
    ) = None
    """In a game eight base64 digits of each gateway's last hash: they say whose chains part."""


class Chain(SparseFacts):
    """`chain.json`: a hash chain per episode over what was seen, done and earned.

    It starts with the hash of the workload's digest, and each decision adds its observation
    (float32), action (int64) and reward (float64), little-endian (`chain.py`). In a game each
    gateway of an episode has a chain, over what it alone saw, did and got.
    """

    sparse: ClassVar[frozenset[str]] = frozenset({"every"})

    schema_version: Literal[1] = 1
    every: Literal[1, 16] = 1
    """Decisions from one mark to the next; 16 in a compact submission."""
    runs: Annotated[tuple[ChainRun, ...], Field(min_length=1, max_length=10)]


def board_of(label: str) -> str:
    """Return the folder of a scenario's board, given the scenario's label."""
    return f"{label}-v{ENVIRONMENT_VERSION}"


def slug_of(agent: str) -> str:
    """Return the name of an agent on the boards: lower case, of `file.py:MyAgent` `my-agent`."""
    own = agent.rpartition(":")[2]
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", own).lower()
    return re.sub(r"[^a-z0-9.]+", "-", words).strip("-.")[:60].strip("-.")


def _told_settings(chosen: dict[str, Any]) -> list[str]:
    """Return settings as parts of a folder's name, legal on every system; of many a digest."""
    told = each_told(chosen)
    if len(",".join(told)) <= LONGEST_TOLD and all(map(TOLD_SETTING.fullmatch, told)):
        return told
    return [_digest(chosen)[:12]]


def each_told(chosen: dict[str, Any]) -> list[str]:
    """Return settings as people read them, in order: `network=pairs`."""
    return [f"{name}={_told_value(value)}" for name, value in sorted(chosen.items())]


def _told_value(value: object) -> str:
    """Return the value of a setting without quotes and brackets: `pairs`, `0.97`, `64x64`."""
    if isinstance(value, list | tuple):
        return "x".join(map(_told_value, value))
    return value if isinstance(value, str) else canonical_json(value)


def problem_of(error: ValidationError) -> tuple[str, str]:
    """Return the first field that is not of a model, with dots between, and what is wrong."""
    first = error.errors(include_url=False)[0]
    return ".".join(str(part) for part in first["loc"]), first["msg"]


def seal_of(facts: dict[str, Any]) -> str:
    """Return the seal of a submission given as JSON has it, with or without one."""
    return _digest({name: value for name, value in facts.items() if name != "seal"})


def _digest(facts: dict[str, Any]) -> str:
    return hashlib.sha256(canonical_json(facts).encode()).hexdigest()
