"""The test oracle: an independent simulator of the base model and the published draws."""
