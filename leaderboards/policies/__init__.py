"""Running a submission's policies, of which nothing is believed."""
