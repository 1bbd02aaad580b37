"""Leaderboards: submissions and the tables made of them."""
