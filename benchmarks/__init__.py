"""The harness: runs agents on scenarios, keeps their records, and makes tables and figures.

A suite (`suites/`) becomes a plan of cells (`plan/`), which are done side by side (`run/`) and kept
as records (`records/`); a report (`report/`) is made of records alone. `study/` is what was studied
with it, `release/` what ships with the tiers, `measure/` what maintainers measure.
"""
