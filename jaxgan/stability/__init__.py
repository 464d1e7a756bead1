"""Training stability: the normal ranges, the watch, the diagnosis, and the remedies. No jax."""
