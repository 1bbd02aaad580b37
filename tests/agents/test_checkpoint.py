"""Agents on disk."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from edge_marl.agents import Agent, Trainer, load, make
from edge_marl.errors import AgentError
from edge_marl.scenario import load_scenario
from tests.agents.test_contract import agent_of, play, some_observations
from tests.worlds.learners import HEURISTICS, LEARNERS, trained

SMOKE = load_scenario("smoke")


@pytest.mark.parametrize("name", HEURISTICS + LEARNERS)
def test_a_loaded_agent_acts_as_the_saved_one(name: str, tmp_path: Path) -> None:
    agent, seen = agent_of(name), some_observations(7)
    agent.save(tmp_path / "new" / "folder")
    loaded = load(tmp_path / "new" / "folder", SMOKE)
    assert type(loaded) is type(agent)
    assert loaded.settings == agent.settings
    assert (play(loaded, seen) == play(agent, seen)).all()


@pytest.mark.parametrize("name", LEARNERS)
def test_saving_what_was_loaded_gives_the_same_files(name: str, tmp_path: Path) -> None:
    trained(name).save(tmp_path / "a")
    load(tmp_path / "a", SMOKE).save(tmp_path / "b")
    for file in ("config.json", "weights.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_the_configuration_says_what_it_is(tmp_path: Path) -> None:
    trained("adsac").save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["agent"] == "adsac"
    assert config["scenario"] == {"name": "smoke", "digest": SMOKE.digest}
    assert config["settings"]["width"] == 16
    assert config["versions"].keys() == {"edge-marl", "torch", "tianshou", "numpy"}


def test_another_scenario_is_refused(tmp_path: Path) -> None:
    trained("sac").save(tmp_path)
    with pytest.raises(AgentError, match=r"made for scenario 'smoke' .*, not for 'paper'"):
        load(tmp_path, load_scenario("paper"))


def test_another_agent_is_refused(tmp_path: Path) -> None:
    trained("sac").save(tmp_path)
    with pytest.raises(AgentError, match="holds an agent 'sac', not 'adsac'"):
        type(trained("adsac")).load(tmp_path, SMOKE)


def test_no_agent_there(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match=r"there is no config\.json in it"):
        load(tmp_path, SMOKE)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "not readable as JSON"), ("[]", "format None"), ('{"format": "x"}', "format 'x'")],
)
def test_broken_configurations(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(AgentError, match=message):
        load(tmp_path, SMOKE)


NESTED = "[" * 5000 + "]" * 5000


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("scenario", '"smoke"', "scenario = 'smoke': Input should be an object"),
        ("scenario", "null", "scenario = None: Input should be an object"),
        ("scenario", '{"name": "smoke"}', r"scenario\.digest is missing"),
        ("scenario", '{"digest": "00"}', r"scenario\.name is missing"),
        ("scenario", '{"name": 3, "digest": "00"}', r"scenario\.name = 3: Input should be a valid"),
        ("agent", '["sac"]', r"agent = \['sac'\]: Input should be a valid string"),
        ("agent", "null", "agent = None"),
        ("settings", "[1]", r"settings = \[1\]: Input should be"),
        ("settings", "null", "settings = None"),
        ("settings", '{"gamma": NaN}', "gamma = nan: must be from 0 to 1"),
        ("settings", '{"num_envs": null}', "num_envs = None: must be a whole number"),
        ("settings", '{"hidden": [1e999]}', "not those of this version's 'sac'"),
        ("settings", '{"hidden": [-3]}', "not those of this version's 'sac'"),
        ("settings", NESTED, r"not readable as JSON \(.*recursion limit"),
        ("weights_sha256", "7", "weights_sha256 = 7: Input should be a valid string"),
        ("weights_sha256", "null", r"not those of this version's 'sac' \(.*Missing key"),
    ],
    ids=lambda value: value[:20],
)
def test_configurations_of_other_types(
    field: str, value: str, message: str, tmp_path: Path
) -> None:
    trained("sac").save(tmp_path)
    edit_config(tmp_path, **{field: "PLACE"})
    path = tmp_path / "config.json"
    path.write_text(path.read_text().replace('"PLACE"', value))
    with pytest.raises(AgentError, match=message) as raised:
        load(tmp_path, SMOKE)
    assert str(tmp_path) in str(raised.value)
    assert "\n" not in str(raised.value)


def edit_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_damaged_weights(tmp_path: Path) -> None:
    trained("sac").save(tmp_path)
    path = tmp_path / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(AgentError, match="damaged or edited"):
        load(tmp_path, SMOKE)
    path.unlink()
    with pytest.raises(AgentError, match="weights cannot be read"):
        load(tmp_path, SMOKE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda array: array.astype(np.int32), "is int32: must be float32"),
        (lambda array: array.astype(np.float64), "is float64: must be float32"),
        (lambda array: array * np.float32("nan"), "holds NaN or an infinite number"),
        (lambda array: array / np.float32(0), "holds NaN or an infinite number"),
        (lambda array: array[..., None], "size mismatch"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_weights_of_other_values(
    change: Callable[[Any], Any], message: str, tmp_path: Path
) -> None:
    trained("sac").save(tmp_path)
    path = tmp_path / "weights.safetensors"
    edited = {name: change(array) for name, array in load_file(path).items()}
    save_file(edited, path)
    edit_config(tmp_path, weights_sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(AgentError, match=message) as raised:
        load(tmp_path, SMOKE)
    assert "\n" not in str(raised.value)


def test_weights_of_a_kind_that_numpy_has_not(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file as save_tensors

    trained("sac").save(tmp_path)
    path = tmp_path / "weights.safetensors"
    save_tensors({"a": torch.zeros(3, dtype=torch.bfloat16)}, path)
    edit_config(tmp_path, weights_sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(AgentError, match="weights"):
        load(tmp_path, SMOKE)


def test_settings_and_weights_of_another_version(tmp_path: Path) -> None:
    trained("sac").save(tmp_path)
    settings = trained("sac").settings
    edit_config(tmp_path, settings=settings | {"hidden": [8]})
    with pytest.raises(AgentError, match="not those of this version's 'sac'"):
        load(tmp_path, SMOKE)
    edit_config(tmp_path, settings=settings | {"dropout": 0.4})
    with pytest.raises(AgentError, match="dropout"):
        load(tmp_path, SMOKE)


def test_an_unknown_agent_on_disk(tmp_path: Path) -> None:
    trained("sac").save(tmp_path)
    edit_config(tmp_path, agent="dreamer")
    with pytest.raises(AgentError, match="unknown agent 'dreamer'"):
        load(tmp_path, SMOKE)


def test_a_trainer_that_cannot_load_says_so(tmp_path: Path) -> None:
    class Mine(Trainer):
        name = "mine"

        def train(self, *args: object, **kwargs: object) -> Agent:
            raise NotImplementedError

    with pytest.raises(AgentError, match="mine does not say how its agents are loaded"):
        Mine.load(tmp_path, SMOKE)


def test_weights_are_single_precision_and_settings_json(tmp_path: Path) -> None:
    trained("adsac").save(tmp_path)
    weights = load_file(tmp_path / "weights.safetensors")
    assert {array.dtype for array in weights.values()} == {np.dtype(np.float32)}
    made = make("adsac", SMOKE)
    assert json.loads(json.dumps(made.settings)) == made.settings
