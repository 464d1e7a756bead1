"""Writes into files what made them, and reads it from them."""
