"""Animations, and the one function that writes them to video files."""

from __future__ import annotations

import importlib.util
import io
import os
import tempfile
from fractions import Fraction
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from PIL import Image

from jaxgan.errors import UserError
from jaxgan.media.films.colours import BT709, LIMITED, Colours
from jaxgan.media.films.frames import FilmFormat
from jaxgan.media.images import OPTIONS, opaque, replace_file, to_uint8
from jaxgan.media.provenance.origin import Origin, mark_bytes
from jaxgan.media.reading import Picture

FRAMES_PER_SECOND = 24  # of walks, and of clips, which do not say how fast they are


def save_animation(
    frames: Any, path: str | os.PathLike[str], fps: float, origin: Origin | None = None
) -> tuple[str, ...]:
    """Writes frames `[T, H, W, C]` (float in [-1, 1] or uint8) at `fps` frames a second, by suffix.

    `.gif` plays in a loop, in 256 colours and at a multiple of 10 ms a frame; so does `.webp`, in all colours; `.mp4`
    is H.264 and needs the extra `[video]`. `origin` is what made them, which is written into the file; remarks about
    what could not be (see `mark_file`). The file is there whole or not at all. Raises UserError for another suffix or
    where the extra is missing, ValueError for no frames or a rate that is not positive.
    """
    encoders = {".gif": _gif, ".webp": _webp, ".mp4": _mp4}
    suffix = PurePath(os.fspath(path)).suffix.lower()
    if suffix not in encoders:
        raise UserError(
            f"{os.fspath(path)}: an animation cannot be written as {suffix!r}, expected one of {', '.join(encoders)}"
        )
    content = encoders[suffix](_checked(frames, fps), fps)
    content, remarks = mark_bytes(content, suffix, origin, title=PurePath(path).name)
    replace_file(path, content)
    return remarks


def gif(frames: Any, fps: float) -> bytes:
    """The file of a GIF, as `save_animation` writes it. Raises ValueError as that."""
    return _gif(_checked(frames, fps), fps)


def usual_suffix() -> str:
    """`.mp4`; `.gif` without the extra `[video]`."""
    return ".gif" if importlib.util.find_spec("av") is None else ".mp4"


def _checked(frames: Any, fps: float) -> np.ndarray:
    pictures = opaque(to_uint8(frames))
    if pictures.ndim != 4 or not len(pictures) or not fps > 0:
        raise ValueError(f"an animation is [T, H, W, C] at more than 0 frames a second, got {pictures.shape} at {fps}")
    return pictures


def _gif(frames: np.ndarray, fps: float) -> bytes:
    return _looped(frames, "GIF", max(2, round(100 / fps)) * 10)  # players slow what is faster than 20 ms to 100 ms


def _webp(frames: np.ndarray, fps: float) -> bytes:
    return _looped(frames, "WEBP", max(1, round(1000 / fps)), **OPTIONS["WEBP"])


def _looped(frames: np.ndarray, kind: str, milliseconds: int, **options: Any) -> bytes:
    pictures = [Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame) for frame in frames]
    buffer, timing = io.BytesIO(), {"duration": milliseconds, "loop": 0}
    pictures[0].save(buffer, format=kind, save_all=True, append_images=pictures[1:], **timing, **options)
    return buffer.getvalue()


def _mp4(frames: np.ndarray, fps: float) -> bytes:
    try:
        import av  # noqa: F401
    except ImportError:
        raise UserError("writing .mp4 needs the package av: pip install -e '.[video]', or write a .gif") from None
    from jaxgan.media.films.encoding import SegmentWriter, plan_encoding

    rate = Fraction(fps).limit_denominator(1001)
    height, width = frames.shape[1:3]
    film = FilmFormat(width, height, rate, 1 / rate, colours=Colours(BT709, LIMITED, BT709, BT709))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "animation.mp4"
        writer = SegmentWriter(path, plan_encoding(film, path.suffix, "h264"))
        for number, frame in enumerate(frames):
            writer.add(Picture(frame, None, (0.0, 255.0)), number, 1)
        writer.close()
        return path.read_bytes()
