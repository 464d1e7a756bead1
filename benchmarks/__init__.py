"""Measurements: `steps` against torch, `data`, `startup`, and long `results`."""
