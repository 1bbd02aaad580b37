"""A red team: policies and submissions that cheat, each with the check that must catch it."""
