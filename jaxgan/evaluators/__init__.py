"""Evaluators: they get `generate` or `apply` and data, never the trainer, and return named scores."""
