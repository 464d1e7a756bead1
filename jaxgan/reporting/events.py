"""TensorBoard's event files, written in the thread that calls.

TensorboardX writes them in a thread of its own; when that dies, of a full disk, all who call it wait for ever.
"""

from __future__ import annotations

import logging
import os
import time

import numpy as np

from jaxgan.media.videos import FRAMES_PER_SECOND, gif

FLUSH_SECONDS = 10


class Events:
    """One event file. Its methods raise OSError where it cannot be written."""

    def __init__(self, folder: str, *, purge_from: int | None = None):
        """Makes the folder and the file. `purge_from`: TensorBoard drops what older files have from this step on."""
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        # it warns of every NaN; the watch tells of them once
        logging.getLogger("tensorboardX.x2num").setLevel(logging.ERROR)
        os.makedirs(folder, exist_ok=True)
        # the name has but the second in it: a second writer would wipe the first one's file
        self._file = EventsWriter(os.path.join(folder, "events"), f".{os.getpid()}.{time.time_ns()}")
        self._flushed = time.monotonic()
        if purge_from is not None:
            self._add(Event(step=purge_from, file_version="brain.Event:2"))
            self._add(Event(step=purge_from, session_log=SessionLog(status=SessionLog.START)))

    def add_scalar(self, name: str, value: float, step: int) -> None:
        """A number, as it is after a step."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        self._add(Event(step=step, summary=scalar(name, value)))

    def add_image(self, name: str, image: np.ndarray, step: int) -> None:
        """A picture, uint8 `[H, W, 1 or 3]`."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import image as picture

        self._add(Event(step=step, summary=picture(name, image, dataformats="HWC")))

    def add_film(self, name: str, frames: np.ndarray, step: int) -> None:
        """A film, uint8 `[T, H, W, 1 or 3]`, as a picture that is a GIF: TensorBoard shows it moving."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        _, height, width, channels = frames.shape
        content = gif(frames, FRAMES_PER_SECOND)
        image = Summary.Image(height=height, width=width, colorspace=channels, encoded_image_string=content)
        self._add(Event(step=step, summary=Summary(value=[Summary.Value(tag=name, image=image)])))

    def close(self) -> None:
        """Writes what is still on its way."""
        self._file.close()

    def _add(self, event: object) -> None:
        event.wall_time = time.time()  # type: ignore[attr-defined]
        self._file.write_event(event)
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self._file.flush()
            self._flushed = time.monotonic()
