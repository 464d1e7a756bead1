"""How a run goes: the step, its state and optimizers, the loop, checkpoints, what it writes and watches."""
