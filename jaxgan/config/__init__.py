"""The config of a run: its fields, types and domains; how it is read, changed, checked and saved. Without jax."""
