"""Losses: pure functions of arrays, which the caller reduces to one value per example."""
