"""Applies FFmpeg's filters to clips."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.filter import Graph

FORMATS = {1: "gray", 3: "gbrp"}  # by channels: planar formats of 8 bits, which many filters require


def filtered(clip: np.ndarray, name: str, options: str = "") -> np.ndarray:
    """Applies a filter that keeps frame size and count, such as `nlmeans` with `s=3`, to a clip uint8 `[t,h,w,1 or 3]`.

    Raises ValueError for other channels, for a filter or options that this build of FFmpeg lacks, and if the filter
    changes the shape.
    """
    frames, height, width, channels = clip.shape
    if channels not in FORMATS:
        raise ValueError(f"expected 1 or 3 channels, got {channels}")
    found, graph = list[np.ndarray](), Graph()
    shown = "gray" if channels == 1 else "rgb24"
    tick = Fraction(1, 25)
    try:
        planes = av.VideoFormat(FORMATS[channels], width, height)
        source = graph.add_buffer(width=width, height=height, format=planes, time_base=tick)
        kept = graph.add(name, options)
        source.link_to(kept)
        kept.link_to(graph.add("buffersink"))
        graph.configure()
        for number in range(frames + 1):
            frame = None
            if number < frames:
                samples = np.ascontiguousarray(clip[number, ..., 0] if channels == 1 else clip[number])
                frame = av.VideoFrame.from_ndarray(samples, format=shown).reformat(format=FORMATS[channels])
                frame.pts, frame.time_base = number, tick
            graph.push(frame)
            while True:
                try:
                    found.append(graph.vpull().reformat(format=shown).to_ndarray())
                except (av.error.BlockingIOError, av.error.EOFError):
                    break
    except (av.error.FFmpegError, ValueError) as error:
        raise ValueError(f"{name} {options}: {error}") from error
    made = np.stack(found).reshape(len(found), *found[0].shape[:2], channels)
    if made.shape != clip.shape:
        raise ValueError(f"{name} {options}: expected {clip.shape} frames, rows and columns, got {made.shape}")
    return made
