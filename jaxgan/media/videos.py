"""Animations, and the one function that writes them to video files."""

from __future__ import annotations

import io
import os
from fractions import Fraction
from pathlib import PurePath
from typing import Any

import numpy as np
from PIL import Image

from jaxgan.errors import UserError
from jaxgan.media.images import opaque, replace_file, to_uint8
from jaxgan.media.provenance import Origin, mark_bytes


def save_animation(
    frames: Any, path: str | os.PathLike[str], fps: float, origin: Origin | None = None
) -> tuple[str, ...]:
    """Writes frames `[T, H, W, C]` (float in [-1, 1] or uint8) at `fps` frames a second, by suffix.

    `.gif` plays in a loop, in 256 colours and at a multiple of 10 ms a frame; `.mp4` is H.264 and needs
    the extra `[video]`. `origin` is what made them, which is written into the file; remarks about what could not be
    (see `mark_file`). The file is there whole or not at all. Raises UserError for another suffix or
    where the extra is missing, ValueError for no frames or a rate that is not positive.
    """
    encoders = {".gif": _gif, ".mp4": _mp4}
    suffix = PurePath(os.fspath(path)).suffix.lower()
    if suffix not in encoders:
        raise UserError(f"{os.fspath(path)}: an animation cannot be written as {suffix!r}, accepted are .gif and .mp4")
    pictures = opaque(to_uint8(frames))
    if pictures.ndim != 4 or not len(pictures) or not fps > 0:
        raise ValueError(f"an animation is [T, H, W, C] at more than 0 frames a second, got {pictures.shape} at {fps}")
    content, remarks = mark_bytes(encoders[suffix](pictures, fps), suffix, origin, title=PurePath(path).name)
    replace_file(path, content)
    return remarks


def _gif(frames: np.ndarray, fps: float) -> bytes:
    pictures = [Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame) for frame in frames]
    buffer = io.BytesIO()
    duration = max(2, round(100 / fps)) * 10  # players slow anything faster than 20 ms down to 100 ms
    pictures[0].save(buffer, format="GIF", save_all=True, append_images=pictures[1:], duration=duration, loop=0)
    return buffer.getvalue()


def _mp4(frames: np.ndarray, fps: float) -> bytes:
    try:
        import av
    except ImportError:
        raise UserError("writing .mp4 needs the package av: pip install -e '.[video]', or write a .gif") from None
    if frames.shape[-1] == 1:
        frames = frames.repeat(3, axis=-1)
    # yuv420p halves the colours' resolution, so sides must be even
    odd = [(0, side % 2) for side in frames.shape[1:3]]
    frames = np.pad(frames, ((0, 0), *odd, (0, 0)), mode="edge")
    buffer = io.BytesIO()
    with av.open(buffer, mode="w", format="mp4") as container:
        stream: Any = container.add_stream("h264", rate=Fraction(fps).limit_denominator(1001))
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        stream.options = {"crf": "18"}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()
