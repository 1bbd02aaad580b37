"""How fast everything is: what `edge-marl bench` measures, and how it is told."""
