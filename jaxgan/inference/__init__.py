"""Use of trained models: loading a run, sampling, projection, restoration in tiles."""
