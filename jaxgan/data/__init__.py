"""Where real images come from and in which order: numpy, Pillow, tfds and Grain, never jax."""
