"""Layers: the building blocks of networks, in formulations that are fast on every platform."""
