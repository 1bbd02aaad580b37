"""Networks that agents of several families share."""
