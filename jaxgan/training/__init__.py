"""How a run is trained: the step, its state, optimizers, averages and the loop."""
