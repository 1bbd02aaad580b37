"""Classes of training budgets: a learner is ranked with those that had as much to learn from."""

from __future__ import annotations

import math
from typing import Literal

__all__ = ["BUDGETS", "BudgetClass", "budget_class"]

BudgetClass = Literal["small", "standard", "open"]
BUDGETS: dict[BudgetClass, float] = {"small": 48_000, "standard": 1_000_000, "open": math.inf}
"""The most decisions that one training of each class takes, the smallest class first."""


def budget_class(decisions: int) -> BudgetClass:
    """Return the class of a training on so many decisions."""
    return next(name for name, most in BUDGETS.items() if decisions <= most)
