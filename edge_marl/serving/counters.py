"""What a gateway counts, as Prometheus reads it (text format 0.0.4)."""

from __future__ import annotations

from collections import Counter

__all__ = ["Counters"]

BOUNDS_S = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
HELP = {
    "requests": "Requests that are over, by what became of them.",
    "decisions": "Decisions, by who took them: the policy, or the default action and why.",
    "sent": "Requests sent to a server, second attempts among them.",
    "failures": "Backends that failed a request, by server and how.",
    "refusals": "Requests that were not taken, and why.",
    "log_errors": "Events that could not be written to the log.",
}
LABELS = {
    "requests": ("outcome",),
    "decisions": ("by",),
    "sent": ("server",),
    "failures": ("server", "how"),
    "refusals": ("why",),
    "log_errors": (),
}
TIMES = {
    "decision": "Time that a decision took.",
    "request": "Time from a request to the end of its answer.",
}


class Counters:
    """Counts of a run; all begin at 0."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, ...]] = Counter()
        self._below = {name: [0] * (len(BOUNDS_S) + 1) for name in TIMES}
        self._total_s = dict.fromkeys(TIMES, 0.0)

    def count(self, name: str, *labels: str) -> None:
        """Count one: of `HELP`, with a value for each of its labels."""
        self._counts[name, *labels] += 1

    def of(self, name: str, *labels: str) -> int:
        """Return a count."""
        return self._counts[name, *labels]

    def time(self, name: str, seconds: float) -> None:
        """Count a time: of `TIMES`."""
        at = next((k for k, bound in enumerate(BOUNDS_S) if seconds <= bound), len(BOUNDS_S))
        self._below[name][at] += 1
        self._total_s[name] += seconds

    def text(self, gauges: dict[str, dict[str, float]]) -> str:
        """Return all as text.

        Args:
            gauges: what is so now, by name: value by label text, such as `server="a"` or "".
        """
        lines = []
        for name, told in HELP.items():
            full = f"edge_marl_{name}_total"
            lines += [f"# HELP {full} {told}", f"# TYPE {full} counter"]
            for key in sorted(key for key in self._counts if key[0] == name):
                pairs = zip(LABELS[name], key[1:], strict=True)
                labels = ",".join(f'{label}="{value}"' for label, value in pairs)
                lines.append(f"{full}{_braced(labels)} {self._counts[key]}")
        for name, told in TIMES.items():
            lines += self._histogram(f"edge_marl_{name}_seconds", name, told)
        for name, values in gauges.items():
            lines.append(f"# TYPE edge_marl_{name} gauge")
            lines += [f"edge_marl_{name}{_braced(key)} {value:g}" for key, value in values.items()]
        return "\n".join(lines) + "\n"

    def _histogram(self, full: str, name: str, told: str) -> list[str]:
        lines, below = [f"# HELP {full} {told}", f"# TYPE {full} histogram"], 0
        for bound, count in zip((*BOUNDS_S, "+Inf"), self._below[name], strict=True):
            below += count
            lines.append(f'{full}_bucket{{le="{bound}"}} {below}')
        return [*lines, f"{full}_sum {self._total_s[name]:.6f}", f"{full}_count {below}"]


def _braced(labels: str) -> str:
    return f"{{{labels}}}" if labels else ""
