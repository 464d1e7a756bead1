"""Files of tensors, read as numpy arrays. What is in a file is never executed."""
