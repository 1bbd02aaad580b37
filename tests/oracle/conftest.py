"""Set-up of the worked-out cases."""

from tests.oracle.cases import side

__all__ = ["side"]
