"""The corpus of bad submissions: each is the good one with one change, and what is said of it.

A change by `edit` is sealed anew, so that the check that is meant finds it and not the seal.
"""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.worlds.forging import edit, edit_actions, read, seal, write

DEEP = "[" * 500 + "]" * 500


@dataclass(frozen=True)
class Bad:
    """A change to the good submission's folder, and the failure that it is to give."""

    name: str
    change: Callable[[Path], object]
    says: str
    """Part of the one line."""


def metrics(facts: Any) -> Any:
    return facts["runs"][0]["metrics"]


def raw(text: str, by: str, name: str = "submission.json") -> Callable[[Path], object]:
    """Replace the first occurrence of a text in a file, without sealing."""

    def change(folder: Path) -> None:
        found = (folder / name).read_text("utf-8")
        assert text in found
        (folder / name).write_text(found.replace(text, by, 1), "utf-8")

    return change


def sealed(change: Callable[[Any], object], name: str = "submission.json") -> Any:
    return lambda folder: edit(folder, lambda facts: void(change(facts)), name)


def log(change: Callable[[dict[str, Any]], object]) -> Any:
    return lambda folder: edit_actions(folder, lambda arrays: void(change(arrays)))


def void(_: object) -> None:
    return None


def put(path: str, value: object) -> Any:
    """Set a field, given as keys and numbers with dots between, and seal."""

    def change(facts: Any) -> None:
        *way, last = [int(key) if key.isdigit() else key for key in path.split(".")]
        for key in way:
            facts = facts[key]
        facts[last] = value

    return sealed(change)


def other_action(arrays: dict[str, Any]) -> None:
    arrays["actions"][57] = (arrays["actions"][57] + 1) % 6


def drop_last_decision(arrays: dict[str, Any]) -> None:
    """Of the first episode."""
    arrays["actions"] = np.delete(arrays["actions"], arrays["lengths"][0, 0] - 1)
    arrays["lengths"][0, 0] -= 1


def add_decision(arrays: dict[str, Any]) -> None:
    arrays["actions"] = np.insert(arrays["actions"], arrays["lengths"][0, 0], 0)
    arrays["lengths"][0, 0] += 1


def swap_episodes(arrays: dict[str, Any]) -> None:
    parts = np.split(arrays["actions"], np.cumsum(arrays["lengths"].ravel())[:-1])
    parts[0], parts[1] = parts[1], parts[0]
    arrays["actions"] = np.concatenate(parts)
    arrays["lengths"][0, [0, 1]] = arrays["lengths"][0, [1, 0]]


def better_everywhere(facts: Any) -> None:
    """All that is summed up agrees; only the replay can tell."""
    from edge_marl.leaderboards.submission.facts import means_of
    from edge_marl.leaderboards.submission.schema import Run

    values = metrics(facts)
    values["utility"][3] += 1.0
    values["utility_per_task"][3] = values["utility"][3] / values["requests"][3]
    facts["means"] = means_of([Run.model_validate(run) for run in facts["runs"]])


def less_late(facts: Any) -> None:
    from edge_marl.leaderboards.submission.facts import means_of
    from edge_marl.leaderboards.submission.schema import Run

    metrics(facts)["latency_p95_s"][8] -= 0.001
    facts["means"] = means_of([Run.model_validate(run) for run in facts["runs"]])


def pickled(folder: Path) -> None:
    with zipfile.ZipFile(folder / "actions.npz", "w") as archive:
        with archive.open("actions.npy", "w") as stream:
            np.lib.format.write_array(stream, np.array([os.getcwd, None], object))
        archive.writestr("lengths.npy", pickle.dumps([1]))
    seal(folder)


def bomb(folder: Path) -> None:
    with zipfile.ZipFile(folder / "actions.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("actions.npy", bytes(200 * 2**20))
        archive.writestr("lengths.npy", b"")
    seal(folder)


def lying_bomb(folder: Path) -> None:
    """The archive's table says that little comes out."""
    bomb(folder)
    content = bytearray((folder / "actions.npz").read_bytes())
    for mark, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = content.index(mark) + at
        content[start : start + 4] = (100).to_bytes(4, "little")
    (folder / "actions.npz").write_bytes(content)
    seal(folder)


def extra_member(folder: Path) -> None:
    with zipfile.ZipFile(folder / "actions.npz", "a") as archive:
        archive.writestr("../../../evil.py", "print('hello')")
    seal(folder)


def repacked(folder: Path) -> None:
    path = folder / "actions.npz"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    seal(folder)


def huge_header(folder: Path) -> None:
    with zipfile.ZipFile(folder / "actions.npz", "w") as archive:
        header = b"{'descr': '<u2', 'fortran_order': False, 'shape': (99999999999,), }".ljust(117)
        archive.writestr("actions.npy", b"\x93NUMPY\x01\x00\x76\x00" + header + b"\n")
        archive.writestr("lengths.npy", b"")
    seal(folder)


def link_to_elsewhere(folder: Path) -> None:
    (folder / "chain.json").unlink()
    (folder / "chain.json").symlink_to("/etc/hostname")


def linked_folder(folder: Path) -> None:
    (folder / "policy").rename(folder.parent / "elsewhere")
    (folder / "policy").symlink_to(folder.parent / "elsewhere")


def oversized(folder: Path) -> None:
    with (folder / "chain.json").open("r+b") as stream:
        stream.truncate(33 * 2**20)  # sparse: it takes no room


def not_utf8(folder: Path) -> None:
    content = (folder / "submission.json").read_bytes()
    (folder / "submission.json").write_bytes(content.replace(b"developers", b"d\xe9veloppeur"))


def twice(folder: Path) -> None:
    content = (folder / "submission.json").read_text("utf-8").lstrip()
    (folder / "submission.json").write_text('{"date": "2020-01-01", ' + content[1:], "utf-8")


def deep(folder: Path) -> None:
    (folder / "submission.json").write_text("[" * 100_000, "utf-8")


def stray(folder: Path) -> None:
    (folder / "setup.py").write_text("print('hello')", "utf-8")
    seal(folder)


def stray_unsealed(folder: Path) -> None:
    (folder / "policy" / "seed-0" / "weights.safetensors").write_bytes(b"")


def second_policy(folder: Path) -> None:
    (folder / "policy" / "seed-1").mkdir()
    config = read(folder, "policy/seed-0/config.json")
    write(folder, config, "policy/seed-1/config.json")
    seal(folder)


def other_agents_policy(folder: Path) -> None:
    edit(folder, lambda facts: facts.update(agent="os:system"), "policy/seed-0/config.json")


def other_worlds_policy(folder: Path) -> None:
    digest = {"name": "paper", "digest": "0" * 64}
    edit(folder, lambda facts: facts.update(scenario=digest), "policy/seed-0/config.json")


def chain_of_another(facts: Any) -> None:
    heads = facts["runs"][0]["heads"]
    heads[4], heads[5] = heads[5], heads[4]


def other_mark(facts: Any) -> None:
    marks = facts["runs"][0]["marks"]
    marks[2] = marks[2][:10] + ("A" if marks[2][10] != "A" else "B") + marks[2][11:]


BAD = [
    # what was done
    Bad("edited action", log(other_action), "workload 0, decision 57: mark of the chain: expected"),
    Bad("no such action", log(lambda a: a["actions"].put(5, 6)),
        "workload 0, decision 5: expected an action from 0 to 5, found 6"),
    Bad("last decision left out", log(drop_last_decision),
        "the episode goes on where the log ends"),
    Bad("decision after the end", log(add_decision),
        "expected the end of the episode, found 1 more decisions"),
    Bad("episodes swapped", log(swap_episodes), "replay: "),
    Bad("length of nothing", log(lambda a: a["lengths"].put(0, 0)), "none below 1"),
    Bad("actions as floats", log(lambda a: a.update(actions=a["actions"] + 0.5)),
        "actions is float64"),
    Bad("dropped episode", log(lambda a: a.update(lengths=a["lengths"][:, :99])),
        "lengths is int32 (1, 99): must be int32 (runs, 100)"),
    Bad("chain of another episode", sealed(chain_of_another, "chain.json"),
        "workload 4: head of the chain: expected"),
    Bad("edited mark", sealed(other_mark, "chain.json"), "workload 2, decision 10: mark"),
    Bad("chain of another seed", sealed(lambda c: c["runs"][0].update(seed=1), "chain.json"),
        "chain.json: runs have the seeds [1], submission.json has [0]"),
    # what is claimed
    Bad("inflated mean", put("means.utility_per_task", 0.9),
        "means.utility_per_task: expected 0.6"),
    Bad("inflated metric", put("runs.0.metrics.utility_per_task.7", 0.99),
        "workload 7: utility_per_task: expected"),
    Bad("inflated throughout", sealed(better_everywhere),
        "workload 3: utility_per_task: expected 0.4679"),
    Bad("latency a millisecond better", sealed(less_late), "workload 8: latency_p95_s: expected"),
    Bad("metric left out", sealed(lambda s: metrics(s).pop("illegal_actions")),
        "metric 'illegal_actions' is missing"),
    Bad("metric of one's own", sealed(lambda s: metrics(s).update(glory=[1.0] * 100)),
        "metric 'glory' is unknown"),
    Bad("workload left out", sealed(lambda s: metrics(s)["utility"].pop()),
        "runs.0.metrics.utility: Tuple should have at least 100 items"),
    Bad("NaN", raw('"utility": [', '"utility": [NaN, '), "NaN is no number of JSON's"),
    Bad("infinity", raw('"utility": [', '"utility": [1e999, '), "1e999 is larger than any number"),
    Bad("number as text", put("runs.0.metrics.utility.0", "many"), "runs.0.metrics.utility.0"),
    # what it was done in
    Bad("stale digest", put("scenario.digest", "0" * 64), "scenario digest: expected 0a4aaea3"),
    Bad("no released tier", put("scenario.name", "easy"), "expected easy-v0, found smoke-v0"),
    Bad("another board", put("scenario.name", "paper"), "folder of the board: expected paper-v0"),
    Bad("swapped workload", sealed(lambda s: s["workloads"].reverse()), "workload 0: digest"),
    # by whom, and how often
    Bad("another date", put("date", "2026-01-01"), "folder: expected 2026-01-01-prophet"),
    Bad("no date", put("date", "yesterday"), "date: Input should be a valid date"),
    Bad("kind that it is not", put("agent.kind", "randomised"),
        "agent.kind: expected deterministic"),
    Bad("picked seed", put("runs.0.seed", 3), "runs have the seeds [3]: a deterministic agent has"),
    Bad("budget of a heuristic", put("about.training.budget", 5),
        "what was trained is a 'learner'"),
    Bad("class of budgets of a heuristic", put("about.training.budget_class", "small"),
        "what was trained is a 'learner'"),
    Bad("class that its budget is not of", put("about.training.budget_class", "standard"),
        "about.training: a budget of 0 decisions is of class 'small', not 'standard'"),
    Bad("script as a link", put("about.links", ["javascript:alert(1)"]), "about.links.0: String"),
    Bad("control characters", put("about.authors", ["A\u202eB"]),
        "about.authors.0: holds U+202E (RIGHT-TO-LEFT OVERRIDE)"),
    Bad("field of one's own", sealed(lambda s: s.update(level="held-out")), "level: Extra inputs"),
    # files
    Bad("unsealed edit", raw("developers", "developer"), "submission.json: seal: expected"),
    Bad("unsealed log", lambda f: (f / "actions.npz").write_bytes(b"PK"), "actions.npz: SHA-256"),
    Bad("future schema", put("schema_version", 2), "schema_version 2: this version of edge-marl"),
    Bad("key twice", twice, "key 'date' is there twice"),
    Bad("not UTF-8", not_utf8, "not UTF-8 (byte"),
    Bad("not JSON", lambda f: (f / "submission.json").write_text("{"), "not JSON as it must be"),
    Bad("nested too deeply", deep, "nested too deeply"),
    Bad("infinite setting", raw('"settings": {}', '"settings": {"rate": 1e999}'),
        "1e999 is larger than any number here"),
    Bad("setting nested too deeply", raw('"settings": {}', f'"settings": {{"a": {DEEP}}}'),
        "submission.json: "),
    Bad("half of a character", raw("The edge-marl", "\\ud800"), "submission.json: "),
    Bad("another packing", repacked, "is packed by another method than deflate"),
    Bad("name that a terminal obeys", lambda f: (f / "\x1b[2Jx").mkdir(), "no folder '?[2Jx'"),
    Bad("list for an object", lambda f: (f / "submission.json").write_text("[]"),
        "schema_version None"),
    Bad("no metadata", lambda f: (f / "submission.json").unlink(), "there is no such file"),
    Bad("no chain", lambda f: (f / "chain.json").unlink(), "chain.json: there is no such file"),
    Bad("oversized file", oversized, "at most 33554432 are allowed"),
    Bad("zip bomb", bomb, "unpacks to 209715200 bytes: at most 134217728"),
    Bad("zip bomb that lies", lying_bomb, "actions.npz: "),
    Bad("pickle in the archive", pickled, "actions.npy is no array of numbers"),
    Bad("array larger than memory", huge_header, "actions.npy is no array of numbers"),
    Bad("member that leaves the folder", extra_member, "holds ../../../evil.py, actions.npy"),
    Bad("path that leaves the folder", lambda f: edit_files(f, "../../evil.npz"),
        "files.../../evil.npz.[key]: String should match"),
    Bad("link", link_to_elsewhere, "chain.json: a link: a submission holds files only"),
    Bad("linked folder", linked_folder, "policy: a link"),
    Bad("code", stray, "files.setup.py.[key]: String should match"),
    Bad("file that is not stated", stray_unsealed, "does not state this file"),
    Bad("folder of one's own", lambda f: (f / "src").mkdir(), "a submission has no folder 'src'"),
    Bad("policy of no run", second_policy, "of seeds [0, 1], the runs have [0]"),
    Bad("policy of another agent", other_agents_policy, "agent: expected prophet, found os:system"),
    Bad("policy of another world", other_worlds_policy, "scenario digest: expected 0a4aaea3"),
]  # fmt: skip


def edit_files(folder: Path, place: str) -> None:
    from edge_marl.leaderboards.submission.schema import seal_of

    facts = read(folder)
    facts["files"][place] = "0" * 64
    facts["seal"] = seal_of(facts)
    (folder / "submission.json").write_text(json.dumps(facts), "utf-8")
