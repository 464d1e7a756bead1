"""Films as streams of frames: read, cut, encoded in segments, joined with all else that their sources have."""
