"""Clips: finding films, choosing the frames of each example, and reading them."""
