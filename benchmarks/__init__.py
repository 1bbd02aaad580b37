"""The harness: runs agents on scenarios, keeps their records, and makes tables and figures.

A suite (`suites/`) becomes a plan of cells (`plan/`), which are done side by side (`run/`) and kept
as records (`records/`); a report (`report/`) is made of records alone. `speed/` is what `edge-marl
bench` measures, `calibration/` how far the simulator is from real servers, `study/` what was
studied with the harness, `release/` what ships with the tiers, `measure/` what maintainers measure.
"""
