"""Placement of arrays, and the step on many devices and processes."""
