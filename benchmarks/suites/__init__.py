"""Suites: what a run is asked for, as values in Python and as TOML files beside this one.

A suite is all its axes: scenarios x worlds x APIs x agents x seeds, with a budget, and the
workloads that they are judged on.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edge_marl.errors import SuiteError, did_you_mean, show
from edge_marl.scenario import Api

__all__ = ["DEFAULT", "PUBLIC", "Split", "Suite", "Variant", "list_suites", "load_suite"]

Count = Annotated[int, Field(ge=1)]
Names = Annotated[tuple[str, ...], Field(min_length=1)]

# Those of `edge_marl.workload.parts`, whose import takes a second (a test holds them equal).
Split = Literal["train", "validation", "test"]
PUBLIC = 100
"""Workloads of `validation` and of `test`."""

DEFAULT_AGENTS = (
    "random",
    "round-robin",
    "crash-avoid",
    "crash-avoid-best",
    "prophet",
    "sac",
    "adsac",
)
"""The published heuristics and what the papers are about; the other agents run where named."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Variant(_Model):
    """An agent with settings of its own, under a name of its own."""

    agent: str
    """A registered name, `module:Class` or `file.py:Class`."""
    settings: dict[str, Any] = {}
    """Those that are not the agent's own."""
    budget: Count | None = None
    """Decisions that it trains on; None: the suite's."""


class Suite(_Model):
    """What a run is asked for."""

    name: str | None = None
    """Of its file; None for one that was made up."""
    summary: str = ""
    """One line for people."""
    scenarios: Names = ("paper",)
    """Tiers' names or paths of TOML files."""
    worlds: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """Worlds of each scenario; none means the one that it states."""
    agents: tuple[str, ...] = DEFAULT_AGENTS
    """Names, `module:Class` or `file.py:Class`, with settings after it: `adsac gamma=0.9`."""
    variants: dict[Annotated[str, Field(min_length=1, max_length=80)], Variant] = {}
    """What is run beside the agents, by the name that it is shown under."""
    seeds: Count = 2
    """Training runs, with seeds 0..seeds-1."""
    split: Split = "test"
    """Whose workloads the agents are judged on: `test` is for reported results, `validation` for
    choosing settings (trainings choose their policy on its first ten)."""
    first: Annotated[int, Field(ge=0)] = 0
    """Number of the first workload."""
    episodes: Annotated[int, Field(ge=1, le=PUBLIC)] = 20
    """Workloads first..first+episodes-1 are used."""
    budget: Count = 48_000
    """Decisions that a learning agent trains on: some 32 episodes of `paper`, and two seeds each of
    `sac` and `adsac` in under five minutes on two cores."""
    apis: tuple[Api, ...] = ()
    """What the agents are evaluated on; none means each scenario's own: games in slots as policy of
    all gateways, all others on the single environment."""
    gateways: int | Literal["servers"] | None = None
    """Replaces the scenarios' number of gateways in the game ("servers": one at each)."""
    slot_s: float | None = None
    """Replaces their slot in seconds (0: event clock)."""
    hold: bool | None = None
    """Replaces whether gateways may keep a task for the next slot."""
    generalise: bool = False
    """Whether the test sets of each scenario are played too, by what was trained on it."""
    train_on: str | None = None
    """Where all agents are trained; None: each where it is evaluated, or on the tier whose test set
    that is."""
    threads: Count = 1
    """Threads of each cell's process."""

    @model_validator(mode="after")
    def _check(self) -> Suite:
        end = self.first + self.episodes
        if self.split != "train" and end > PUBLIC:
            raise ValueError(
                f"first = {self.first}, episodes = {self.episodes}: split '{self.split}' has the "
                f"workloads 0..{PUBLIC - 1}: first + episodes must be at most {PUBLIC}, not {end}; "
                "lower one of them"
            )
        if not self.agents and not self.variants:
            raise ValueError("agents = (): must name at least one agent, or [variants] give one")
        return self

    def replaced(self, axes: dict[str, Any]) -> Suite:
        """Return the suite with the axes that are given, those of None left as they are.

        Agents that are given also replace its variants.

        Raises:
            SuiteError: if a value breaks a rule.
        """
        given = {name: value for name, value in axes.items() if value is not None}
        if "agents" in given:
            given = {"variants": {}} | given
        return _checked({**self.model_dump(), **given}, "the run")


DEFAULT = Suite()
"""What `edge-marl run` does without a suite: the main job of the README."""


def list_suites() -> list[str]:
    """Names of the suites that are shipped, sorted."""
    files = (file.name for file in resources.files(__name__).iterdir())
    return sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml"))


def load_suite(source: str) -> Suite:
    """Return the suite of a name or of a TOML file's path.

    Raises:
        SuiteError: unknown name; unreadable or malformed file (field, value, what is allowed).
    """
    known = list_suites()
    if source in known:
        text = resources.files(__name__).joinpath(f"{source}.toml").read_text("utf-8")
    elif not source.endswith(".toml"):
        hint = did_you_mean(source, known)
        raise SuiteError(
            f"unknown suite '{source}': {hint}the suites are {', '.join(known)}; one of your own "
            "is given by the path of its .toml file"
        )
    else:
        try:
            text = Path(source).read_text("utf-8")
        except FileNotFoundError:
            raise SuiteError(f"{source}: there is no such suite file") from None
        except (OSError, UnicodeDecodeError) as error:
            raise SuiteError(f"{source}: cannot be read as UTF-8 text ({error})") from None
    try:
        facts = tomllib.loads(text)
    except RecursionError:
        raise SuiteError(f"{source}: not valid TOML: nested too deeply") from None
    except ValueError as error:  # also of a number of thousands of digits
        raise SuiteError(f"{source}: not valid TOML: {error}") from None
    return _checked({"name": Path(source).stem, **facts}, source)


def _checked(facts: dict[str, Any], where: str) -> Suite:
    try:
        return Suite.model_validate(facts)
    except ValidationError as error:
        raise SuiteError(*(_explain(problem, where) for problem in error.errors())) from None


def _explain(problem: Any, where: str) -> str:
    if not problem["loc"]:  # the suite's own check says it all
        return f"{where}: {problem['ctx']['error']}"
    field = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        model = Suite if len(problem["loc"]) == 1 else Variant
        allowed = sorted(model.model_fields.keys() - {"name"})
        hint = did_you_mean(str(problem["loc"][-1]), allowed)
        return f"{where}: unknown field '{field}': {hint}Allowed: {', '.join(allowed)}"
    return f"{where}: {field} = {show(problem['input'])}: {problem['msg']}"
