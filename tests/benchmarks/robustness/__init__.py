"""Tests of the robustness sheets."""
