"""The games of the tiers, a TOML file each: what differs from the tier, which they extend."""
