"""Doing a plan's jobs: runner, workers, locks and progress."""
