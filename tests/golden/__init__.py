"""Figures recorded from the published environments, in a compact form (see ``make_golden.py``)."""
