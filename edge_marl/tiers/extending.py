"""Scenario files that extend another: what they state, on top of what that one states.

`extends = "metro@2"` in a file takes all that `metro@2` states but its name, version and summary,
which are the file's own. Tables are merged key by key; lists and values replace what was there. A
release is named with its version, so that the file means the same when there is a newer one; a file
of one's own is given by its path, from the folder of the file that extends it. The whole is checked
and hashed as if it had been written out.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_marl import tiers
from edge_marl.errors import ScenarioError, show
from edge_marl.tiers.releases import labels_of_releases, read_tier

__all__ = ["EXTENDS", "Layers", "Source", "parse_layers", "read_file"]

EXTENDS = "extends"
OWN = ("name", "version", "summary", "test_set_of")
"""What a file does not take from the one that it extends."""

MOST = 16
"""Files, each of which extends the next."""


@dataclass(frozen=True)
class Source:
    """A file, or text as of one."""

    text: str
    where: str
    """Its name in errors; its path, if it is a file."""
    facts: dict[str, Any]
    """What it states itself."""
    identity: str

    def line_of(self, loc: Sequence[int | str]) -> tuple[int, int]:
        """Return how much of `loc` is written here, in keys, and the line of the last of them.

        Args:
            loc: a key and the tables around it, from the outermost.
        """
        table: tuple[int | str, ...] = ()
        count: Counter[str] = Counter()
        best, found = 0, 1
        for number, line in enumerate(self.text.splitlines(), start=1):
            path = table
            if match := re.match(r"\s*(\[\[?)\s*([\w.-]+)\s*\]", line):
                table = path = tuple(match[2].split("."))
                if match[1] == "[[":
                    table = path = (*path, count[match[2]])
                    count[match[2]] += 1
            elif match := re.match(r"\s*([\w-]+)\s*=", line):
                path = (*table, match[1])
            if len(path) > best and path == tuple(loc[: len(path)]):
                best, found = len(path), number
        return best, found


@dataclass(frozen=True)
class Layers:
    """What a file states with all that it extends."""

    facts: dict[str, Any]
    sources: tuple[Source, ...]
    """The file, the one that it extends, and so on."""

    def place_of(self, loc: Sequence[int | str]) -> str:
        """Return file and line of what decides on a key: its own, or of the table around it.

        That is the first file in which most of the way there is written.
        """
        stated_here = loc and loc[0] in OWN
        at = [source.line_of(loc) for source in self.sources[: 1 if stated_here else None]]
        depth = max(best for best, _ in at)
        first = next(i for i, (best, _) in enumerate(at) if best == depth)
        return f"{self.sources[first].where}:{at[first][1]}"

    @property
    def comments(self) -> str:
        """What stands above the first key of each file, without the `#`, the file's own first."""
        heads = []
        for source in self.sources:
            lines = source.text.splitlines()
            end = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
            heads += [[line[1:].removeprefix(" ") for line in lines[:end]]]
        return "\n\n".join("\n".join(head) for head in heads if head)


def parse_layers(text: str, where: str) -> Layers:
    """Return what TOML text states, on top of what it extends.

    Raises:
        ScenarioError: no TOML; unknown, unreadable or moving base, or one that leads back here.
    """
    sources = [_parse(text, where, _identity(Path(where)))]
    try:
        while (base := _base_of(sources)) is not None:
            sources.append(base)
        facts: dict[str, Any] = {}
        for source in reversed(sources):
            own = {name: value for name, value in source.facts.items() if name != EXTENDS}
            kept = {name: value for name, value in facts.items() if name not in OWN}
            facts = _merged(kept, own)
    except RecursionError:
        raise ScenarioError(f"{where}: not valid TOML: nested too deeply") from None
    return Layers(facts, tuple(sources))


def read_file(path: Path) -> str:
    """Return the text of a scenario file.

    Raises:
        ScenarioError: it is not there, or cannot be read.
    """
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise ScenarioError(f"{path}: there is no such scenario file") from None
    except (OSError, ValueError) as error:  # also of a path with a character of no path
        raise ScenarioError(f"{path}: cannot be read as UTF-8 text ({error})") from None


def _parse(text: str, where: str, identity: str) -> Source:
    try:
        facts = tomllib.loads(text.removeprefix("\ufeff"))  # the byte order mark of Notepad
    except RecursionError:
        raise ScenarioError(f"{where}: not valid TOML: nested too deeply") from None
    except ValueError as error:  # also of a number of thousands of digits
        line = re.search(r"\(at line (\d+), column \d+\)", str(error))
        place = f"{where}:{line[1]}" if line else where
        raise ScenarioError(f"{place}: not valid TOML: {error}") from None
    return Source(text, where, facts, identity)


def _base_of(sources: list[Source]) -> Source | None:
    """Return what the last of some files extends; None if it extends nothing."""
    last = sources[-1]
    if EXTENDS not in last.facts:
        return None
    named = last.facts[EXTENDS]
    told = f"{last.where}:{last.line_of([EXTENDS])[1]}: {EXTENDS} = {show(named)}: "
    if not isinstance(named, str):
        raise ScenarioError(
            f"{told}must be a release, such as 'metro@2', or the path of a .toml file"
        )
    try:
        base = _find(named, last)
    except ScenarioError as error:
        raise ScenarioError(told + str(error)) from None
    if base.identity in {source.identity for source in sources}:
        circle = " -> ".join(source.where for source in (*sources, base))
        raise ScenarioError(f"{told}it goes in a circle: {circle}")
    if len(sources) == MOST:
        raise ScenarioError(f"{told}it is the {MOST}th that is extended: at most {MOST - 1} are")
    tier = base.facts.get("test_set_of")
    if tier is not None and "test_set_of" not in last.facts:
        raise ScenarioError(
            f"{told}it is a test set of {show(tier)}: say test_set_of here too (with the version "
            "of the tier), for nothing may be trained on it"
        )
    return base


def _find(named: str, last: Source) -> Source:
    """Return the release or the file that a name means in a file."""
    if named.endswith(".toml"):
        path = Path(last.where).parent / named
        return _parse(read_file(path), str(path), _identity(path))
    if "@" not in named and tiers.versions_of(named):
        known = ", ".join(labels_of_releases(named))
        raise ScenarioError(
            f"it has versions: say which ({known}), so that the file means the same when there is "
            "a newer one"
        )
    return _parse(read_tier(named), f"{named}.toml", f"release {named}")


def _merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Return tables merged key by key; of anything else what is `own`."""
    found = dict(base)
    for name, value in own.items():
        before = found.get(name)
        both = isinstance(before, dict) and isinstance(value, dict)
        found[name] = _merged(before, value) if both else value  # type: ignore[arg-type]
    return found


def _identity(path: Path) -> str:
    return str(path.absolute().resolve())
