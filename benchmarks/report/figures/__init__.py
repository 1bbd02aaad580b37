"""Figures of a report, and the style that all figures of the harness have."""
