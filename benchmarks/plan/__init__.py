"""From a suite to its plan: cells with a key each."""
