"""Whether a training goes well: what is normal, what is watched, what is wrong, and what to change. No jax."""
