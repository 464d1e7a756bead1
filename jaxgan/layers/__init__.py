"""Layers: what networks are made of, in formulations that are fast on every platform."""
