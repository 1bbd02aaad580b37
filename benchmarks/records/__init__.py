"""Records: one file per finished job, checked when read."""
