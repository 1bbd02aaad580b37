"""From a run to a submission to the ledger; seasons; the command line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_marl import draw_workload, load_scenario
from edge_marl.agents.heuristics.routers import Nearest
from edge_marl.benchmarks.plan.cells import AgentEntry, Arena, Plan
from edge_marl.benchmarks.plan.sources import agent_code
from edge_marl.benchmarks.records.records import (
    Record,
    read_plan,
    read_record,
    record_path,
    write_plan,
    write_record,
)
from edge_marl.benchmarks.run import kept_agents
from edge_marl.benchmarks.run.task import Task
from edge_marl.benchmarks.run.worker import execute
from edge_marl.cli import app
from edge_marl.console import run_app
from edge_marl.errors import AgentError, SubmissionError
from edge_marl.leaderboards.policies.opening import policies_of
from edge_marl.leaderboards.policies.sandbox import usable_sandbox
from edge_marl.leaderboards.submission.chain import play_episodes
from edge_marl.leaderboards.submission.facts import code_sha256, means_of
from edge_marl.leaderboards.submission.files import (
    list_submissions,
    read_actions,
    read_chain,
    read_ledger,
    sha256_of,
)
from edge_marl.leaderboards.submission.ledger import Ledger, Verification
from edge_marl.leaderboards.submission.make import make_submission
from edge_marl.leaderboards.submission.schema import Run
from edge_marl.leaderboards.verification import season as seasons
from edge_marl.leaderboards.verification.verify import record_verdict, verify
from tests.worlds import forging, tiny_learner
from tests.worlds.fakes import PROVENANCE

SMOKE = load_scenario("smoke")
WORKLOADS = [draw_workload(SMOKE, k, split="test") for k in range(100)]
VECTOR_UNITS = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
"""Of this CPU, as far as NumPy would use them."""
ROOT = Path(__file__).parents[3]
EXAMPLE = f"{ROOT / 'docs' / 'examples' / 'my_agent.py'}:MostRoom"
LEARNER = f"{Path(tiny_learner.__file__)}:DrawsWeights"
ABOUT: dict[str, Any] = {"authors": ["Ada"], "links": ["https://example.org"]}
SECRET = "kept.secret"


def entry(name: str, learns: bool = False, deterministic: bool = True) -> AgentEntry:
    code = agent_code(name)
    return AgentEntry(agent=name, learns=learns, deterministic=deterministic, code=code)


def run_of(folder: Path, agents: tuple[AgentEntry, ...], seeds: int = 3, **changes: Any) -> Path:
    """A run's folder, as `edge-marl run` leaves one."""
    facts = {"arenas": (Arena(scenario=SMOKE),), "episodes": 100, "budget": 40, "code": "1"}
    plan = Plan(name="test", agents=agents, seeds=seeds, **{**facts, **changes})
    write_plan(folder, plan)
    for agent in agents:
        for cell in plan.cells(plan.arenas[0], agent):
            outcome = execute(Task(job=cell), lambda *_: None)
            if files := outcome.pop("agent"):
                kept = kept_agents.checkpoint_of(cell, files)
                kept_agents.keep(folder, kept, files)
                outcome["result"]["checkpoint"] = kept.model_dump()
            record = {"job": cell, "provenance": PROVENANCE, **outcome}
            write_record(folder, Record.model_validate(record))
    return folder


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    agents = (entry("random", deterministic=False), entry("nearest"), entry(EXAMPLE))
    return run_of(tmp_path_factory.mktemp("run"), agents)


def test_a_randomised_agent_has_three_runs(run_dir: Path, tmp_path: Path) -> None:
    folder = make_submission(run_dir, "random", ABOUT, tmp_path, with_policy=True)
    verdict = verify(folder, "replayed")
    assert verdict.failure is None
    [found] = list_submissions(tmp_path)
    assert found.submission.policy_seeds == (0, 1, 2)
    assert [run.seed for run in found.submission.runs] == [0, 1, 2]
    assert found.submission.about.training.budget == 0
    assert read_actions(folder).lengths.shape == (1, 100)  # its policies make the others again
    assert read_chain(folder).every == 16
    whole = make_submission(
        run_dir, "random", ABOUT, tmp_path / "whole", with_policy=True, with_log=True
    )
    assert read_actions(whole).lengths.shape == (3, 100)
    for place, share in (("actions.npz", 0.5), ("chain.json", 0.7)):
        assert (folder / place).stat().st_size < share * (whole / place).stat().st_size


def test_an_agent_of_ones_own_goes_all_the_way(run_dir: Path, tmp_path: Path) -> None:
    folder = make_submission(run_dir, EXAMPLE, ABOUT, tmp_path, with_policy=True)
    assert folder.name.endswith("-most-room")
    assert str(ROOT) not in (folder / "submission.json").read_text("utf-8")
    assert str(ROOT) not in (folder / "policy/seed-0/config.json").read_text("utf-8")
    verdict = verify(folder, code=EXAMPLE)
    assert verdict.failure is None
    assert verdict.level == "re-executed"


def test_a_learner_by_what_the_run_kept_and_by_checkpoints(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", (entry(LEARNER, learns=True, deterministic=False),), seeds=5)
    with_curve(run)
    folder = make_submission(run, LEARNER, ABOUT, tmp_path / "a", with_policy=True)
    assert verify(folder, "replayed").failure is None
    assert (
        "marked: 5 training seeds where 10 are asked"
        in dict(verify(folder, "claimed").passed)["runs"]
    )
    sub = list_submissions(tmp_path / "a")[0].submission
    assert (sub.about.training.budget, sub.about.training.budget_class) == (40, "small")
    assert (sub.runs[0].train_s or 0) > 0
    assert sub.runs[0].train_cpu_s is not None  # of so short a training it may be 0
    assert [r.curve for r in sub.runs] == [((20, 0.5), (40, None)), None, None, None, None]
    with policies_of(folder, SMOKE, usable_sandbox(), LEARNER)(2, WORKLOADS) as ask:
        decided = play_episodes(SMOKE, WORKLOADS, ask)
    assert [e.head for e in decided] == list(read_chain(folder).runs[2].heads)
    plan = read_plan(run)
    cells = plan.cells(plan.arenas[0], plan.agents[0])
    kept = [run / "agents" / Path(cell.file_name).stem for cell in cells]
    moved = [shutil.copytree(place, tmp_path / str(k)) for k, place in enumerate(kept)]
    (kept[0] / "config.json").write_text("{}")
    with pytest.raises(SubmissionError, match="not the agent that the run has kept"):
        make_submission(run, LEARNER, ABOUT, tmp_path / "c")
    shutil.rmtree(run / "agents")
    again = make_submission(run, LEARNER, ABOUT, tmp_path / "b", trained=moved)
    assert (again / "actions.npz").read_bytes() == (folder / "actions.npz").read_bytes()
    with pytest.raises(SubmissionError, match="seed 0 was not kept: give the folder"):
        make_submission(run, LEARNER, ABOUT, tmp_path / "c")
    with pytest.raises(SubmissionError, match=r"1 checkpoint\(s\): give 5"):
        make_submission(run, LEARNER, ABOUT, tmp_path / "c", trained=moved[:1])
    with pytest.raises(SubmissionError, match="it is not the one of the run"):
        make_submission(run, LEARNER, ABOUT, tmp_path / "c", trained=[moved[1]] * 5)
    assert not (tmp_path / "c").exists()


def with_curve(run: Path) -> None:
    """Give the first training of a run the curve that our own trainers have."""
    plan = read_plan(run)
    record = read_record(run, cell := plan.cells(plan.arenas[0], plan.agents[0])[0])
    assert record is not None
    facts = record.model_dump(mode="json")
    names = ("updates", "training_utility_per_task", "utility", "server_crash_rate")
    point = dict.fromkeys((*names, "distinct_actions"), 1)
    curve = [(20, 0.5), (40, None)]
    facts["result"]["curve"] = [point | {"decisions": at, "utility_per_task": u} for at, u in curve]
    write_record(run, Record.model_validate(facts | {"job": cell}))


def test_a_learner_has_ten_seeds_or_five_with_a_mark(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    learner = entry(LEARNER, learns=True, deterministic=False)
    few = run_of(tmp_path / "few", (learner,), seeds=5)
    plan = read_plan(few)
    write_plan(few, plan.model_copy(update={"seeds": 4}))
    with pytest.raises(SubmissionError, match=r"has 4 seed\(s\).* needs 10 \(5 are taken") as said:
        make_submission(few, LEARNER, ABOUT, tmp_path / "out")
    command = f"edge-marl run --scenario smoke --agents {LEARNER} --seeds 10 --episodes 100"
    assert f"{command} --budget 40 --out {few}" in str(said.value)
    write_plan(few, plan.model_copy(update={"seeds": 7}))
    asked = ["submit", few, "--agent", LEARNER, "--author", "Ada", "--out", tmp_path / "out"]
    with pytest.raises(SystemExit) as end:
        run_app(app, [str(word) for word in asked])
    assert end.value.code == 0
    told = (
        "it is taken with a mark, 5 training seeds where 10 are asked; what is missing is made by: "
    )
    assert f"{told}{command}" in capsys.readouterr().out
    [found] = list_submissions(tmp_path / "out")
    folder = found.folder
    assert verify(folder, "claimed").failure is None
    for training, says in (
        ({"budget": 20}, "budget: 20, but the run trained on 40 decisions"),
        ({"budget_class": "open"}, "a budget of 40 decisions is of class 'small', not 'open'"),
    ):
        with pytest.raises(SubmissionError, match=says):
            make_submission(few, LEARNER, ABOUT | {"training": training}, tmp_path / "out")

    def three(facts: Any) -> None:
        facts["runs"] = facts["runs"][:3]
        facts["means"] = means_of([Run.model_validate(run) for run in facts["runs"]])

    forging.edit(folder, three)
    forging.edit(folder, lambda chain: chain.update(runs=chain["runs"][:3]), "chain.json")
    forging.edit_actions(folder, lambda log: log.update(cut(log, 3)))
    verdict = verify(folder, "claimed")
    assert verdict.failure is not None
    assert "runs have the seeds [0, 1, 2]: a learner agent has [0, 1, 2," in verdict.failure
    assert "(or the first 5, with a mark): run it with --seeds 10" in verdict.failure
    [found] = list_submissions(tmp_path / "out")
    facts = {"seal": found.submission.seal, "level": "claimed", "decisions": 1, "verifier": "1"}
    known = Ledger(entries={found.submission.entry: Verification.model_validate(facts)})
    assert verify(folder, "claimed", ledger=known).failure is None  # it was taken in before
    forging.edit(folder, lambda facts: facts["about"]["training"].pop("budget_class"))
    failure = verify(folder, "claimed").failure
    assert failure is not None
    assert "budget_class is missing: a budget of 40 decisions is 'small'" in failure


def cut(log: dict[str, Any], runs: int) -> dict[str, Any]:
    lengths = log["lengths"][:runs]
    return {"actions": log["actions"][: lengths.sum()], "lengths": lengths}


def test_a_run_that_will_not_do_is_refused(run_dir: Path, tmp_path: Path) -> None:
    def refused(says: str, run: Path, agent: str = "nearest", **options: Any) -> None:
        with pytest.raises(SubmissionError, match=says):
            make_submission(run, agent, options.pop("about", ABOUT), tmp_path / "out", **options)

    refused("has no agent 'prophet', only random", run_dir, "prophet")
    refused("has no scenario 'paper', only smoke", run_dir, scenario="paper")
    refused("about.authors: Field required: give --author", run_dir, about={})
    refused("about.motto: Extra inputs", run_dir, about=ABOUT | {"motto": "win"})
    refused("is not registered, and reads like 'prophet'.*--name", run_dir, EXAMPLE, name="Pr0phet")
    few = run_of(tmp_path / "few", (entry("nearest"),), episodes=3)
    refused("has 3 test workloads: a submission has all 100", few)
    one = run_of(tmp_path / "one", (entry("random", deterministic=False),), seeds=1)
    refused(r"has 1 seed\(s\) of 'random'", one, "random")
    own = SMOKE.model_copy(update={"name": "own"})
    refused(
        "is no released tier",
        run_of(tmp_path / "own", (entry("nearest"),), arenas=(Arena(scenario=own),)),
    )
    assert not (tmp_path / "out").exists()


def test_an_agent_of_several_files_is_refused(tmp_path: Path) -> None:
    text = Path(EXAMPLE.rpartition(":")[0]).read_text()
    (tmp_path / "own.py").write_text(text + "\n\ndef plan():\n    import plans\n")
    (tmp_path / "plans.py").write_text("PLAN = 1\n")
    own = f"{tmp_path}/own.py:MostRoom"
    run_dir = run_of(tmp_path / "run", (entry(own),))
    with pytest.raises(SubmissionError, match=r"needs plans\.py: a submitted agent is one file"):
        make_submission(run_dir, own, ABOUT, tmp_path / "out")
    (tmp_path / "plans.py").write_text("")  # nothing that could be left out
    assert code_sha256(own) == sha256_of((tmp_path / "own.py").read_bytes())


def test_an_unfinished_run_and_another_result_are_refused(run_dir: Path, tmp_path: Path) -> None:
    run = shutil.copytree(run_dir, tmp_path / "run")
    plan = read_plan(run)
    [cell] = plan.cells(plan.arenas[0], plan.agents[1])
    record = read_record(run, cell)
    assert record is not None
    facts = record.model_dump(mode="json")
    facts["result"]["episodes"][5]["metrics"]["utility"] += 1
    write_record(run, Record.model_validate(facts))
    with pytest.raises(SubmissionError, match="workload 5: utility: the record has"):
        make_submission(run, "nearest", ABOUT, tmp_path / "out")
    record_path(run, cell).unlink()
    with pytest.raises(SubmissionError, match="has not been run"):
        make_submission(run, "nearest", ABOUT, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_agent_that_goes_wrong_by_now_is_one_message(
    run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Nearest, "act", lambda *_: dict[str, int]()["x"])
    with pytest.raises(AgentError, match="agent 'nearest', decision 1: act raised KeyError: 'x'"):
        make_submission(run_dir, "nearest", ABOUT, tmp_path)


def test_the_same_decisions_twice_are_a_duplicate(run_dir: Path, tmp_path: Path) -> None:
    first = make_submission(run_dir, "nearest", ABOUT, tmp_path)
    with pytest.raises(SubmissionError, match="is there already"):
        make_submission(run_dir, "nearest", ABOUT, tmp_path)
    second = first.with_name(first.name.replace("nearest", "mine"))
    shutil.copytree(first, second)
    forging.edit(second, lambda s: s["agent"].update(name="mine", registered=False))
    verdict = verify(second)
    assert verdict.failure is not None
    assert verdict.failure.startswith("duplicates: ")
    assert verdict.failure.endswith(f"{first.parent.name}/{first.name}: a duplicate")


def test_a_run_counts_once(run_dir: Path, tmp_path: Path) -> None:
    folder = make_submission(run_dir, "random", ABOUT, tmp_path)

    def copy_first(chain: Any) -> None:
        chain["runs"][2] = chain["runs"][0] | {"seed": 2}

    forging.edit(folder, copy_first, "chain.json")
    verdict = verify(folder)
    assert verdict.failure is not None
    assert "runs 0 and 2 took the same decisions" in verdict.failure


def test_what_was_taken_in_may_not_change(tmp_path: Path) -> None:
    folder = forging.copy_of_good(tmp_path)
    record_verdict(tmp_path, verify(folder, "replayed"))
    [known] = read_ledger(tmp_path).entries.values()
    assert known.level == "replayed"
    assert (tmp_path / "digests.json").read_text().count("\n") == 3  # a line for each entry
    record_verdict(tmp_path, verify(folder, "claimed"))
    assert list(read_ledger(tmp_path).entries.values()) == [known]  # a level never falls
    forging.edit(folder, lambda s: s["about"].update(description="even better"))
    verdict = verify(folder, "replayed")
    assert verdict.failure is not None
    assert "what was taken in may not change" in verdict.failure
    assert read_ledger(tmp_path).level_of(list_submissions(tmp_path)[0].submission) == "claimed"


def test_a_season_from_commit_to_held_out(tmp_path: Path) -> None:
    folder = forging.copy_of_good(tmp_path / "submissions")
    path, secret = tmp_path / "spring.json", tmp_path / SECRET
    season = seasons.commit(path, secret)
    assert secret.read_text() not in path.read_text()
    assert oct(os.stat(secret).st_mode & 0o777) == "0o600"
    with pytest.raises(SubmissionError, match="not revealed yet"):
        seasons.from_season(path)
    with pytest.raises(SubmissionError, match="is there already"):
        seasons.commit(path, tmp_path / "other")
    (tmp_path / "wrong").write_text("0" * 64)
    with pytest.raises(SubmissionError, match="not the secret whose SHA-256"):
        seasons.reveal(path, tmp_path / "wrong", tmp_path / "submissions")
    record_verdict(tmp_path / "submissions", verify(folder, "claimed"))
    revealed = seasons.reveal(path, secret, tmp_path / "submissions")
    assert revealed.commitment == season.commitment
    with pytest.raises(SubmissionError, match="is revealed already"):
        seasons.reveal(path, secret, tmp_path / "submissions")
    fresh = seasons.from_season(path)
    assert fresh.entrants is not None
    assert verify(folder, fresh=fresh).level == "held-out"
    late = type(fresh)(fresh.source, fresh.value, {})
    verdict = verify(folder, fresh=late)
    assert verdict.failure is not None
    assert verdict.failure.startswith("frozen: ")
    path.write_text(path.read_text().replace(revealed.secret or "", "1" * 64))
    with pytest.raises(SubmissionError, match="secret: expected SHA-256"):
        seasons.from_season(path)


def test_a_beacon_is_long_enough() -> None:
    with pytest.raises(SubmissionError, match="must be a public random value, of at least 16"):
        seasons.from_beacon("lucky 7")
    with pytest.raises(SubmissionError, match=r"beacon .*holds U\+202E"):
        seasons.from_beacon("4f3c9a51e0b2d786\u202e0")


def command(*args: object, **env: str) -> subprocess.CompletedProcess[str]:
    code = "from edge_marl.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, args)],
        capture_output=True,
        text=True,
        env=os.environ | env,
    )


@pytest.mark.parametrize(
    "env",
    [
        {"NPY_DISABLE_CPU_FEATURES": " ".join(VECTOR_UNITS)},
        {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        {"NUMBA_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"},
        {"NUMBA_DISABLE_JIT": "1"},
    ],
    ids=lambda env: next(iter(env)),
)
def test_the_good_one_verifies_on_other_settings_of_the_platform(env: dict[str, str]) -> None:
    done = command("verify", forging.GOOD, "--level", "replayed", **env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith(": replayed\n")


def test_a_failure_on_the_command_line_is_one_line(tmp_path: Path) -> None:
    folder = forging.copy_of_good(tmp_path)
    (folder / "chain.json").write_text("{}")
    done = command("verify", folder, "--record")
    assert done.returncode == 1
    assert "FAIL  seal: " in done.stdout
    assert not done.stderr
    assert not (tmp_path / "digests.json").exists()
    done = command("verify", folder, "--season", tmp_path / "none.json")
    assert done.returncode == 2
    assert "there is no such file" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
