"""Scenarios as TOML files, for those that are made by a rule."""

from __future__ import annotations

import json
from typing import Any

from edge_marl.scenario import Scenario

__all__ = ["as_toml"]


def as_toml(scenario: Scenario, comment: str) -> str:
    """Return a scenario as the text of its file, below a comment, a `#` for each of its lines."""
    facts = scenario.model_dump(mode="json", exclude_defaults=True)
    lines = [f"# {line}".rstrip() for line in comment.splitlines()]
    lines += [_entry(key, value) for key, value in facts.items() if not isinstance(value, dict)]
    for name, section in facts.items():
        if isinstance(section, dict):
            lines += _section(name, section)
    return "\n".join(lines) + "\n"


def _section(name: str, section: dict[str, Any]) -> list[str]:
    tables = {key: value for key, value in section.items() if _is_tables(value)}
    lines = ["", f"[{name}]"]
    lines += [_entry(key, value) for key, value in section.items() if key not in tables]
    for key, rows in tables.items():
        for row in rows:
            lines += ["", f"[[{name}.{key}]]", *(_entry(*entry) for entry in row.items())]
    return lines


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _entry(key: str, value: Any) -> str:
    return f"{key} = {_text(value)}"


def _text(value: Any) -> str:
    """Return a value as TOML writes it; a number such that it reads back as the same."""
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(_entry(*entry) for entry in value.items())} }}"
    return json.dumps(value, ensure_ascii=False)  # true, 3, 0.5, "a": as in TOML
