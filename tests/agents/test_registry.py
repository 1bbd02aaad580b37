"""Agents by name, by module and by file, and what goes wrong there."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from edge_marl.agents import Agent, Trainer, load, make, names, register
from edge_marl.agents.heuristics.basic import Prophet
from edge_marl.agents.registry import find
from edge_marl.agents.training.trainer import LearningTrainer
from edge_marl.errors import AgentError
from edge_marl.scenario import load_scenario
from tests.worlds.learners import HEURISTICS

SMOKE = load_scenario("smoke")
LEARNERS = ["adsac", "iadsac", "idqn", "ippo", "sac"]
TORCHRL = ["happo", "mappo", "qmix", "vdn"]
"""Their networks are of its modules, and it loads Ray where that is installed: they cannot decide
without these, but without Tianshou."""

OWN = """
import numpy as np
from edge_marl.agents import Agent

class First(Agent):
    def reset(self, seed):
        pass

    def act(self, observation, info):
        return np.zeros(len(observation), dtype=np.int64)

class NoAgent:
    pass
"""


def test_names() -> None:
    single = ["a2c", "adsac", "dqn", "drqn", "ppo", "qrdqn", "rainbow", "reinforce", "sac"]
    published = ["adsac-published", "d2sac"]
    planning = ["adp", "rollout"]
    game = ["happo", "iadsac", "idqn", "ippo", "mappo", "outcome", "qmix", "vdn"]
    assert names() == sorted([*HEURISTICS, "cloud-only", *single, *published, *planning, *game])


def test_heuristics_are_agents_and_learners_are_trainers() -> None:
    assert all(isinstance(make(name, SMOKE), Agent) for name in HEURISTICS)
    assert all(isinstance(make(name, SMOKE), Trainer) for name in LEARNERS)


def test_an_own_class_that_cannot_be_made(tmp_path: Path) -> None:
    file = tmp_path / "half.py"
    file.write_text(
        "from edge_marl.agents import Agent\nclass Half(Agent):\n    def reset(self, seed): pass\n"
    )
    with pytest.raises(AgentError, match=r"Half' cannot be made for scenario 'smoke' \(TypeError"):
        make(f"{file}:Half", SMOKE)


def test_unknown_name_suggests_and_lists() -> None:
    with pytest.raises(AgentError, match="unknown agent 'profet': did you mean 'prophet'") as error:
        make("profet", SMOKE)
    assert all(name in str(error.value) for name in names())


def test_a_taken_name_is_refused() -> None:
    with pytest.raises(AgentError, match="'prophet' is taken by Prophet"):
        register("prophet")(Prophet)


def test_a_name_with_a_colon_is_refused() -> None:
    with pytest.raises(AgentError, match="a colon is for"):
        register("a:b")


def test_own_agent_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(OWN)
    agent = make(f"{path}:First", SMOKE)
    assert isinstance(agent, Agent)
    assert agent.name == f"{path}:First"


def test_own_agent_from_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_agents_for_test.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    assert isinstance(make("own_agents_for_test:First", SMOKE), Agent)


def test_two_files_of_the_same_name_do_not_meet(tmp_path: Path) -> None:
    for folder, action in (("a", "0"), ("b", "1")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "own.py").write_text(f"{OWN}\nACTION = {action}\n")
    one, two = (type(make(f"{tmp_path}/{folder}/own.py:First", SMOKE)) for folder in "ab")
    assert one is not two


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("{}/missing.py:First", "there is no such file"),
        ("{}/own.py:Second", "has no class 'Second'"),
        ("{}/own.py:NoAgent", "NoAgent is not a class derived from"),
        ("{}/own.py:np", "np is not a class derived from"),
        ("{}/broken.py:First", r"cannot be run \(ZeroDivisionError"),
        ("no_such_module_here:First", r"cannot be imported \(ModuleNotFoundError"),
        (":First", "cannot be imported"),
    ],
)
def test_own_agents_that_cannot_be_had(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "broken.py").write_text("1 / 0")
    with pytest.raises(AgentError, match=message):
        make(name.format(tmp_path), SMOKE)


def test_own_agent_is_saved_and_loaded(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(OWN)
    agent = make(f"{path}:First", SMOKE)
    assert isinstance(agent, Agent)
    agent.save(tmp_path / "saved")
    assert type(load(tmp_path / "saved", SMOKE)).__name__ == "First"


@pytest.mark.parametrize(
    "hidden", [(), ("torchrl",), ("tensordict", "tianshou", "torch", "torchrl")]
)
def test_only_training_needs_learning_libraries(hidden: tuple[str, ...]) -> None:
    """An agent is made, or says what to install, whatever is missing; no library is loaded."""
    code = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({hidden}))  # None: as if it were not installed\n"
        "from edge_marl.agents import make, names\n"
        "from edge_marl.errors import AgentError\n"
        "from edge_marl.scenario import load_scenario\n"
        "refused = set()\n"
        "for name in names():\n"
        "    try:\n"
        "        make(name, load_scenario('smoke'))\n"
        "    except AgentError as error:\n"
        "        assert 'needs TorchRL' in str(error), error\n"
        "        refused.add(name)\n"
        "libraries = ('torch', 'tianshou', 'torchrl', 'tensordict', 'pandas', 'matplotlib')\n"
        "assert not [name for name in libraries if sys.modules.get(name)]\n"
        "print(*sorted(refused))\n"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    if hidden:
        assert run.stdout.split() == TORCHRL
    else:
        assert set(run.stdout.split()) <= set(TORCHRL)


def trainer_of(name: str) -> LearningTrainer | None:
    """The trainer of an agent that is learnt; None of another, or if TorchRL is not installed."""
    if not issubclass(find(name), LearningTrainer):
        return None
    if name in TORCHRL and find_spec("torchrl") is None:
        return None
    trainer = make(name, SMOKE)
    assert isinstance(trainer, LearningTrainer)
    return trainer


def test_who_plays_a_trained_agent_does_not_load_what_trained_it(tmp_path: Path) -> None:
    """Each learning agent is loaded and decides once, in a process that does nothing else."""
    trainers = {name: trainer for name in names() if (trainer := trainer_of(name))}
    for name, trainer in trainers.items():
        trainer.start(SMOKE, 64, seed=0).agent().save(tmp_path / name)
    code = (
        "import sys\n"
        "from edge_marl.agents import load\n"
        "from edge_marl.envs import EdgeAIGCVectorEnv\n"
        "from edge_marl.scenario import load_scenario\n"
        "smoke = load_scenario('smoke')\n"
        "observation, info = EdgeAIGCVectorEnv(2, scenario=smoke).reset(seed=0)\n"
        f"for name in {sorted(trainers, key=lambda name: (name in TORCHRL, name))}:\n"
        f"    agent = load({str(tmp_path)!r} + '/' + name, smoke)\n"
        "    agent.reset(0)\n"
        "    assert agent.act(observation, info).shape == (2,)\n"
        "    libraries = ['tianshou', 'pandas', 'matplotlib']\n"
        f"    libraries += ['ray', 'torchrl', 'tensordict'] if name not in {TORCHRL} else []\n"
        "    assert not [at for at in libraries if at in sys.modules], name\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
