"""The released tiers, a TOML file each, with their anchors and evidence: package data."""

from importlib import resources

__all__ = ["FOLDER"]

FOLDER = resources.files(__name__)
