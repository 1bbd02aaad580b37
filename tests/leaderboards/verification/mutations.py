"""Random mutations of a good submission: every one that changes content must be rejected.

    python -m tests.leaderboards.verification.mutations --count 1000 --seed 0
    python -m tests.leaderboards.verification.mutations --game --count 500
    python -m tests.leaderboards.verification.mutations --compact --count 500

Bits are flipped, bytes cut and put in, values edited and rows swapped, half of the time with the
seal made anew, so that it is the checks behind the seal that have to find it.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_marl.leaderboards.policies.opening import OpenPolicy
from edge_marl.leaderboards.verification.verify import verify
from tests.worlds.forging import (
    GOOD,
    edit,
    edit_actions,
    good_compact,
    good_game,
    playing,
    read,
)

FILES = ("submission.json", "actions.npz", "chain.json", "policy/seed-0/config.json")
DECLARED = {"about", "hardware", "versions", "settings", "decision_latency_us", "train_s"}
"""What authors say of themselves: sealed, and otherwise for no check to know."""


def flip_bit(folder: Path, rng: random.Random) -> None:
    path = folder / rng.choice(FILES)
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def cut(folder: Path, rng: random.Random) -> None:
    path = folder / rng.choice(FILES)
    content = path.read_bytes()
    start = rng.randrange(len(content))
    path.write_bytes(content[:start] + content[start + rng.randint(1, 40) :])


def put_in(folder: Path, rng: random.Random) -> None:
    path = folder / rng.choice(FILES)
    content = path.read_bytes()
    start = rng.randrange(len(content))
    path.write_bytes(content[:start] + rng.randbytes(rng.randint(1, 40)) + content[start:])


def swap_files(folder: Path, rng: random.Random) -> None:
    one, other = (folder / name for name in rng.sample(FILES, 2))
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


def edit_value(folder: Path, rng: random.Random) -> None:
    """Change one value somewhere in a file of JSON, sealed."""
    name = rng.choice(("submission.json", "chain.json"))
    edit(folder, lambda facts: _change(facts, rng), name)


def edit_action(folder: Path, rng: random.Random) -> None:
    """Change one decision, sealed."""

    def change(arrays: dict[str, Any]) -> None:
        at = rng.randrange(len(arrays["actions"]))
        arrays["actions"][at] = (arrays["actions"][at] + rng.randint(1, 5)) % 6

    edit_actions(folder, change)


def swap_rows(folder: Path, rng: random.Random) -> None:
    """Swap the values of two workloads in every list of the runs, sealed."""
    one, other = rng.sample(range(100), 2)
    name, run = rng.choice(
        (("submission.json", "metrics"), ("chain.json", "heads"), ("chain.json", "gateways"))
    )

    def change(facts: Any) -> None:
        own = rng.choice(facts["runs"])
        found = own.get(run) or own["heads"]
        for values in found.values() if isinstance(found, dict) else [found]:
            values[one], values[other] = values[other], values[one]

    edit(folder, change, name)


def _change(facts: Any, rng: random.Random) -> None:
    """Walk down to a value, at random, and make another one of it."""
    while True:
        keys = [k for k in (facts if isinstance(facts, dict) else range(len(facts))) if _counts(k)]
        key = rng.choice(keys)
        if not isinstance(facts[key], dict | list) or not facts[key]:
            break
        facts = facts[key]
    value = facts[key]
    if isinstance(value, str) and value:
        at = rng.randrange(len(value))
        facts[key] = value[:at] + ("b" if value[at] != "b" else "c") + value[at + 1 :]
    elif isinstance(value, bool) or value is None or isinstance(value, dict | list):
        facts[key] = 1.5
    else:
        facts[key] = value + rng.choice((1, -1, 0.001, 1e-9 * abs(value) or 1e-9))


def _counts(key: object) -> bool:
    return key not in DECLARED | {"seal", "files", "links"}


MUTATIONS: tuple[Callable[[Path, random.Random], None], ...] = (
    flip_bit, cut, put_in, swap_files, edit_value, edit_action, swap_rows
)  # fmt: skip


def survivors(
    count: int, seed: int, good: Path = GOOD, open_policy: OpenPolicy | None = None
) -> tuple[list[str], Counter[str]]:
    """Mutate and verify; return what was let through, and how often each check caught one.

    Args:
        count: mutations.
        seed: of all of them.
        good: what is mutated.
        open_policy: opens the policies that make its log again, where it is compact.
    """
    rng = random.Random(seed)
    through, caught = [], Counter[str]()
    for number in range(count):
        mutate = rng.choice(MUTATIONS)
        with tempfile.TemporaryDirectory() as root:
            folder = Path(shutil.copytree(good, Path(root, good.parent.name, good.name)))
            before = _content(folder)
            mutate(folder, rng)
            if _content(folder) == before:
                caught["(nothing changed)"] += 1
                continue
            verdict = verify(folder, "replayed", open_policy=open_policy)
            if verdict.failure is None:
                through.append(f"{number}: {mutate.__name__}")
            else:
                caught[verdict.failure.partition(":")[0]] += 1
    return through, caught


def _content(folder: Path) -> list[object]:
    """What a submission says: of JSON not its spaces, of other files every byte."""
    said: list[object] = []
    for name in FILES:
        try:
            said.append(read(folder, name))
        except ValueError:
            said.append((folder / name).read_bytes())
    return said


def main() -> None:
    """Run as many as asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--game", action="store_true", help="of a submission of a game")
    parser.add_argument("--compact", action="store_true", help="of a compact submission")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        good = good_game(Path(root)) if asked.game else GOOD
        good = good_compact(Path(root)) if asked.compact else good
        own = playing("random") if asked.compact else None
        through, caught = survivors(asked.count, asked.seed, good, own)
    for check, times in caught.most_common():
        print(f"{times:6} {check}")  # noqa: T201 (a script)
    print(f"{len(through)} of {asked.count} were let through", *through)  # noqa: T201 (a script)
    raise SystemExit(bool(through))


if __name__ == "__main__":
    main()
