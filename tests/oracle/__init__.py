"""The test oracle: an independent simulator of the model and of the published draws."""
