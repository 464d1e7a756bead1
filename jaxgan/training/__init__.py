"""Training: the step, its state, optimizers, weight averages and the loop."""
