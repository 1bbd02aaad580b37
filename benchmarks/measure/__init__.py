"""Maintainers' measurements: speed, overhead, kills."""
