"""Deinterlaces frames; each keeps its own time."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator
from fractions import Fraction

import av
from av.filter import Graph

from jaxgan.media.films.decoding import Shown


def deinterlaced(frames: Iterator[Shown], time_base: Fraction, found: Callable[[], None]) -> Iterator[Shown]:
    """The same frames at the same times; those marked as interlaced are deinterlaced by FFmpeg's bwdif.

    Other frames are not changed. bwdif (Weston's three-field method with yadif's checks) needs the frames before and
    after, so output lags by one frame from the first marked one on. `found` is called at that frame.
    """
    before: Shown | None = None
    filtering: _Filtering | None = None
    for shown in frames:
        if filtering is None and not shown.frame.interlaced_frame:
            before = shown
            yield shown
            continue
        if filtering is not None and filtering.layout != _layout(shown.frame):
            yield from filtering.rest()
            filtering = before = None
        if filtering is None:
            found()
            filtering = _Filtering(shown.frame, time_base)
            if before is not None and _layout(before.frame) == filtering.layout:
                filtering.push(before, wanted=False)
            before = None
        yield from filtering.push(shown)
    if filtering is not None:
        yield from filtering.rest()


class _Filtering:
    def __init__(self, frame: av.VideoFrame, time_base: Fraction):
        self.layout, self._time_base = _layout(frame), time_base
        self._queue: collections.deque[tuple[Shown, bool]] = collections.deque()
        self._graph = graph = Graph()
        source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=time_base)
        whole = graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
        source.link_to(whole)
        whole.link_to(graph.add("buffersink"))
        graph.configure()

    def push(self, shown: Shown, wanted: bool = True) -> list[Shown]:
        """Adds a frame; returns the frames that are ready."""
        shown.frame.pts, shown.frame.time_base = shown.pts, self._time_base
        self._queue.append((shown._replace(frame=None), wanted))
        self._graph.push(shown.frame)
        return self._ready()

    def rest(self) -> list[Shown]:
        """Ends the stream; returns the remaining frames."""
        self._graph.push(None)
        return self._ready()

    def _ready(self) -> list[Shown]:
        found = []
        while self._queue:
            try:
                frame = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                break
            shown, wanted = self._queue.popleft()
            if wanted:
                found.append(shown._replace(frame=frame))
        return found


def _layout(frame: av.VideoFrame) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name
