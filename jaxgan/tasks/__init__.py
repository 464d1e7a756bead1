"""Tasks: which networks play, and what each player wants. Losses only; networks are handed in."""
