"""Robustness sheets of a game (`edge-marl robustness`): reports on a policy, never ranks.

How it does among gateways that play something else (cross-play), where gateways go silent for a
while (dropout), and in the same game with fewer and more gateways (scaling).
"""
