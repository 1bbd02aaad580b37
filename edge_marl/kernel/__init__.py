"""The transition of the simulator: plain Python over flat arrays.

Every API runs these bodies. They carry no decorator and import nothing of ours, so a test can run
them as they are; `edge_marl/simulator/compiled.py` compiles them for one environment and for
batches. They hold no randomness and no arithmetic but + - * / and comparisons on float64 and
integers, so every machine gives the same bits. Times are integer milliseconds. An index counts from
the front, never from the end: compiled code does not ask.

The base rules are those of the published environments as executed (ADSAC: commit ed42116, AGOD:
commit 188397a). In short, for the task that is shown at its arrival:

1. it is sent to (server, service); it fits if its demand is at most the server's free capacity;
2. if it fits, it runs at once, and its utility is paid at once;
3. if not, the server crashes: all that runs on it is lost, so is the task, and the reward is minus
   the penalty; the server is empty and usable again at once;
4. the clock goes to the next arrival, and tasks whose run time is over leave.

`docs/model/extended.md` has the rules of the extended model. Its parts are switched by the scenario
(`spec`); where a scenario has none of them (EXTENDED is 0), none of their arrays is touched.

A step touches few cache lines: with a thousand environments that is what its cost consists of.

From the bottom up: `world` (the arrays), `value`, `network`, `agenda`, `servers`, `observe`,
`losses`, `decision`, `clock`, `game`, where gateways decide, `turns`, where they do so one after
the other, `loading`, which puts a workload in place and begins on it, `ahead` (memory that a step
will need), and `batch`.
"""
