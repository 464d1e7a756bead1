"""Reads and writes all pictures and films, and the provenance stored in their files."""
