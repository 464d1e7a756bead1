"""Writes arrays of frames as animations: GIF, WebP and MP4."""

from __future__ import annotations

import importlib.util
import io
import os
import tempfile
from fractions import Fraction
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from jaxgan.errors import UserError
from jaxgan.media.films.colours import BT709, LIMITED, Colours
from jaxgan.media.films.frames import FilmFormat
from jaxgan.media.images import OPTIONS, opaque, to_uint8
from jaxgan.media.provenance.origin import Origin, mark_bytes
from jaxgan.media.reading import Picture
from jaxgan.system.whole_files import replace_file

FRAMES_PER_SECOND = 24  # of walks, and of clips, which have no frame rate of their own


def save_animation(
    frames: ArrayLike, path: str | os.PathLike[str], fps: float, origin: Origin | None = None
) -> tuple[str, ...]:
    """Writes frames `[T, H, W, C]` (float in [-1, 1] or uint8) at `fps` frames per second, in the suffix's format.

    `.gif` plays in a loop, with 256 colours and frames that last a multiple of 10 ms; `.webp` loops in full colour;
    `.mp4` is H.264 and needs the extra `[video]`. `origin` is written into the file; returns remarks about what could
    not be written (see `mark_file`). Writing is atomic. Raises UserError for another suffix or if the extra is
    missing, and ValueError if there are no frames or the rate is not positive.
    """
    encoders = {".gif": _gif, ".webp": _webp, ".mp4": _mp4}
    suffix = PurePath(os.fspath(path)).suffix.lower()
    if suffix not in encoders:
        raise UserError(f"{os.fspath(path)}: got suffix {suffix!r}, expected one of {', '.join(encoders)}")
    content = encoders[suffix](_checked(frames, fps), fps)
    content, remarks = mark_bytes(content, suffix, origin, title=PurePath(path).name)
    replace_file(path, content)
    return remarks


def gif(frames: ArrayLike, fps: float) -> bytes:
    """The bytes of a GIF as `save_animation` writes it, with the same ValueError."""
    return _gif(_checked(frames, fps), fps)


def usual_suffix() -> str:
    """`.mp4`, or `.gif` if the extra `[video]` is not installed."""
    return ".gif" if importlib.util.find_spec("av") is None else ".mp4"


def _checked(frames: ArrayLike, fps: float) -> np.ndarray:
    pictures = opaque(to_uint8(frames))
    if pictures.ndim != 4 or not len(pictures) or not fps > 0:
        raise ValueError(f"got frames {pictures.shape} at {fps} per second, expected [T, H, W, C] at more than 0")
    return pictures


def _gif(frames: np.ndarray, fps: float) -> bytes:
    return _looped(frames, "GIF", max(2, round(100 / fps)) * 10)  # players show frames of less than 20 ms for 100 ms


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
