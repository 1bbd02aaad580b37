"""Commands to see episodes: `watch` and `replay` one, or `play` one oneself."""
