"""Run agents on scenarios and make the leaderboard table: `edge-marl run`, from a file.

python benchmarks/run_benchmark.py --scenario paper --agents random,prophet --seeds 2
"""

from edge_marl.cli.run import run
from edge_marl.console import run_command

if __name__ == "__main__":
    run_command(run)
