"""The harness: runs agents on scenarios, keeps their records, and makes tables and figures.

`run_benchmark` holds the command; `cells` what a run consists of, `worker` and `evaluation` what
one cell does, `runner` how they are done side by side, `records` what is kept, and `stats`,
`tables` and `figures` what is made of it.
"""
