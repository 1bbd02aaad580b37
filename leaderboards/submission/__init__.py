"""A submission: what it holds, and how it is made."""
