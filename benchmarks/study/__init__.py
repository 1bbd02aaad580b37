"""The replication study: its runs, its search and its report."""
