"""Scenarios as the text of a file, which reads back as the same scenario."""

from __future__ import annotations

import json
from typing import Any

from edge_marl.scenario.scenario import Scenario

__all__ = ["as_toml"]


def as_toml(scenario: Scenario, comment: str = "") -> str:
    """Return a scenario as TOML: what is not at its default, of the same digest when read.

    Args:
        scenario: what is written.
        comment: stands above it, a `#` before each of its lines.
    """
    facts = scenario.model_dump(mode="json", exclude_defaults=True)
    facts = {"name": scenario.name, "version": scenario.version, **facts}
    sections = {name: value for name, value in facts.items() if isinstance(value, dict)}
    lines = [f"# {line}".rstrip() for line in comment.splitlines()]
    lines += [_line(name, value) for name, value in facts.items() if name not in sections]
    for section, fields in sections.items():
        lines += ["", f"[{section}]", *(_line(name, value) for name, value in fields.items())]
    return "\n".join(lines) + "\n"


def _line(name: str, value: Any) -> str:
    """A field; a list of tables or lists takes a line for each."""
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        return "\n".join([f"{name} = [", *(f"    {_value(item)}," for item in value), "]"])
    return f"{name} = {_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{name} = {_value(one)}' for name, one in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    # Strings, numbers and truth values are written as in JSON, but for a character.
    return json.dumps(value, ensure_ascii=False, allow_nan=False).replace("\x7f", "\\u007f")
