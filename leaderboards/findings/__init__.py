"""What the boards, the evidence and the study say in plain words: the blocks of `docs/findings.md`.

A maintainers' tool: `python docs/make_tables.py` writes them, from what is under version control.
"""
