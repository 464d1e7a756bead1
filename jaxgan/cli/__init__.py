"""What the modes share: flags, checks of what will be written, the model that flags name."""
