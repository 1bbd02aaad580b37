"""`python -m edge_marl`: the command `edge-marl`."""

from edge_marl.cli import main

if __name__ == "__main__":
    main()
