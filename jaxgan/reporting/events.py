"""TensorBoard event files, written in the calling thread.

tensorboardX encodes the events, but its `SummaryWriter` is not used: it writes them in a background thread, and if that
thread dies of a full disk, every later call blocks forever. It also has no way to add a GIF that is encoded already
(`add_video` requires moviepy).
"""

from __future__ import annotations

import logging
import os
import time

import numpy as np

from jaxgan.media.videos import FRAMES_PER_SECOND, gif

FLUSH_SECONDS = 10


class Events:
    """One event file. Its methods raise OSError if it cannot be written."""

    def __init__(self, folder: str, *, purge_from: int | None = None):
        """Creates the folder and the file. `purge_from`: TensorBoard ignores older files from this step on."""
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        # tensorboardX warns of every NaN; the watch does so once
        logging.getLogger("tensorboardX.x2num").setLevel(logging.ERROR)
        os.makedirs(folder, exist_ok=True)
        # by default the name has only the second in it: another writer could overwrite this file
        self._file = EventsWriter(os.path.join(folder, "events"), f".{os.getpid()}.{time.time_ns()}")
        self._flushed = time.monotonic()
        if purge_from is not None:
            self._add(Event(step=purge_from, file_version="brain.Event:2"))
            self._add(Event(step=purge_from, session_log=SessionLog(status=SessionLog.START)))

    def add_scalar(self, name: str, value: float, step: int) -> None:
        """Adds the value of a scalar after a step."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        self._add(Event(step=step, summary=scalar(name, value)))

    def add_image(self, name: str, image: np.ndarray, step: int) -> None:
        """Adds an image, uint8 `[H, W, 1 or 3]`."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import image as picture

        self._add(Event(step=step, summary=picture(name, image, dataformats="HWC")))

    def add_film(self, name: str, frames: np.ndarray, step: int) -> None:
        """Adds a film, uint8 `[T, H, W, 1 or 3]`, as an animated GIF, which TensorBoard plays."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        _, height, width, channels = frames.shape
        content = gif(frames, FRAMES_PER_SECOND)
        image = Summary.Image(height=height, width=width, colorspace=channels, encoded_image_string=content)
        self._add(Event(step=step, summary=Summary(value=[Summary.Value(tag=name, image=image)])))

    def close(self) -> None:
        """Flushes and closes the file."""
        self._file.close()

    def _add(self, event: object) -> None:
        event.wall_time = time.time()  # type: ignore[attr-defined]
        self._file.write_event(event)
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self._file.flush()
            self._flushed = time.monotonic()
