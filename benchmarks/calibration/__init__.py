"""How far the simulator is from real model servers on this machine (`edge-marl calibrate`).

Three servers are measured (`profile.py`), and a scenario is fitted to them (`fit.py`). Agents serve
requests in front of them (`observe.py`); each log is played again in the simulator (`compare.py`).
`findings.py` has all steps in order.
"""
