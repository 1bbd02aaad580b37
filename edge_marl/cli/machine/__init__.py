"""What a machine has, and how fast it is: `edge-marl doctor` and `edge-marl bench`."""
