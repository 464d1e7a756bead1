"""Shared by the modes: flags, checks of outputs, marks in files, loading a model."""
