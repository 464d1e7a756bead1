"""The chroma location of subsampled frames.

FFmpeg converts a frame by its tagged location, and an untagged one as if the samples were centred. PyAV can neither
read nor set the tag, so it is set here by a filter that does not change the pixels.
"""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.filter import Graph
from av.video.reformatter import Interpolation

LEFT, TOP_LEFT = "left", "topleft"  # FFmpeg's names: in a pixel column between two rows; on a pixel
UNTOLD = ("vp8", "vp9", "av1", "prores", "dnxhd")  # codecs that cannot or rarely tag it; players assume left
SWSCALE_FLAGS = int(Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND)
SIDE = 32  # pixels of a probe
TICK = Fraction(1, 25)


class Sited:
    """Sets the chroma location of frames of one size and layout. Pixels are shared, not copied."""

    def __init__(self, siting: str):
        self._siting = siting
        self._graph: Graph | None = None
        self._number = 0

    def __call__(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The frame with the new tag; its time is lost."""
        if self._graph is None:
            self._graph = graph = Graph()
            source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=TICK)
            tag = graph.add("setparams", f"chroma_location={self._siting}")
            source.link_to(tag)
            tag.link_to(graph.add("buffersink"))
            graph.configure()
        frame.pts, frame.time_base = self._number, TICK
        self._number += 1
        self._graph.push(frame)
        return self._graph.pull()


def siting_of(frame: av.VideoFrame) -> str | None:
    """LEFT or TOP_LEFT, found from how an edge in chroma is converted; None for another location or no tag."""
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
