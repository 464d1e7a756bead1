"""What a run stores: its work directory, its checkpoints, and how they are checked and restored."""
