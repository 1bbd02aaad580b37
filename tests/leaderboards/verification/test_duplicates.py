"""Whose work it is: copies of others' are refused, what is nearly one is for a person."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from edge_marl.leaderboards.submission.files import list_submissions, read_ledger
from edge_marl.leaderboards.submission.ledger import Ledger, Verification
from edge_marl.leaderboards.submission.weights import distance, read_weights, weights_digest
from edge_marl.leaderboards.verification.verify import Verdict, verify
from tests.worlds import forging

RNG = np.random.Generator(np.random.PCG64(7))
LAYERS = {
    name: RNG.normal(size=shape).astype(np.float32)
    for name, shape in (("in", (8, 16)), ("hidden", (16, 16)), ("again", (16, 16)), ("out", (16,)))
}
OTHERS = {name: RNG.normal(size=layer.shape).astype(np.float32) for name, layer in LAYERS.items()}
REVIEW = "Ada: two who trained the same net"


def other_decisions(arrays: dict[str, Any]) -> None:
    arrays["actions"][::3] = (arrays["actions"][::3] + 1) % 6


def one_other_decision(arrays: dict[str, Any]) -> None:
    arrays["actions"][57] = (arrays["actions"][57] + 1) % 6


def copied(
    root: Path,
    change: Callable[[dict[str, Any]], None] = other_decisions,
    *,
    author: str = "Mallory",
    weights: dict[str, np.ndarray[Any, Any]] | None = None,
    **format_of: Any,
) -> Path:
    """Copy the good submission to another date and authors, with other decisions."""
    folder = shutil.copytree(forging.GOOD, root / forging.GOOD.parent.name / "2026-11-29-prophet")
    if weights is not None:
        bring(folder, weights, **format_of)
    forging.edit(
        folder, lambda s: s.update(date="2026-11-29", about=s["about"] | {"authors": [author]})
    )
    forging.edit(folder, lambda c: c["settings"].update(mine=1), "policy/seed-0/config.json")
    forging.edit_actions(folder, change)
    return folder


def bring(folder: Path, weights: dict[str, np.ndarray[Any, Any]], **format_of: Any) -> None:
    save_file(weights, folder / "policy" / "seed-0" / "weights.safetensors", **format_of)
    forging.seal(folder)


def original(root: Path) -> Path:
    """The good submission, with weights."""
    folder = forging.copy_of_good(root)
    bring(folder, LAYERS)
    return folder


def failure(verdict: Verdict) -> str:
    assert verdict.failure is None or verdict.failure.startswith("duplicates: ")
    return verdict.failure or ""


def test_other_decisions_and_other_weights_are_ones_own(tmp_path: Path) -> None:
    original(tmp_path)
    assert not failure(verify(copied(tmp_path, weights=OTHERS), "claimed"))


def test_the_policy_of_another_is_a_duplicate(tmp_path: Path) -> None:
    first = original(tmp_path)
    folder = copied(tmp_path, weights=LAYERS)
    place = Path("policy", "seed-0", "config.json")
    (folder / place).write_bytes((first / place).read_bytes())
    forging.seal(folder)
    says = f"policy: the policy of {first.parent.name}/{first.name} by other authors: a duplicate"
    assert says in failure(verify(folder, "claimed"))


@pytest.mark.parametrize(
    "weights", [LAYERS, {f"z.{name[::-1]}": layer for name, layer in LAYERS.items()}]
)
def test_weights_of_another_are_a_duplicate_whatever_their_format(
    weights: dict[str, np.ndarray[Any, Any]], tmp_path: Path
) -> None:
    original(tmp_path)
    folder = copied(tmp_path, weights=weights, metadata={"made": "by us"})
    found = failure(verify(folder, "claimed", reviewed=REVIEW))
    assert "seed-0: the weights of seed 0 of smoke-v0/" in found


def test_weights_nearly_anothers_are_for_a_person(tmp_path: Path) -> None:
    original(tmp_path)
    moved = {f"a{k}": (1 + 1e-4) * layer for k, layer in enumerate(LAYERS.values())}
    folder = copied(tmp_path, weights=moved)
    found = failure(verify(folder, "claimed"))
    assert "weights within 0.0001 (relative) of those of seed 0 of smoke-v0/" in found
    assert found.endswith("a person has to look: verify with --reviewed 'NAME: why'")
    assert not failure(verify(folder, "claimed", reviewed=REVIEW))


def test_a_decision_exchanged_is_for_a_person_who_is_named_in_the_ledger(tmp_path: Path) -> None:
    first = forging.copy_of_good(tmp_path)
    folder = copied(tmp_path, one_other_decision)
    found = failure(verify(folder, "claimed"))
    says = f"run 0 took 99.98 % of the decisions of run 0 of {first.parent.name}/{first.name} by"
    assert says in found
    assert "other authors: a person has to look: verify with --reviewed 'NAME: why'" in found
    verdict = verify(folder, "claimed", reviewed=REVIEW)
    assert verdict.verification is not None
    assert verdict.verification.reviewed == REVIEW
    known = Ledger(entries={verdict.entry: verdict.verification})
    again = verify(folder, "claimed", ledger=known)
    assert not failure(again)  # who looked once need not look again
    assert again.verification is not None
    assert again.verification.reviewed == REVIEW


@pytest.mark.parametrize("review", ["Ada", ": why", "Ada: ", "A\u202eda: why"])
def test_a_review_says_who_and_why(review: str, tmp_path: Path) -> None:
    folder = forging.copy_of_good(tmp_path)
    assert "--reviewed " in failure(verify(folder, "claimed", reviewed=review))


@pytest.mark.parametrize("author", ["The edge-marl developers", "the  EDGE-marl\tdevelopers"])
def test_the_same_authors_may_submit_again(author: str, tmp_path: Path) -> None:
    original(tmp_path)
    author = " ".join(author.split()) if "\t" in author else author
    folder = copied(tmp_path, one_other_decision, author=author, weights=LAYERS)
    assert not failure(verify(folder, "claimed"))


def test_the_same_decisions_are_a_duplicate_whoever_submits_them(tmp_path: Path) -> None:
    forging.copy_of_good(tmp_path)
    folder = copied(tmp_path, lambda arrays: None, author="The edge-marl developers")
    assert "run 0 took the same decisions as run 0 of" in failure(verify(folder, "claimed"))


def test_what_was_taken_in_is_no_copy_of_what_comes_later(tmp_path: Path) -> None:
    first = forging.copy_of_good(tmp_path)
    second = copied(tmp_path, one_other_decision)

    def known(folder: Path, reviewed: str | None = None) -> dict[str, Verification]:
        [sub] = [e.submission for e in list_submissions(tmp_path) if e.folder == folder]
        facts = {"seal": sub.seal, "level": "claimed", "decisions": 1, "verifier": "1"}
        return {sub.entry: Verification.model_validate(facts | {"reviewed": reviewed})}

    assert not failure(verify(first, "claimed", ledger=Ledger(entries=known(first))))
    both = known(first) | known(second, REVIEW)
    assert not failure(verify(first, "claimed", ledger=Ledger(entries=both)))
    unseen = known(first) | known(second)
    assert "a person has to look" in failure(
        verify(first, "claimed", ledger=Ledger(entries=unseen))
    )
    assert not read_ledger(tmp_path).entries


def test_episodes_of_other_lengths_are_counted_over_the_longer(tmp_path: Path) -> None:
    forging.copy_of_good(tmp_path)

    def longer(arrays: dict[str, Any]) -> None:
        at = arrays["lengths"][0, 0]
        arrays["actions"] = np.insert(arrays["actions"], at, np.zeros(20, np.uint16))
        arrays["lengths"][0, 0] += 20

    folder = copied(tmp_path, longer)
    share = float(failure(verify(folder, "claimed")).partition("took ")[2].partition(" %")[0])
    lengths = np.load(folder / "actions.npz")["lengths"]
    assert share == np.floor(1e4 * (1 - 20 / lengths.sum())) / 100


def test_distance_knows_no_names_and_no_types(tmp_path: Path) -> None:
    def written(weights: dict[str, np.ndarray[Any, Any]]) -> Any:
        path = tmp_path / "weights.safetensors"
        save_file(weights, path)
        return read_weights(path)

    one = written(LAYERS)
    swapped = {name: LAYERS[name] for name in ("again", "in", "out", "hidden")}
    assert weights_digest(written(dict(zip("abcd", swapped.values(), strict=True)))) == (
        weights_digest(one)
    )
    wide = written({name: layer.astype(np.float64) for name, layer in LAYERS.items()})
    assert weights_digest(wide) != weights_digest(one)
    assert distance(one, wide) == 0.0
    assert distance(one, written(OTHERS)) > 1e-3
    assert distance(one, written({"in": LAYERS["in"]})) == np.inf
    moved = written({name: layer * np.float32(1.0005) for name, layer in LAYERS.items()})
    assert distance(one, moved) == pytest.approx(5e-4, rel=1e-3)
