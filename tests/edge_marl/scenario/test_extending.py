"""Files that extend another: what is merged, how it is hashed, and what is refused."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from edge_marl import load_scenario
from edge_marl.cli import app
from edge_marl.console import run_app
from edge_marl.errors import ScenarioError
from edge_marl.scenario import parse_scenario, read_tier
from edge_marl.scenario.writing import as_toml
from edge_marl.tiers.extending import MOST

HEAD = 'extends = "metro@2"\nname = "mine"\nversion = 1\nsummary = "of my own"\n'


def mine(text: str = "", head: str = HEAD) -> Any:
    return parse_scenario(head + text, "mine.toml")


def test_what_is_not_said_is_the_base_and_the_whole_is_hashed() -> None:
    found, base = mine("[clock]\nslot_s = 5.0\n"), load_scenario("metro@2")
    assert (found.name, found.version, found.summary) == ("mine", 1, "of my own")
    same = found.model_copy(update={"name": "metro", "version": 2}).on_events()
    assert same.digest == base.digest != found.digest
    written = parse_scenario(as_toml(found), "whole.toml")
    assert (written, written.digest) == (found, found.digest)


def test_tables_merge_by_key_and_lists_and_values_replace() -> None:
    found, base = mine("[arrivals]\nbursts = { ratio = 3.0 }\n"), load_scenario("metro@2")
    assert found.arrivals.bursts is not None
    assert base.arrivals.bursts is not None
    assert found.arrivals.bursts.ratio == 3.0 != base.arrivals.bursts.ratio
    assert found.arrivals.bursts.quiet_s == base.arrivals.bursts.quiet_s
    assert found.arrivals.rate_per_s == base.arrivals.rate_per_s
    device = '[[servers.devices]]\nname = "l4"\nshare = 1.0\ncapacity = [200]\nmemory_mib = 24000\n'
    devices = mine(device).servers.model_dump()["devices"]
    assert [each["name"] for each in devices] == ["l4"]
    assert mine("[levels]\nshares = [0.2, 1.0]\n").num_levels == 2


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text)
    return folder / f"{next(iter(files))}.toml"


def test_an_own_file_is_found_from_the_folder_of_the_one_that_extends_it(tmp_path: Path) -> None:
    (tmp_path / "bases").mkdir()
    write(tmp_path / "bases", town=HEAD + "[arrivals]\nrate_per_s = 1.0\n")
    head = HEAD.replace("metro@2", "bases/town.toml").replace("mine", "mine-too")
    path = write(tmp_path, mine=head + "[gateways]\ncount = 2\n")
    found = load_scenario(path)
    assert (found.name, found.gateways.count, found.arrivals.rate_per_s) == ("mine-too", 2, 1.0)
    assert found.num_servers == load_scenario("metro@2").num_servers


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD.replace("metro@2", "metro"), "mine.toml:1: extends = 'metro': it has versions: say"),
        (HEAD.replace("metro@2", "metor@2"), "mine.toml:1: .*unknown tier 'metor@2': did you mean"),
        (HEAD.replace("metro@2", "metro@9"), "mine.toml:1: .*tier 'metro' has no version '9'"),
        (HEAD.replace('"metro@2"', "2"), "mine.toml:1: extends = 2: must be a release, such as"),
        (HEAD.replace("metro@2", "no.toml"), "mine.toml:1: .*no.toml: there is no such scenario"),
        (HEAD.replace("metro@2", "\\u0000.toml"), "mine.toml:1: .*cannot be read"),
        (HEAD.replace("metro@2", "metro-half@2"), "it is a test set of 'metro': say test_set_of"),
        (HEAD.replace("version = 1\n", ""), "mine.toml:1: field 'version' is missing"),
        (HEAD + "[clock]\nslot = 5.0\n", "mine.toml:6: unknown field 'clock.slot': did you mean"),
        (HEAD + "[gateways]\nneighbourhood = 99\n", "mine.toml:1: .*neighbourhood = 99: there are"),
        (HEAD.replace("extends", "extend"), "mine.toml:1: unknown field 'extend': did you mean 'e"),
    ],
)
def test_what_cannot_be_extended_is_explained(text: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        mine(head=text)


def test_a_fault_of_the_base_is_told_where_it_is(tmp_path: Path) -> None:
    base = read_tier("metro@2").replace("zipf = 1.43", "zpf = 1.43")
    path = write(tmp_path, mine=HEAD.replace("metro@2", "base.toml") + "[tasks]\n", base=base)
    line = next(i for i, line in enumerate(base.splitlines(), 1) if line.startswith("zpf"))
    with pytest.raises(ScenarioError, match=f"base.toml:{line}: unknown field 'tasks.zpf'"):
        load_scenario(path)
    (tmp_path / "base.toml").write_text("a = = 1")
    with pytest.raises(
        ScenarioError, match=r"mine\.toml:1: extends = 'base\.toml': .*base\.toml:1: no"
    ):
        load_scenario(path)


def test_circles_and_endless_chains_are_refused(tmp_path: Path) -> None:
    files = {name: HEAD.replace("metro@2", f"{base}.toml") for name, base in ("ab", "bc", "ca")}
    path = write(tmp_path, **files)
    with pytest.raises(
        ScenarioError, match=r"in a circle: .*a\.toml -> .*b.toml -> .*c.toml -> .*a"
    ):
        load_scenario(path)
    chain = {f"f{i}": HEAD.replace("metro@2", f"f{i + 1}.toml") for i in range(MOST)}
    path = write(tmp_path, **chain, **{f"f{MOST}": read_tier("metro@2")})
    with pytest.raises(ScenarioError, match=f"it is the {MOST}th that is extended"):
        load_scenario(path)
    assert load_scenario(tmp_path / "f1.toml").num_servers == 51


def test_a_test_set_stays_one() -> None:
    head = HEAD.replace("metro@2", "metro-half@2").replace("version = 1", "version = 2")
    assert mine(head=f'{head}test_set_of = "metro"\n').test_set_of == "metro"


def test_export_writes_the_whole_under_all_comments(tmp_path: Path) -> None:
    path = write(tmp_path, mine="# What I want.\n" + HEAD)
    for name, comment in (("paper-game@1", "# The game of `paper`"), (str(path), "# What I want.")):
        out = tmp_path / f"{Path(name).stem}-whole.toml"
        with pytest.raises(SystemExit) as end:
            run_app(app, ["scenarios", "export", name, str(out)])
        assert not end.value.code
        text = out.read_text("utf-8")
        assert text.startswith(comment)
        assert "\n#\n# " in text  # and then those of the base
        assert "extends" not in tomllib.loads(text)
        assert load_scenario(out) == load_scenario(name)
