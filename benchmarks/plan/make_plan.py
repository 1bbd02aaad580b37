"""From a suite to its plan: every scenario loaded, every agent made once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge_marl.agents import Trainer, make
from edge_marl.agents.registry import find
from edge_marl.agents.training.settings_text import configure, parse_spec
from edge_marl.benchmarks.plan.cells import AgentEntry, Arena, Plan, folder_name, spec_of
from edge_marl.benchmarks.plan.sources import agent_code, code_digest
from edge_marl.benchmarks.suites import Suite, Variant
from edge_marl.envs.parallel import game_scenario
from edge_marl.errors import AgentError, ScenarioError, SuiteError
from edge_marl.scenario import Api, Scenario, load_scenario, test_sets
from edge_marl.scenario.generalisation import check_trainable

__all__ = ["installed", "make_plan"]


def make_plan(suite: Suite) -> Plan:
    """Return the plan of a suite.

    Raises:
        ScenarioError: if a scenario cannot be loaded, or has no such game or no test sets; if a
            game is asked for and not played, or another API for one in slots; if agents would be
            trained or chosen on a test set.
        AgentError: if an agent is unknown, or has no such setting.
        SuiteError: if two scenarios have one name; if a variant has an agent's name, or what it
            cannot have.
    """
    worlds: tuple[int | None, ...] = suite.worlds or (None,)
    homes = [(name, load_scenario(name, world)) for name in suite.scenarios for world in worlds]
    train_on = load_scenario(suite.train_on) if suite.train_on else None
    for _, home in homes:
        _check_game(home, suite)
    arenas: dict[tuple[str, str], Arena] = {}
    named = [(str(suite.train_on), train_on)] if train_on else []
    for name, home in homes:
        played = list(test_sets(home).values()) if suite.generalise else [home]
        named += [(name if scenario == home else scenario.name, scenario) for scenario in played]
        for api in _apis(home, suite):
            place = train_on or (_in_game(home, suite) if api == "parallel" else home)
            for scenario in played:
                arena = _arena(scenario, api, place, suite)
                arenas.setdefault((arena.scenario.digest, api), arena)
    _check_labels(named)
    first = next(iter(arenas.values())).place
    agents = _entries(suite, first)
    _check_test_sets(suite, list(arenas.values()), agents)
    return Plan(
        name=suite.name or folder_name(*(arena.label for arena in arenas.values())),
        arenas=tuple(arenas.values()),
        agents=agents,
        seeds=suite.seeds,
        split=suite.split,
        first=suite.first,
        episodes=suite.episodes,
        budget=suite.budget,
        code=code_digest(),
        threads=suite.threads,
    )


def installed(suite: Suite) -> tuple[Suite, list[str]]:
    """Return a suite without the agents that need a missing library, and what each of them needs.

    Raises:
        AgentError: if an agent is unknown, or none is left.
    """
    needs: list[str] = []

    def here(name: str) -> bool:
        kind = find(name)
        try:
            if issubclass(kind, Trainer):
                kind.check_installed()
        except AgentError as error:
            needs.append(str(error))
            return False
        return True

    agents = tuple(text for text in suite.agents if here(parse_spec(text)[0]))
    variants = {name: one for name, one in suite.variants.items() if here(one.agent)}
    if not agents and not variants:
        raise AgentError(*needs)
    return suite.model_copy(update={"agents": agents, "variants": variants}), needs


def _arena(scenario: Scenario, api: Api, place: Scenario, suite: Suite) -> Arena:
    """Return where a scenario is played, by agents that are trained in a place."""
    played = _in_game(scenario, suite) if api == "parallel" else scenario
    return Arena(scenario=played, api=api, train_on=None if place == played else place)


def _check_test_sets(suite: Suite, arenas: list[Arena], agents: Sequence[AgentEntry]) -> None:
    """Raise ScenarioError if anything is trained or chosen on a test set of a tier."""
    for arena in arenas:
        if any(agent.learns for agent in agents):
            check_trainable(arena.place)
        if suite.split != "test":
            check_trainable(arena.scenario)


def _check_labels(named: list[tuple[str, Scenario]]) -> None:
    """Raise SuiteError if two scenarios, each with where it is from, have one name."""
    known: dict[str, tuple[str, Scenario]] = {}
    for source, scenario in named:
        other, found = known.setdefault(scenario.label, (source, scenario))
        if found.digest != scenario.digest:
            raise SuiteError(
                f"scenarios '{other}' and '{source}' differ and are both named '{scenario.label}': "
                "tables could not tell them apart; change `name` in a file"
            )


def _apis(scenario: Scenario, suite: Suite) -> list[Api]:
    """Return what a scenario is played on, single first."""
    return sorted({*suite.apis} or {scenario.api}, reverse=True)


def _check_game(scenario: Scenario, suite: Suite) -> None:
    """Raise ScenarioError if a scenario is not played as its game, where it has to be."""
    apis = _apis(scenario, suite)
    if scenario.clock.slot_s and "single" in apis:
        raise ScenarioError(
            f"scenario '{scenario.label}' is a game in slots of {scenario.clock.slot_s:.12g} s: "
            "the single environment has one orchestrator, who decides at each arrival; leave "
            "--api single out, or name the tier that it is the game of"
        )
    game = {"gateways": suite.gateways, "slot_s": suite.slot_s, "hold": suite.hold}
    given = [f"{name} = {value}" for name, value in game.items() if value is not None]
    if given and "parallel" not in apis:
        raise ScenarioError(
            f"{', '.join(given)}: the single environment has one orchestrator and runs on "
            "events; add --api parallel to play the game of gateways, or leave this out"
        )


def _in_game(scenario: Scenario, suite: Suite) -> Scenario:
    if suite.gateways is None and suite.slot_s is None and suite.hold is None:
        return scenario
    return game_scenario(scenario, None, suite.gateways, suite.slot_s, suite.hold)


def _entries(suite: Suite, scenario: Scenario) -> tuple[AgentEntry, ...]:
    agents = (_entry(*parse_spec(text), scenario) for text in suite.agents)
    entries = {entry.name: entry for entry in agents}
    for name, variant in suite.variants.items():
        if name in entries:
            raise SuiteError(
                f"variant '{name}': an agent of the suite has this name; choose another"
            )
        entries[name] = _variant(name, variant, scenario)
    return tuple(entries.values())


def _variant(name: str, variant: Variant, scenario: Scenario) -> AgentEntry:
    entry = _entry(variant.agent, variant.settings, scenario)
    if variant.budget and not entry.learns:
        raise SuiteError(
            f"variant '{name}': budget = {variant.budget}: agent '{variant.agent}' does not learn; "
            "leave it out"
        )
    return entry.model_copy(update={"variant": name, "budget": variant.budget})


def _entry(name: str, settings: dict[str, Any], scenario: Scenario) -> AgentEntry:
    made = make(name, scenario)
    configure(made, settings)
    return AgentEntry(
        agent=spec_of(name, settings),
        learns=isinstance(made, Trainer),
        deterministic=not isinstance(made, Trainer) and made.deterministic,
        code=agent_code(name),
    )
