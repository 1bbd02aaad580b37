"""Settings that every trainer of a learning library has. No such library is loaded here."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from edge_marl.agents.base import check_ranges

__all__ = ["BaselineConfig"]


@dataclass(frozen=True, kw_only=True)
class BaselineConfig:
    """Settings that all baselines have."""

    num_envs: int = 64
    """Environments that training decides in at once."""
    decisions_per_update: int
    """Decisions collected per update."""
    batch_size: int
    """Transitions per gradient step."""
    gamma: float = 0.97
    """Discount per decision."""
    learning_rate: float
    """Of all networks (Adam)."""
    falling: bool = True
    """Whether the learning rate falls linearly to 0 over the budget."""
    weight_decay: float = 0.0
    hidden: tuple[int, ...] = (256, 256)
    """Widths of the hidden layers, as published."""

    def __post_init__(self) -> None:
        """Raise AgentError for a number outside its range."""
        check_ranges({k: v for k, v in asdict(self).items() if not isinstance(v, bool)})
