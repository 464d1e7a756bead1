"""The same algorithms in torch, run in an environment of their own."""
