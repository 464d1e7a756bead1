"""A trained thing in use: the model of a run, sampling, projection, restoring in tiles."""
