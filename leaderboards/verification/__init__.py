"""Checking submissions, level by level."""
