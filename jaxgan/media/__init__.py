"""The one place that reads and writes pictures and films, and what their files say of what made them."""
