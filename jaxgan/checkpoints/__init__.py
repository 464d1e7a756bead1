"""The storage of a run: its work directory, and its checkpoints: saving, verification, restoring."""
