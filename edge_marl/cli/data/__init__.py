"""The commands of data: recordings that are replayed, and episodes to learn from offline."""
