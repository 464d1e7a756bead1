"""Tasks: which networks are trained, and the loss of each player. Networks are passed in."""
