"""Who wins where, by how much, what coordination costs, and how far the bound is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from edge_marl.leaderboards.boards.game_table import won_back
from edge_marl.leaderboards.boards.standings import Kind, Standing, best_of, compared
from edge_marl.leaderboards.findings.sources import (
    OR,
    Sources,
    World,
    listed,
    not_measured,
    shown,
    table,
    told,
)
from edge_marl.scenario.evidence import NONE, by_utility, with_interval

__all__ = ["coordination", "planning", "telemetry", "winners_of_games", "winners_of_tiers"]


def winners_of_tiers(sources: Sources) -> str:
    """The best of each kind on every tier."""
    return _winners(sources.tiers, "adsac", "edge-marl run --scenario TIER --budget 1000000")


def winners_of_games(sources: Sources) -> str:
    """The same of games."""
    return _winners(sources.games, "iadsac", "edge-marl run --scenario GAME --budget 1000000")


def _winners(worlds: Sequence[World], own: str, command: str) -> str:
    head = ["world", "best heuristic", "best learner", own, "bound", "learner less heuristic"]
    rows = [
        [
            world.name,
            *map(told, (world.heuristic, world.learner, world.own)),
            *(NONE if world.bound is None else f"{world.bound:.3f}", _margin(world)),
        ]
        for world in worlds
    ]
    said = [
        _sides("The best learner", worlds, lambda world: world.learner, command),
        _sides(f"`{own}`", worlds, lambda world: world.own, f"{command} --agents {own}"),
    ]
    return "\n\n".join([table(head, rows, left=4), *said])


def _margin(world: World) -> str:
    one, best = world.learner, world.heuristic
    if one is None or best is None:
        return NONE
    apart = "" if compared(one, best) != "not apart" else ", not apart"
    return f"{one.utility.value - best.utility.value:+.3f}{apart}"


def _sides(
    who: str, worlds: Sequence[World], of: Callable[[World], Standing | None], command: str
) -> str:
    """Return where an agent is above every heuristic, not told apart from the best, or below it."""
    sides: dict[str, list[str]] = defaultdict(list)
    for world in worlds:
        one, best = of(world), world.heuristic
        if one is None or best is None:
            sides["not measured"].append(world.name)
        else:
            sides[compared(one, best)].append(world.name)
    if len(sides["not measured"]) == len(worlds):
        return not_measured(f"{who} on any of them", command)
    said = {
        "above": "above every heuristic on {}",
        "not apart": "not told apart from the best heuristic on {}",
        "below": "below the best heuristic on {}",
    }
    clauses = [text.format(listed(sides[side])) for side, text in said.items() if sides[side]]
    text = f"By intervals, {who[0].lower()}{who[1:]} is {'; '.join(clauses)}."
    if missing := sides["not measured"]:
        text += " " + not_measured(f"On {listed(missing)}", command)
    return text


def coordination(sources: Sources) -> str:
    """What a slot costs heuristics, in turn and at once, and how far a learner gets."""
    head = ["game", "on events", "at once", "in turn", "central", "gap", "best learner", "won back"]
    rows, shares = [], {}
    for world in sources.games:
        evidence = world.evidence
        if evidence is None or "in_turn" not in evidence:
            continue
        events, alone, in_turn = (evidence[part] for part in ("events", "agents", "in_turn"))
        best, together = by_utility(alone)[0], by_utility(in_turn)[0]
        first = by_utility(events)[0]
        figures = [(first, events[first]), (best, alone[best]), (together, in_turn[together])]
        gap = in_turn[together]["utility_per_task"][0] - alone[best]["utility_per_task"][0]
        learner = world.learner
        share = won_back(world.board, world.found, learner) if learner else None
        if share is not None:
            shares[world.name] = share
        rows.append(
            [
                world.name,
                *(f"{name}: {with_interval(row['utility_per_task'])}" for name, row in figures),
                with_interval(evidence["central"]["utility_per_task"]),
                f"{gap:.3f}",
                told(learner),
                NONE if share is None else f"{100 * share:.0f} %",
            ]
        )
    command = "python -m edge_marl.benchmarks.release.games"
    if not rows:
        return not_measured("What a slot costs", command)
    sides = {
        "half of it or more in {}": [name for name, share in shares.items() if share >= 0.5],
        "some of it in {}": [name for name, share in shares.items() if 0 < share < 0.5],
        "nothing in {}": [name for name, share in shares.items() if share <= 0],
    }
    clauses = [text.format(listed(names)) for text, names in sides.items() if names]
    said = f"The gaps are from `{command}`, learners from the boards."
    if clauses:
        said = f"The best learner wins back {', '.join(clauses)}. {said}"
    return f"{table(head, rows, left=5)}\n\n{said}"


def telemetry(sources: Sources) -> str:
    """What is left of the best agent's utility where telemetry is old."""
    rows, first = [], []
    for world in sources.tiers:
        parts = {
            name: part["difference"]
            for name, part in (world.evidence or {}).get("parts", {}).items()
            if "difference" in part
        }
        if "telemetry" not in parts:
            continue
        period = world.board.scenario.telemetry.period_s
        order = sorted(parts, key=lambda name: -abs(parts[name][0]))
        place = order.index("telemetry") + 1
        first += [world.name] if place == 1 else []
        changed = with_interval(parts["telemetry"], "+")
        rows.append([world.name, f"{period:g} s", changed, f"{place} of {len(parts)}"])
    command = "python -m edge_marl.benchmarks.release.evidence TIER --parts"
    if not rows:
        return not_measured("What old telemetry costs", command)
    head = ["tier", "period", "best agent with fresh telemetry, less with old", "place among parts"]
    said = "Differences of the best agent, as the cards have them"
    said = f"It is the part that changes most on {listed(first)}" if first else said
    return f"{table(head, rows, left=2)}\n\n{said} (`{command}`)."


def planning(sources: Sources) -> str:
    """What operations research gets beside learning, and how much of the bound the best gets."""
    head = ["world", *OR, "best learner", "bound", "best known, of the bound"]
    rows, missing = [], defaultdict[str, list[str]](list)
    for world in sources.worlds:
        found = {name: _of_agent(world, name) for name in OR}
        for name, one in found.items():
            if one is None and _can_play(name, world):
                missing[name].append(world.name)
        best = next((one for one in world.found if one.kind != "reference"), None)
        share = NONE
        if best is not None and world.bound:
            share = f"{100 * best.utility.value / world.bound:.1f} % ({best.agent})"
        rows.append(
            [
                world.name,
                *(NONE if one is None else shown(one.utility) for one in found.values()),
                told(world.learner),
                NONE if world.bound is None else f"{world.bound:.3f}",
                share,
            ]
        )
    said = [
        not_measured(
            f"`{name}` on {'any of them' if len(names) == len(rows) else listed(names)}",
            f"edge-marl run --scenario WORLD --agents {name} --episodes 100",
        )
        for name, names in missing.items()
    ]
    return "\n\n".join([table(head, rows), *map(_beside_learners, _fitted(sources)), *said])


def _can_play(name: str, world: World) -> bool:
    return name != "rollout" or not (world.is_game or world.board.scenario.extended)


def _fitted(sources: Sources) -> list[World]:
    """Return worlds with an entry of `adp`, and a learner to hold against it."""
    return [one for one in sources.worlds if one.learner and _of_agent(one, "adp")]


def _beside_learners(world: World) -> str:
    learner = world.learner
    assert learner is not None
    planned = [one for name in OR if (one := _of_agent(world, name))]
    best = max(planned, key=lambda one: one.utility.value)
    side = {
        "above": "the learner is above, by intervals that do not overlap",
        "below": "the learner is below, by intervals that do not overlap",
        "not apart": "they are not told apart",
    }[compared(learner, best)]
    return (
        f"On `{world.name}` the best of operations research is `{best.name}` with "
        f"{shown(best.utility)}, the best learner {learner.told} with {shown(learner.utility)}: "
        f"{side}."
    )


def _of_agent(world: World, name: str) -> Standing | None:
    kind: Kind = "learner" if name == "adp" else "heuristic"
    return best_of(world.found, kind, agent=name)
