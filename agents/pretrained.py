"""Trained agents of the leaderboards, by the name of the agent and of the scenario.

`pretrained.json` lists them: the learners of the boards whose policies were found to take the
decisions of their logs. The list is part of the package, and has the SHA-256 of every file. The
policies themselves are in the repository: in a checkout they lie where the list does, elsewhere
they are fetched once, checked, and kept in the cache.
"""

from __future__ import annotations

import hashlib
import shutil
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter

from edge_marl.agents.base import Agent, Trainer
from edge_marl.agents.registry import find, load
from edge_marl.errors import AgentError
from edge_marl.files import CACHE_VARIABLE, cache_folder, download, new_folder
from edge_marl.scenario import Scenario, load_scenario

__all__ = ["Pretrained", "fetch_pretrained", "load_pretrained", "pretrained"]

LIST = "leaderboards/pretrained.json"
SUBMISSIONS = "leaderboards/submissions"
HERE = Path(__file__).parents[1]
"""The checkout, or the installed package: either has the list below it, the first the policies."""


class Pretrained(BaseModel):
    """The policies of one entry of a leaderboard."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")
    agent: str
    """Name of the learner."""
    scenario: str
    """Label of the world that it was trained in and for."""
    budget: int
    """Decisions of each training."""
    score: float
    """What its board ranks it by: 0 random, 1 bound; utility per task in a world without bound."""
    submission: str
    """The entry's folder below that of all submissions."""
    files: dict[str, str]
    """SHA-256 of each file, such as `seed-0/config.json`."""

    @property
    def seeds(self) -> list[int]:
        """Seeds of the trainings."""
        return sorted({int(path.split("/")[0].removeprefix("seed-")) for path in self.files})

    def of_seed(self, seed: int) -> dict[str, str]:
        """SHA-256 of the files of one training, by their names."""
        folder = f"seed-{seed}/"
        return {k.removeprefix(folder): v for k, v in self.files.items() if k.startswith(folder)}


@cache
def pretrained() -> tuple[Pretrained, ...]:
    """Return all that there are, by scenario and agent.

    Of several entries of one agent on a board it is the one with the best score.
    """
    content = (HERE / LIST).read_bytes()
    return TypeAdapter(tuple[Pretrained, ...]).validate_json(content)


def load_pretrained(
    agent: str, scenario: str | Scenario, *, seed: int = 0, source: str | Path | None = None
) -> Agent:
    """Return a trained agent of the leaderboards, for the world that it was trained in.

        agent = load_pretrained("ppo", "paper")

    Args:
        agent: name of a learner.
        scenario: the world, or its name.
        seed: of its training; it was trained several times, and none of them is picked.
        source: where its files are brought from, into the cache: a checkout of the repository, or
            the http(s) address of one, below which its files are found by their paths. Without it
            they have to be here already, in the checkout or the cache.

    Raises:
        AgentError: unknown agent, or one that learns nothing; none of it for this scenario, or of
            this seed; files that are not here, cannot be had, or are others than listed.
        ScenarioError: unknown scenario.
    """
    world = scenario if isinstance(scenario, Scenario) else load_scenario(scenario)
    return load(fetch_pretrained(agent, world, seed=seed, source=source), world)


def fetch_pretrained(
    agent: str, scenario: str | Scenario, *, seed: int = 0, source: str | Path | None = None
) -> Path:
    """Return a trained agent's folder, for `load` and `--checkpoint` (see `load_pretrained`)."""
    world = scenario if isinstance(scenario, Scenario) else load_scenario(scenario)
    entry = _find(agent, world.label)
    files, place = entry.of_seed(seed), f"{entry.submission}/policy/seed-{seed}"
    if not files:
        raise AgentError(
            f"seed {seed}: '{agent}' was trained on '{world.label}' with seeds "
            f"{', '.join(map(str, entry.seeds))}"
        )
    kept = cache_folder() / "pretrained" / place
    if source is not None:  # also where they are here: one who names a place wants that one
        _bring(files, str(source), f"{SUBMISSIONS}/{place}", kept)
        return kept
    for folder in (HERE / SUBMISSIONS / place, kept):
        if all(_sha256(folder / name) == sha256 for name, sha256 in files.items()):
            return folder
    raise AgentError(
        f"'{agent}' for '{world.label}' is not here ({kept}): name a checkout of edge-marl's "
        "repository, or its address, as source= (on the command line edge-marl agents fetch "
        f"{agent} {world.label} --from PLACE)"
    )


def _find(agent: str, label: str) -> Pretrained:
    if not issubclass(find(agent), Trainer):
        raise AgentError(
            f"agent '{agent}' learns nothing: edge_marl.agents.make('{agent}', scenario) makes it"
        )
    there = {entry.agent: entry for entry in pretrained() if entry.scenario == label}
    if agent in there:
        return there[agent]
    instead = f"only {', '.join(there)}" if there else "nor any other learner"
    raise AgentError(
        f"there is no re-executed '{agent}' for '{label}', {instead}: `edge-marl agents list "
        "--pretrained` has all, `edge-marl train` makes one"
    )


def _bring(files: dict[str, str], source: str, place: str, kept: Path) -> None:
    """Fetch files into a folder of the cache, all or none."""
    remote = source.startswith(("http://", "https://"))
    if not remote and not Path(source).is_dir():
        raise AgentError(
            f"{source}: there is no such folder: give a checkout of edge-marl's repository, or "
            "its address, http(s)://..."
        )
    other = "it is of another version of edge-marl than this list of trained agents"
    fix = f"make room there, or name another folder in the environment variable {CACHE_VARIABLE}"
    with new_folder(kept, AgentError, fix) as new:
        for name, sha256 in files.items():
            origin = f"{source.rstrip('/')}/{place}/{name}"
            if remote:
                instead = "give the folder of a checkout instead"
                download(origin, sha256, new / name, AgentError, instead, other)
                continue
            if not Path(origin).is_file():
                raise AgentError(
                    f"{origin}: there is no such file: {source} is no checkout, or {other}"
                )
            shutil.copyfile(origin, new / name)
            if _sha256(new / name) != sha256:
                raise AgentError(
                    f"{origin}: its SHA-256 is not {sha256}: it is damaged, or {other}"
                )


def _sha256(path: Path) -> str | None:
    """Return a file's digest; None where there is no such file."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
