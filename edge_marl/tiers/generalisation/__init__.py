"""The test sets of the tiers, a TOML file each: written by `benchmarks.release.generalisation`."""
