"""Training: settings, runs that can be stopped, and the choice of the best agent."""
