"""Losses: pure functions of arrays, reduced to one value an example by the caller."""
