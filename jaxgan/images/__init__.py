"""Images as arrays on the device: resized, moved, coloured, compressed. For models and augmentation."""
