"""Interlaced frames into whole ones, each from its own time."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import av
from av.filter import Graph

from jaxgan.media.films.decoding import Shown


def deinterlaced(frames: Iterator[Shown], time_base: Fraction, told: Callable[[], None]) -> Iterator[Shown]:
    """The same frames at the same times; those that are marked as two fields are made whole by FFmpeg's bwdif.

    Others are not touched. bwdif (Weston's three-field method with yadif's checks) looks at the frames before and
    after, so one frame is held back from the first marked one on. `told` is called at that one.
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
            told()
            filtering = _Filtering(shown.frame, time_base)
            if before is not None and _layout(before.frame) == filtering.layout:
                filtering.push(before, wanted=False)
            before = None
        yield from filtering.push(shown)
    if filtering is not None:
        yield from filtering.rest()


class _Filtering:
    def __init__(self, frame: Any, time_base: Fraction):
        self.layout, self._time_base = _layout(frame), time_base
        self._queue: collections.deque[tuple[Shown, bool]] = collections.deque()
        self._graph = graph = Graph()
        source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=time_base)
        whole = graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
        source.link_to(whole)
        whole.link_to(graph.add("buffersink"))
        graph.configure()

    def push(self, shown: Shown, wanted: bool = True) -> list[Shown]:
        """What is ready after one more frame."""
        shown.frame.pts, shown.frame.time_base = shown.pts, self._time_base
        self._queue.append((shown._replace(frame=None), wanted))
        self._graph.push(shown.frame)
        return self._ready()

    def rest(self) -> list[Shown]:
        """What is ready at the end."""
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


def _layout(frame: Any) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name
