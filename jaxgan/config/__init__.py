"""The fields of a run: their types and domains, how they are read, changed, checked and saved. No jax."""
