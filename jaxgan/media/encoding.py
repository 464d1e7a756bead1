"""Frames into a segment of a film: a closed file that begins with a key frame, to be joined with others by packets."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np

from jaxgan.errors import UserError
from jaxgan.media.colours import FULL, RGB
from jaxgan.media.films import SWSCALE_FLAGS, USUAL_RATE
from jaxgan.media.frames import CONTAINERS, FilmFormat
from jaxgan.media.images import opaque
from jaxgan.media.reading import Picture


class Layout(NamedTuple):
    """What frames have to be stored as."""

    deep: bool = False
    alpha: bool = False
    subsampling: int = 420


@dataclasses.dataclass(frozen=True)
class Codec:
    """One way to compress."""

    encoder: str  # FFmpeg's name
    layouts: Mapping[Layout, str]  # the pixel formats that it takes
    containers: tuple[str, ...]
    segment: str = ".mp4"  # the kind of file that segments are
    quality: float | None = None  # the constant quality (CRF) that is usual here; None: it has none
    worst: int = 51
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    even: bool = False  # sides of subsampled frames must be even
    tag: str | None = None  # in MP4

    def pixels(self, film: FilmFormat) -> tuple[Layout, str]:
        """What it stores a film as: the nearest that it can hold."""
        wanted = Layout(film.deep, film.alpha, film.subsampling)
        best = min(
            self.layouts,
            key=lambda each: (
                each.alpha != wanted.alpha,
                each.deep != wanted.deep,
                each.subsampling < wanted.subsampling,
                abs(each.subsampling - wanted.subsampling),
            ),
        )
        return best, self.layouts[best]


def _yuv(*kinds: str) -> dict[Layout, str]:
    return {
        Layout(
            "10" in kind or "12" in kind,
            kind.startswith("yuva"),
            int(kind.removeprefix("yuva").removeprefix("yuv")[:3]),
        ): kind
        for kind in kinds
    }


ALL = ("mp4", "mov", "matroska")
CODECS = {
    "h264": Codec(
        "libx264",
        _yuv("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le"),
        ALL,
        quality=16,
        even=True,
    ),
    "hevc": Codec(
        "libx265",
        _yuv("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le"),
        ALL,
        quality=18,
        even=True,
        tag="hvc1",
        options={"x265-params": "log-level=error"},
    ),
    "av1": Codec("libsvtav1", _yuv("yuv420p", "yuv420p10le"), (*ALL, "webm"), quality=24, worst=63),
    "vp9": Codec(
        "libvpx-vp9",
        _yuv("yuv420p", "yuv444p", "yuv420p10le", "yuva420p"),
        ("matroska", "webm", "mp4"),
        segment=".webm",
        quality=24,
        worst=63,
        options={"b": "0", "row-mt": "1"},
    ),
    "prores": Codec("prores_ks", _yuv("yuv422p10le", "yuva444p10le"), ("mov", "matroska"), segment=".mov"),
    "ffv1": Codec(
        "ffv1",
        {
            Layout(False, False, 444): "bgr0",
            Layout(False, True, 444): "bgra",
            Layout(True, False, 444): "gbrp16le",
            Layout(True, True, 444): "gbrap16le",
        },
        ("matroska",),
        segment=".mkv",
    ),
}


class Plan(NamedTuple):
    """How a film is going to be stored."""

    codec: Codec
    layout: Layout
    pixel_format: str
    quality: float | None
    film: FilmFormat  # with sides that the codec takes
    lost: tuple[str, ...]  # what cannot be kept


def plan_encoding(film: FilmFormat, suffix: str, codec: str | None = None, quality: float | None = None) -> Plan:
    """How to store a film in a file with a suffix.

    Raises UserError for an unknown suffix or codec, one that the container does not take, and a quality beyond its
    range.
    """
    container = CONTAINERS[suffix]
    if codec is None:
        codec = _usual(film, container)
    if codec not in CODECS:
        raise UserError(f"--codec: got {codec!r}, accepted are {', '.join(CODECS)}")
    chosen = CODECS[codec]
    if container not in chosen.containers:
        fitting = [name for name, each in CODECS.items() if container in each.containers]
        raise UserError(f"--codec: {suffix} does not hold {codec}, accepted are {', '.join(fitting)}")
    if quality is not None and chosen.quality is None:
        raise UserError(f"--quality: {codec} has one quality only")
    if quality is not None and not 0 <= quality <= chosen.worst:
        raise UserError(f"--quality: got {quality:g}, accepted for {codec} are 0 (best) to {chosen.worst}")
    layout, pixel_format = chosen.pixels(film)
    lost = []
    if film.alpha and not layout.alpha:
        lost.append("transparency is laid on white")
    if film.deep and not layout.deep:
        lost.append(f"{codec} holds 8 bits here, it had more")
    width, height = film.width, film.height
    if chosen.even and layout.subsampling != 444 and (width % 2 or (height % 2 and layout.subsampling == 420)):
        width, height = width + width % 2, height + height % 2
        lost.append(f"one row or column more, {width} x {height}: {codec} needs even sides")
    film = dataclasses.replace(film, width=width, height=height)
    return Plan(chosen, layout, pixel_format, chosen.quality if quality is None else quality, film, tuple(lost))


def _usual(film: FilmFormat, container: str) -> str:
    if container == "webm" or (film.alpha and container == "matroska"):
        return "vp9"
    if film.alpha and container == "mov":
        return "prores"
    return "hevc" if film.deep else "h264"


class SegmentWriter:
    """Takes frames one by one."""

    def __init__(self, path: Path, plan: Plan):
        """Raises OSError."""
        self._plan, film = plan, plan.film
        self._container = av.open(str(path), "w", format=CONTAINERS.get(path.suffix))
        options = dict(plan.codec.options)
        if plan.quality is not None:
            options["crf"] = f"{plan.quality:g}"
        stream: Any = self._container.add_stream(plan.codec.encoder, rate=film.rate or USUAL_RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = film.width, film.height, plan.pixel_format
        context = stream.codec_context
        context.time_base = stream.time_base = film.time_base
        context.sample_aspect_ratio = film.sample_aspect
        colours = film.colours
        context.colorspace = RGB if self._rgb else colours.matrix
        context.color_range = FULL if self._rgb else colours.range
        context.color_primaries, context.color_trc = colours.primaries, colours.transfer
        if plan.codec.tag and path.suffix in (".mp4", ".mov"):
            context.codec_tag = plan.codec.tag
        self._stream = stream
        self._first: int | None = None

    @property
    def _rgb(self) -> bool:
        return not self._plan.pixel_format.startswith("yuv")

    def add(self, picture: Picture, pts: int, duration: int) -> None:
        """The next frame; pts in the film's time base."""
        if self._first is None:
            self._first = pts
        frame = av.VideoFrame.from_ndarray(self._samples(picture), format=self._name(picture))
        if self._rgb:
            frame = frame.reformat(format=self._plan.pixel_format, interpolation=SWSCALE_FLAGS)
        else:
            colours = self._plan.film.colours
            frame = frame.reformat(
                format=self._plan.pixel_format,
                dst_colorspace=colours.conversion,
                dst_color_range=colours.range,
                interpolation=SWSCALE_FLAGS,
            )
        frame.pts, frame.time_base = pts - self._first, self._plan.film.time_base
        if duration:
            frame.duration = duration
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Writes what the encoder still holds."""
        self._container.mux(self._stream.encode())
        self._container.close()

    def abandon(self) -> None:
        """Lets the file go, unfinished."""
        self._container.close()

    def _name(self, picture: Picture) -> str:
        from jaxgan.media.films import LAYOUTS

        return LAYOUTS[picture.pixels.dtype == np.uint16, picture.alpha is not None and self._plan.layout.alpha]

    def _samples(self, picture: Picture) -> np.ndarray:
        pixels = picture.pixels
        if pixels.shape[2] == 1:
            pixels = pixels.repeat(3, axis=2)
        if picture.alpha is not None:
            pixels = np.concatenate([pixels, picture.alpha], axis=2)
            if not self._plan.layout.alpha:
                pixels = opaque(pixels)
        film = self._plan.film
        missing = (film.height - pixels.shape[0], film.width - pixels.shape[1])
        if any(missing):
            pixels = np.pad(pixels, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
        return np.ascontiguousarray(pixels)


def rate_of(film: FilmFormat) -> Fraction:
    """Frames a second."""
    return film.rate or USUAL_RATE
