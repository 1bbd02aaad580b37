"""What agents of one's own do wrong while they are played is one message that says where."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edge_marl.agents import Agent, load, make
from edge_marl.agents.play import play
from edge_marl.draw import draw_workload
from edge_marl.errors import AgentError, EdgeMarlError
from edge_marl.scenario import Api, load_scenario

SMOKE = load_scenario("smoke")
WORKLOADS = [draw_workload(SMOKE, number) for number in range(3)]
BOTH = pytest.mark.parametrize("api", ["single", "parallel"])

Act = Callable[[npt.NDArray[np.float32], Mapping[str, Any]], Any]


class Odd(Agent):
    """Decides by a function, from its third decision on; before, it takes action 0."""

    name = "odd"

    def __init__(self, act: Act) -> None:
        super().__init__(SMOKE)
        self._act = act

    def reset(self, seed: int) -> None:
        self._left = 2

    def act(
        self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        self._left -= 1
        if self._left >= 0:
            return np.zeros(len(observation), dtype=np.int64)
        action: npt.NDArray[np.int64] = self._act(observation, info)
        return action


class Unready(Odd):
    """Cannot be reset."""

    def reset(self, seed: int) -> None:
        raise EdgeMarlError("of its own,\non two lines")


def raised(agent: Agent, api: Api) -> str:
    with pytest.raises(AgentError) as error:
        play(agent, SMOKE, WORKLOADS, 0, api=api)
    assert "\n" not in str(error.value)
    return str(error.value)


@BOTH
@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda seen, info: None, "shape () and type object"),
        (lambda seen, info: np.full(len(seen), 1.7), "type float64"),
        (lambda seen, info: np.ones(len(seen)), "type float64"),
        (lambda seen, info: np.zeros((len(seen), 1), dtype=np.int64), ", 1) and type int64"),
        (lambda seen, info: np.zeros(len(seen) + 1, dtype=np.int64), ",) and type int64"),
        (lambda seen, info: 0, "shape () and type int64"),
        (lambda seen, info: [True] * len(seen), "type bool"),
    ],
    ids=["None", "fractions", "floats", "columns", "too many", "one", "truths"],
)
def test_what_is_no_action_per_row_is_refused(act: Act, message: str, api: Api) -> None:
    said = raised(Odd(act), api)
    rows = 3 * (SMOKE.gateways.count if api == "parallel" else 1)
    assert said.startswith("agent 'odd', decision 3: act returned shape ")
    assert message in said
    assert said.endswith(f"must be {rows} whole numbers, one action per row")


@BOTH
@pytest.mark.parametrize("action", [-1, SMOKE.num_actions + 1, 2**62])
def test_an_action_out_of_range_is_refused(action: int, api: Api) -> None:
    said = raised(Odd(lambda seen, info: np.full(len(seen), action)), api)
    assert said.startswith("agent 'odd', decision 3: ")
    assert f"{action} of row 0" in said
    assert "must be from 0 to" in said


@BOTH
def test_an_exception_is_told_with_the_line_of_the_agents_own_code(api: Api) -> None:
    def act(seen: npt.NDArray[np.float32], info: Mapping[str, Any]) -> Any:
        return np.stack([])  # raised in a file of NumPy's

    said = raised(Odd(act), api)
    assert said.startswith("agent 'odd', decision 3: act raised ValueError: need at least one")
    assert said.endswith(f", at {__file__}:{act.__code__.co_firstlineno + 1}")


def test_an_exception_of_a_reset() -> None:
    said = raised(Unready(lambda seen, info: None), "single")
    told = "agent 'odd': reset raised EdgeMarlError: of its own, on two lines, at "
    assert said.startswith(told + __file__)


def test_a_long_text_is_cut() -> None:
    def act(seen: npt.NDArray[np.float32], info: Mapping[str, Any]) -> Any:
        raise KeyError("x" * 10_000)

    assert len(raised(Odd(act), "single")) < 400 + len(__file__)


OWN = """
from edge_marl.agents import Agent

class Forgetful(Agent):
    reset = act = lambda *arguments: None

    @classmethod
    def load(cls, folder, scenario, *, transfer=False):
        return {}["weights"]

1 / WRONG
"""


def test_a_class_that_cannot_be_loaded(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(OWN.replace("WRONG", "1"))
    agent = make(f"{file}:Forgetful", SMOKE)
    assert isinstance(agent, Agent)
    agent.save(tmp_path / "saved")
    with pytest.raises(AgentError, match=r"cannot be loaded .* \(KeyError: 'weights', at .*:9\)"):
        load(tmp_path / "saved", SMOKE)
    file.write_text(OWN.replace("WRONG", "0"))
    with pytest.raises(AgentError, match=r"cannot be run \(ZeroDivisionError: .*, at .*.py:11"):
        load(tmp_path / "saved", SMOKE)
