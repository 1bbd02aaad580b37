"""Policies' processes that are forked from one: alone, locked in, and gone with their verifier."""

from __future__ import annotations

import gc
import os
import select
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edge_marl import draw_workload, load_scenario
from edge_marl.errors import SubmissionError
from edge_marl.layout import ObservationLayout
from edge_marl.leaderboards.policies import process
from edge_marl.leaderboards.policies import sandbox as sandboxes
from edge_marl.leaderboards.policies.asking import Asking
from edge_marl.leaderboards.policies.forks import Forks
from edge_marl.leaderboards.policies.no_processes import no_processes
from edge_marl.leaderboards.policies.opening import policies_of
from edge_marl.leaderboards.policies.sandbox import LIMITS
from edge_marl.leaderboards.policies.side_by_side import side_by_side
from edge_marl.leaderboards.policies.starting import Start, Started, starting_alone
from edge_marl.leaderboards.submission.chain import Moment
from edge_marl.leaderboards.submission.ledger import Sandbox
from tests.worlds import forging

GAME = load_scenario("smoke-game")
WORKLOADS = [draw_workload(GAME, k, split="test") for k in range(3)]
LAYOUT = ObservationLayout(GAME)


@pytest.fixture(params=["bwrap", "none"])
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    if request.param == "bwrap":
        request.getfixturevalue("bwrap")
    found: Sandbox = request.param
    return found


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A submission whose policy draws lots."""
    return forging.good_compact(tmp_path_factory.mktemp("games"), "smoke-game")


def order(seed: int) -> dict[str, object]:
    return {
        "scenario": GAME.model_dump_json(),
        "seeds": [seed],
        "may_share": False,
        "observed": LAYOUT.size,
        "actions": GAME.num_actions,
        "limits": LIMITS,
        "give_up_network": False,
        "filter": None,
        "forks": None,
    }


def moment(rows: int = 40) -> Moment:
    seen = np.random.default_rng(0).random((rows, LAYOUT.size)).astype(np.float32)
    legal = np.ones((rows, GAME.num_actions), np.int8)
    return Moment(0, seen, legal, np.zeros(rows, np.int64), np.ones(rows, np.bool_))


def answers(start: Start, policy: Path, noise: Path) -> list[npt.NDArray[np.int64]]:
    """What policies of two seeds say, both there at the same time."""
    with noise.open("w+b") as printed, ExitStack() as stack:
        asks = []
        for seed in (1, 2):
            started = stack.enter_context(start(policy, order(seed), printed))
            asks.append(Asking(started, order(seed), threading.Event()))
        return [ask(moment()) for ask in asks for _ in range(2)]


def test_it_decides_as_one_that_is_started_alone(
    sandbox: Sandbox, good: Path, tmp_path: Path
) -> None:
    policy = good / "policy" / "seed-1"
    forked = answers(
        Forks(good / "policy", sandbox, threading.Event()).start, policy, tmp_path / "noise"
    )
    alone = answers(starting_alone(sandbox, None), policy, tmp_path / "noise")
    assert [one.tolist() for one in forked] == [one.tolist() for one in alone]
    assert forked[0].tolist() != forked[2].tolist()  # seeds of their own


def test_all_end_with_the_submissions_verifier(sandbox: Sandbox, good: Path) -> None:
    opener = policies_of(good, GAME, sandbox)
    with ExitStack() as stack:
        first, second = (stack.enter_context(opener(0, WORKLOADS, [g])) for g in (0, 1))
        assert first(moment(3)).shape == (3,)
        ends = [os.pidfd_open(vars(ask)["_process"].pid) for ask in (first, second)]
        kept = stack.pop_all()  # as if its verifier had forgotten them
    ended = select.poll()
    ended.register(ends[0], select.POLLIN)
    assert not ended.poll(0)
    del opener, first, second, kept
    gc.collect()
    for end in ends:
        ended.register(end, select.POLLIN)
        assert ended.poll(60_000)
        ended.unregister(end)
        os.close(end)


def test_what_is_forked_in_a_sandbox_starts_no_process(good: Path, bwrap: None) -> None:
    with policies_of(good, GAME, "bwrap")(0, WORKLOADS, [1]) as ask:
        status = Path(f"/proc/{vars(ask)['_process'].pid}/status").read_text()
    assert "\nSeccomp:\t2\n" in status  # a filter: which one, the next test says


def test_it_has_no_network_where_there_are_no_namespaces(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There a hook of Python's refuses sockets, of which forking needs one."""
    output = tmp_path / "printed"
    script = tmp_path / "process_without_namespaces.py"
    script.write_text(
        "import socket, sys, types\n"
        f"sys.path.insert(0, {str(Path(process.__file__).parent)!r})\n"
        "import process\n"
        "none = types.SimpleNamespace(unshare=lambda flags: -1)\n"
        "process.ctypes = types.SimpleNamespace(CDLL=lambda *_, **__: none)\n"
        "load = process.load_agents\n"
        "def connecting(order):\n"
        "    if order['seeds'] != [0]:\n"
        "        socket.socket()\n"
        "    return load(order)\n"
        "process.load_agents = connecting\n"
        "process.main()\n"
    )
    monkeypatch.setattr(sandboxes, "PROCESS", script)
    opener = policies_of(good, GAME, "none", output=output)
    with opener(0, WORKLOADS) as ask:
        assert ask(moment(9)).shape == (9,)
    with pytest.raises(SubmissionError, match="when it was loaded: the policy raised an error"):
        opener(1, WORKLOADS).__enter__()
    assert "a policy has no network" in output.read_text()


def test_who_gives_up_processes_can_start_none() -> None:
    program = (
        "import os, sys\n"
        f"sys.path.insert(0, {str(Path(process.__file__).parent)!r})\n"
        "import process\n"
        f"process.give_up_processes(bytes.fromhex({no_processes().hex()!r}))\n"
        "try:\n    os.fork()\nexcept PermissionError:\n    print('no fork')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout == "no fork\n", done.stderr


def test_one_that_does_not_load_says_so(good: Path, tmp_path: Path) -> None:
    output = tmp_path / "printed"
    opener = policies_of(good, GAME, "none", output=output)
    (tmp_path / "none").mkdir()
    with pytest.raises(SubmissionError, match="when it was loaded: the policy raised an error"):
        policies_of(tmp_path / "none", GAME, "none", output=output)(0, WORKLOADS).__enter__()
    assert "config.json" in output.read_text()
    with (
        opener(0, WORKLOADS),  # it loads, and so what the others are forked from is there
        pytest.raises(SubmissionError, match="when it was loaded: the policy raised an error"),
    ):
        opener(99, WORKLOADS).__enter__()
    assert "seed-99" in output.read_text()


def test_nobody_waits_for_a_policy_when_all_is_over() -> None:
    over = threading.Event()
    over.set()
    with ExitStack() as pipes:
        (asked, to), (back, answers) = os.pipe(), os.pipe()
        for pipe in (asked, to, back, answers):
            pipes.callback(os.close, pipe)
        silent = Started(to, back, os.getpid(), {}, lambda: "it ended")
        with pytest.raises(SubmissionError, match="the verification ended before it answered"):
            Asking(silent, order(0), over)


def test_side_by_side_the_first_error_counts() -> None:
    over, second = threading.Event(), threading.Event()

    def ask(item: int) -> int:
        if item == 1:
            second.wait()
        if item == 2:
            second.set()
        if item in (1, 2):
            raise SubmissionError(f"item {item}")
        return item

    assert side_by_side(ask, [0, 3, 4], 2, over) == [0, 3, 4]
    assert not over.is_set()
    with pytest.raises(SubmissionError, match="item 1"):
        side_by_side(ask, [0, 1, 2, 3], 3, over)
    assert over.is_set()
