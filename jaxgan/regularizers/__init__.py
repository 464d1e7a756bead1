"""Regularizers: penalties on a critic, which they only call."""
