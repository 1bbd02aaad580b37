"""The released tiers (one TOML file each) and their anchors, as package data."""
