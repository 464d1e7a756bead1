"""Where the samples of subsampled colours lie between those of brightness.

FFmpeg converts a frame as the frame tells it, and one that tells nothing as if they lay in the middle. PyAV neither
shows nor sets what a frame tells; a filter that leaves the pixels alone sets it.
"""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.filter import Graph
from av.video.reformatter import Interpolation

LEFT, TOP_LEFT = "left", "topleft"  # in the column of a pixel, between its rows; on a pixel. FFmpeg's words
UNTOLD = ("vp8", "vp9", "av1", "prores", "dnxhd")  # codecs that cannot tell it, or rarely do: left, as players assume
SWSCALE_FLAGS = int(Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND)
SIDE = 32  # pixels of a probe
TICK = Fraction(1, 25)


class Sited:
    """Tells frames of one size and layout where their colours lie. Pixels are shared, not copied."""

    def __init__(self, siting: str):
        self._siting = siting
        self._graph: Graph | None = None
        self._number = 0

    def __call__(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The frame with another word on it; its time is lost."""
        if self._graph is None:
            self._graph = graph = Graph()
            source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=TICK)
            told = graph.add("setparams", f"chroma_location={self._siting}")
            source.link_to(told)
            told.link_to(graph.add("buffersink"))
            graph.configure()
        frame.pts, frame.time_base = self._number, TICK
        self._number += 1
        self._graph.push(frame)
        return self._graph.pull()


def siting_of(frame: av.VideoFrame) -> str | None:
    """LEFT, TOP_LEFT, or None where a frame tells another place or none: how an edge in its colours is converted."""
    probe = frame.reformat(width=SIDE, height=SIDE, format="yuv420p")
    if probe is frame:
        probe.make_writable()
    for plane, level in zip(probe.planes, (120, 128, 128), strict=True):
        values = np.full((plane.height, plane.line_size), level, np.uint8)
        if level == 128:
            values[plane.height // 2 :, plane.width // 2 : plane.width] = 160
        plane.update(values.tobytes())
    found = _converted(probe)
    return next((each for each in (LEFT, TOP_LEFT) if np.array_equal(found, _converted(Sited(each)(probe)))), None)


def _converted(probe: av.VideoFrame) -> np.ndarray:
    return probe.reformat(format="gbrp", interpolation=SWSCALE_FLAGS).to_ndarray()
