"""Make the test sets of a tier that are released with it: half and twice its size, a new city.

    python -m edge_marl.benchmarks.release.generalisation metro

A maintainer's tool, run when a tier is released. The rule is here and the figures of the city are
in `city.toml`; the files are what came out, frozen as the tier is, and a test makes them again.

* **Sizes.** Half and twice the servers and the gateways, and all that goes with them (`resized`).
* **City.** The devices, models, demands and deadlines of `city.toml`, as many models and types as
  the tier has. Capacities and deadlines are scaled to the tier's means, and the rate of arrivals is
  such that `offered_load` is the tier's: work in denoising steps, run time by slowdown.

Everything else is the tier's. Observations and actions keep their number and their meaning, or
there is no test set: a policy could not be moved.
"""

from __future__ import annotations

import tomllib
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_marl import tiers
from edge_marl.console import results, run_command
from edge_marl.errors import RecordError, ScenarioError
from edge_marl.files import write_file
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario, load_scenario
from edge_marl.scenario.generalisation import TITLES, resized
from edge_marl.scenario.servers import DeviceServers
from edge_marl.scenario.writing import as_toml
from edge_marl.workload.topology import offered_load

__all__ = ["main", "make_test_set", "release"]

CITY = Path(__file__).with_name("city.toml")

Facts = dict[str, Any]

SIZES = {
    "half": (Fraction(1, 2), "half the servers and gateways"),
    "double": (Fraction(2), "twice the servers and gateways"),
}


def release(
    names: Annotated[list[str], typer.Argument(metavar="TIER...", help="Tiers' names.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to.", show_default="the package's")
    ] = None,
) -> None:
    """Make the test sets of tiers; a file that is there and differs is not touched."""
    folder = out or Path(str(tiers.FOLDER)) / "generalisation"
    for tier in map(load_scenario, names):
        for end in TITLES:
            _release(tier, end, folder)


def _release(tier: Scenario, end: str, folder: Path) -> None:
    made = make_test_set(tier, end)
    path = folder / f"{made.name}@{made.version}.toml"
    if path.exists() and (found := load_scenario(path)).digest != made.digest:
        raise ScenarioError(
            f"{path}: released with digest {found.digest[:12]}, and the rule now gives "
            f"{made.digest[:12]}: a released test set never changes; make a new version of the tier"
        )
    write_file(path, as_toml(made, _comment(tier, end)), RecordError)
    results().print(f"{path}: digest {made.digest}", markup=False, soft_wrap=True)


def make_test_set(tier: Scenario, end: str) -> Scenario:
    """Return a test set of a tier, made by the rule.

    Args:
        tier: what it is of.
        end: `half`, `double` or `city`.

    Raises:
        ScenarioError: the rule gives none for this tier, such as where the sizes of observations
            would change.
    """
    facts: Facts = tier.model_dump(mode="json", exclude_defaults=True)
    facts |= {"name": f"{tier.name}-{end}", "test_set_of": tier.name}
    if end in SIZES:
        factor, told = SIZES[end]
        facts["summary"] = f"{tier.name} with {told}, load in proportion"
        made = resized(Scenario.model_validate(facts), factor)
    else:
        told = "with other devices, models, demands and deadlines, load as there"
        made = _moved(facts | {"summary": f"{tier.name} {told}"}, tier)
    _check_sizes(tier, made)
    return made


def _moved(facts: Facts, tier: Scenario) -> Scenario:
    """Return the scenario of a tier's `facts` in the new city."""
    city = tomllib.loads(CITY.read_text("utf-8"))
    if not isinstance(tier.servers, DeviceServers):
        raise ScenarioError(f"scenario '{tier.name}' has no devices: no other city can be made")
    fits = {"models": tier.num_services, "types": len(tier.tasks.deadline_s)}
    if fits["models"] > len(city["models"]) or fits["types"] > len(city["tasks"]["deadline_s"]):
        raise ScenarioError(f"{CITY.name}: has too few models or deadlines for '{tier.name}'")
    tasks = dict(facts["tasks"])
    tasks |= {key: city["tasks"][key] for key in ("demand", "demand_share")}
    for key in ("zipf", "sticky", "fail_share"):
        if key in tasks:  # what the tier has off stays off
            tasks[key] = city["tasks"][key]
    if tier.tasks.deadline_s:
        wanted = _mean(tier.tasks.deadline_s)
        spread = city["tasks"]["deadline_s"][: fits["types"]]
        tasks["deadline_s"] = [round(wanted * time / _mean(spread), 1) for time in spread]
    servers = facts["servers"] | {
        "models": city["models"][: fits["models"]],
        "devices": _devices(tier, city["devices"], max(tasks["demand"])),
    }
    made = Scenario.model_validate(facts | {"servers": servers, "tasks": tasks})
    rate = made.arrivals.rate_per_s * offered_load(tier) / offered_load(made)
    arrivals = facts["arrivals"] | {"rate_per_s": float(f"{rate:.3g}")}
    return Scenario.model_validate(made.model_dump(mode="json") | {"arrivals": arrivals})


def _devices(tier: Scenario, devices: list[Facts], demand: int) -> list[Facts]:
    """Return the city's devices with capacities of the same mean as the tier's, in tens.

    Where every server of the tier has room for every task, so has every one of the city.
    """
    assert isinstance(tier.servers, DeviceServers)
    wanted = _weighted([(device.share, _mean(device.capacity)) for device in tier.servers.devices])
    have = _weighted([(device["share"], _mean(device["capacity"])) for device in devices])
    least = demand if min(tier.servers.capacity) >= tier.tasks.max_demand else 1

    def scaled(capacity: int) -> int:
        return max(10 * round(capacity * wanted / have / 10), least)

    return [
        device | {"capacity": sorted({scaled(capacity) for capacity in device["capacity"]})}
        for device in devices
    ]


def _check_sizes(tier: Scenario, made: Scenario) -> None:
    """Raise ScenarioError unless a policy of the tier can decide in what was made of it."""
    for told, home, there in (
        ("observations", ObservationLayout(tier).size, ObservationLayout(made).size),
        ("actions", tier.num_actions, made.num_actions),
    ):
        if home != there:
            raise ScenarioError(
                f"scenario '{made.name}' has {there} {told}, '{tier.name}' has {home}: no policy "
                "could be moved; the tier needs gateways.neighbourhood"
            )


def _comment(tier: Scenario, end: str) -> str:
    """Return what the file of a test set says of itself."""
    head = (
        f"A test set of `{tier.name}`, version {tier.version}: nothing is trained on it. The rule "
        "that it is made by is that\n"
        f"of `python -m edge_marl.benchmarks.release.generalisation {tier.name}`.\n"
        f"What is not said here is as in `{tier.name}`, figures and sources too."
    )
    if end in SIZES:
        return head
    lines = CITY.read_text("utf-8").splitlines()
    return "\n".join([head, "", *(line[2:] for line in lines if line.startswith("#"))])


def _mean(values: Any) -> float:
    return float(sum(values) / len(values))


def _weighted(pairs: list[tuple[float, float]]) -> float:
    """Mean of values, given (weight, value) of each."""
    return sum(weight * value for weight, value in pairs) / sum(weight for weight, _ in pairs)


def main() -> None:
    """Run the command on this process's arguments."""
    run_command(release)


if __name__ == "__main__":
    main()
