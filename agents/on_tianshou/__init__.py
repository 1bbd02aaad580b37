"""Training by the algorithms of Tianshou's: the loop, its environments and its replay buffer."""
