"""Augmentation on the device: `(key, images, probability) -> images`, pure and differentiable in the images."""
