"""Evaluators: they take a `generate` or `restore` function and data, never the trainer, and return named scores."""
