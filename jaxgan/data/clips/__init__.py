"""Clips: where films come from, which frames of them are one example, and how these are read."""
