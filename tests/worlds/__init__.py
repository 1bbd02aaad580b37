"""Worlds, agents, records and submissions that tests of several folders take."""
