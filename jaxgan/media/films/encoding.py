"""Encodes frames into a segment of a film: a complete file that begins with a key frame and is joined by packets."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import platform
from collections import deque
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

from jaxgan.errors import UserError
from jaxgan.media.films.colours import FULL, LIMITED, RGB, Colours
from jaxgan.media.films.film import LAYOUTS, address
from jaxgan.media.films.frames import CONTAINERS, USUAL_RATE, FilmFormat
from jaxgan.media.films.siting import LEFT, SWSCALE_FLAGS, TOP_LEFT, Sited
from jaxgan.media.images import opaque
from jaxgan.media.reading import Picture, PictureError

LARGEST_SIDE = 65_535  # pixels: 16 bits in MP4 (ISO 14496-12, 12.1.3.2); AV1 and VP9 allow just one pixel more
MATROSKA = (".mkv", ".webm")  # containers whose times are in milliseconds


class Layout(NamedTuple):
    """What a pixel format stores."""

    deep: bool = False  # more than 8 bits
    alpha: bool = False
    subsampling: int = 420  # of the colours: 420, 422 or 444

    def distance(self, wanted: Layout) -> tuple[bool, bool, bool, int]:
        """A sort key, smallest for the best match: transparency counts first, then depth, then chroma resolution."""
        less = self.subsampling - wanted.subsampling
        return self.alpha != wanted.alpha, self.deep != wanted.deep, less < 0, abs(less)


@dataclasses.dataclass(frozen=True)
class Codec:
    """A codec and its settings."""

    encoder: str  # FFmpeg's name
    layouts: Mapping[Layout, str]  # the pixel formats that it takes
    containers: tuple[str, ...]
    segment: str = ".mp4"  # the suffix of segments
    transparent_segment: str | None = None  # the suffix of segments with alpha, if it differs
    quality: float | None = None  # the default constant quality (CRF); None: the codec has none
    worst: int = 51  # the largest CRF
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    even: bool = False  # sides of subsampled frames must be even
    reordered: int = 0  # the largest number of frames that are stored before one that is shown earlier
    tag: str | None = None  # for MP4 and MOV, if few players accept FFmpeg's default
    limited: bool = False  # cannot signal full range
    mastering: str | None = None  # the encoder option that takes HDR mastering metadata
    siting: bool = False  # can signal the chroma location of 4:2:0
    aspect: bool = False  # stores the pixel aspect ratio itself; FFmpeg's Matroska writer cannot

    def fitting(self, container: str) -> Mapping[Layout, str]:
        """The pixel formats that are possible in a container: in MP4 none with transparency."""
        return {layout: name for layout, name in self.layouts.items() if not layout.alpha or container != "mp4"}


def _yuv(*formats: str) -> dict[Layout, str]:
    """FFmpeg's planar formats, such as yuva444p10le, by layout."""
    layouts = {}
    for name in formats:
        alpha, digits = name.startswith("yuva"), name.removeprefix("yuv").removeprefix("a")
        layouts[Layout(digits.endswith("le"), alpha, int(digits[:3]))] = name
    return layouts


_SIX = _yuv("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le")
_RGB = {
    Layout(False, False, 444): "bgr0",
    Layout(False, True, 444): "bgra",
    Layout(True, False, 444): "gbrp16le",
    Layout(True, True, 444): "gbrap16le",
}
# x264's AVX-512 code reads uninitialized memory, so that the same frames sometimes give different bytes.
_X86 = platform.machine().lower() in ("x86_64", "amd64")
REPEATABLE = {"x264-params": "asm=SSE4.2,AVX,AVX2,FMA3,BMI1,BMI2,LZCNT"} if _X86 else {}
CODECS = {
    "h264": Codec(
        "libx264",
        _SIX,
        ("mp4", "mov", "matroska"),
        quality=16,
        even=True,
        siting=True,
        aspect=True,
        reordered=2,
        options={"bf": "3", "b-pyramid": "normal", **REPEATABLE},
    ),
    "hevc": Codec(
        "libx265",
        _SIX,
        ("mp4", "mov", "matroska"),
        quality=17,
        even=True,
        siting=True,
        aspect=True,
        reordered=2,
        tag="hvc1",
        mastering="x265-params",
        options={"preset": "fast", "x265-params": "log-level=none:bframes=4:b-pyramid=1"},
    ),
    "av1": Codec(
        "libsvtav1",
        _yuv("yuv420p", "yuv420p10le"),
        ("mp4", "matroska", "webm"),
        quality=18,
        worst=63,
        siting=True,
        mastering="svtav1-params",
        options={"preset": "6"},
    ),
    "vp9": Codec(
        "libvpx-vp9",
        _yuv("yuv420p", "yuv422p", "yuv444p", "yuva420p"),
        ("mp4", "matroska", "webm"),
        transparent_segment=".webm",
        quality=20,
        worst=63,
        options={"b": "0", "cpu-used": "4"},
    ),
    "prores": Codec(
        "prores_ks",
        _yuv("yuv422p10le", "yuv444p10le", "yuva444p10le"),
        ("mov", "matroska"),
        segment=".mov",
        limited=True,
    ),
    "ffv1": Codec("ffv1", _RGB, ("matroska",)),
}


class Plan(NamedTuple):
    """How a film will be stored."""

    codec: Codec
    layout: Layout
    pixel_format: str
    quality: float | None
    film: FilmFormat  # with sides and range as the codec takes them
    lost: tuple[str, ...]  # remarks on what cannot be kept


def plan_encoding(film: FilmFormat, suffix: str, codec: str | None = None, quality: float | None = None) -> Plan:
    """Plans how to store a film in a file with this suffix.

    Raises UserError for an unknown suffix or codec, for a codec that does not fit the container or is missing from
    this build of FFmpeg, and for a quality out of range.
    """
    if suffix not in CONTAINERS:
        raise UserError(f"got the film suffix {suffix!r}, expected one of {', '.join(CONTAINERS)}")
    container = CONTAINERS[suffix]
    name = _usual(film, container) if codec is None else codec
    chosen = _checked(name, suffix, quality)
    layouts = chosen.fitting(container)
    layout = min(layouts, key=lambda each: each.distance(Layout(film.deep, film.alpha, film.subsampling)))
    if layout.alpha and chosen.transparent_segment:
        chosen = dataclasses.replace(chosen, segment=chosen.transparent_segment)
    lost = []
    if film.alpha and not layout.alpha:
        lost.append(f"transparency is composited onto white, {name} cannot store it here{_keeping('alpha', suffix)}")
    if film.deep and not layout.deep:
        lost.append(f"it becomes 8 bits, {name} cannot store more here{_keeping('deep', suffix)}")
    if film.mastering is not None and chosen.mastering is None:
        lost.append(f"its HDR mastering metadata is left out: {name} cannot store it (--codec=hevc or av1 does)")
    if film.sample_aspect != 1 and not chosen.aspect and container not in ("mp4", "mov"):
        lost.append(
            f"its pixels become square instead of {film.sample_aspect}: {name} in {suffix} cannot store their shape"
        )
    width, height = film.width, film.height
    if chosen.even:
        width += width % 2 if layout.subsampling < 444 else 0
        height += height % 2 if layout.subsampling == 420 else 0
    if (width, height) != (film.width, film.height):
        lost.append(f"it becomes {width} x {height} by repeating the edge: {name} needs even sides")
    colours = film.colours.settled(film.height)
    if chosen.limited:
        colours = colours._replace(range=LIMITED)
    film = dataclasses.replace(film, width=width, height=height, colours=colours)
    return Plan(chosen, layout, layouts[layout], chosen.quality if quality is None else quality, film, tuple(lost))


def check_size(plan: Plan) -> None:
    """Opens the encoder to check the frame size. Raises PictureError, or OSError, if it does not take that size."""
    film, codec = plan.film, plan.codec
    size = f"{film.width} x {film.height}"
    if max(film.width, film.height) > LARGEST_SIDE:
        raise PictureError(f"it would have {size} pixels, expected at most {LARGEST_SIDE:,} along a side of a film")
    _quieten_svt(codec)
    with ffmpeg_errors(f"{codec.encoder} cannot encode frames of {size} pixels ({plan.pixel_format})"):
        context: av.VideoCodecContext = av.CodecContext.create(codec.encoder, "w")
        context.width, context.height, context.pix_fmt = film.width, film.height, plan.pixel_format
        context.time_base = 1 / (film.rate or USUAL_RATE)
        context.options = {name: text for name, text in codec.options.items() if name.endswith("params")}
        context.open()


def _quieten_svt(codec: Codec) -> None:
    if codec.encoder == "libsvtav1":  # else it prints to the terminal
        os.environ.setdefault("SVT_LOG", "0")


def _checked(name: str, suffix: str, quality: float | None) -> Codec:
    if name not in CODECS:
        raise UserError(f"--codec: got {name!r}, expected one of {', '.join(CODECS)}")
    codec = CODECS[name]
    if CONTAINERS[suffix] not in codec.containers:
        fitting = [each for each in CODECS if CONTAINERS[suffix] in CODECS[each].containers]
        raise UserError(f"--codec: got {name!r}, expected one of {', '.join(fitting)} for {suffix}")
    if quality is not None and codec.quality is None:
        raise UserError(f"--quality: got {quality:g}, expected no value, because {name} has only one quality")
    if quality is not None and not 0 <= quality <= codec.worst:
        raise UserError(f"--quality: got {quality:g}, expected 0 (best) to {codec.worst} for {name}")
    try:
        av.Codec(codec.encoder, "w")
    except ValueError:
        raise UserError(f"--codec: {name} needs {codec.encoder}, which the installed av was built without") from None
    return codec


def _usual(film: FilmFormat, container: str) -> str:
    """The default codec: the one most players read among those that lose least."""
    if container == "webm":
        return "av1" if film.deep and not film.alpha else "vp9"
    if film.alpha and container != "mp4":
        return "vp9" if container == "matroska" and not film.deep else "ffv1" if container == "matroska" else "prores"
    return "hevc" if film.deep else "h264"


def _keeping(field: str, suffix: str) -> str:
    """A hint at a codec that keeps a property (`alpha` or `deep`)."""
    for other in (suffix, ".mkv", ".mov"):
        for name, codec in CODECS.items():
            container = CONTAINERS[other]
            if container in codec.containers and any(getattr(each, field) for each in codec.fitting(container)):
                return f" (--codec={name}{'' if other == suffix else f' in {other}'} does)"
    return ""


class DecodingTimes:
    """Decoding times of packets: the sorted display times, delayed by the number of frames that a codec reorders.

    These times rise, and none is later than the display time of the packet's frame, however long frames last.
    """

    def __init__(self, reordered: int, step: int):
        """`step`: ticks between the decoding times before the first frame."""
        self._reordered, self._step = reordered, step
        self._due: deque[int] | None = None

    def show(self, pts: int) -> None:
        """Adds the next frame in display order."""
        if self._due is None:
            self._due = deque(pts - self._step * early for early in range(self._reordered, 0, -1))
        self._due.append(pts)

    def next(self) -> int:
        """The decoding time of the next packet in storage order."""
        assert self._due, "a packet came before its frame"
        return self._due.popleft()


class SegmentWriter:
    """Encodes frames one by one into a segment.

    Its methods raise OSError if the file cannot be written and PictureError if the frames cannot be encoded.
    """

    def __init__(self, path: Path, plan: Plan):
        self._path, self._plan = path, plan
        self._first: int | None = None
        self._last, self._duration = 0, 0  # pts and duration of the last frame
        usual = 1 / ((plan.film.rate or USUAL_RATE) * plan.film.time_base)
        self._siting = TOP_LEFT if plan.film.top_left and plan.codec.siting else LEFT
        subsampled = plan.pixel_format.startswith("yuv") and plan.layout.subsampling < 444
        self._sited = Sited(self._siting) if subsampled else None
        self._times = DecodingTimes(plan.codec.reordered, max(1, round(usual)))  # x265's own are wrong in short films
        options = {"fflags": "+bitexact"}  # else Matroska gets a random identifier
        if path.suffix not in MATROSKA:
            options["movie_timescale"] = str(plan.film.time_base.denominator)  # of the total duration
        with self._errors():
            self._container = av.open(address(path), "w", format=CONTAINERS[path.suffix], container_options=options)
            self._stream = self._add_stream()

    def add(self, picture: Picture, pts: int, duration: int) -> None:
        """Encodes the next frame; time and duration (0: not known) are in the film's time base."""
        if self._first is None:
            self._first, self._last = pts, pts - 1
        self._last, self._duration = max(pts, self._last + 1), duration
        with self._errors():
            frame = self._frame(picture)
            frame.pts, frame.time_base = self._last - self._first, self._plan.film.time_base
            self._times.show(frame.pts)
            self._mux(self._stream.encode(frame))

    def close(self) -> None:
        """Writes the frames that the encoder still holds, and closes the file."""
        with self._errors():
            self._mux(self._stream.encode())
            self._container.close()

    def abandon(self) -> None:
        """Closes and deletes the unfinished file."""
        with contextlib.suppress(av.error.FFmpegError):
            self._container.close()
        self._path.unlink(missing_ok=True)

    def _errors(self) -> contextlib.AbstractContextManager[None]:
        plan, film = self._plan, self._plan.film
        kind = f"frames of {film.width} x {film.height} pixels ({plan.pixel_format})"
        return ffmpeg_errors(f"{plan.codec.encoder} cannot encode {kind}")

    def _add_stream(self) -> av.VideoStream:
        plan, film = self._plan, self._plan.film
        options = dict(plan.codec.options)
        if plan.codec.siting and plan.layout.subsampling == 420:
            options["chroma_sample_location"] = self._siting
        if plan.quality is not None:
            options["crf"] = f"{plan.quality:g}"
        if film.mastering is not None and (option := plan.codec.mastering):
            values = film.mastering.for_x265() if option == "x265-params" else film.mastering.for_svt()
            options[option] = ":".join(filter(None, (options.get(option), values)))
        _quieten_svt(plan.codec)
        stream: av.VideoStream = self._container.add_stream(
            plan.codec.encoder, rate=film.rate or USUAL_RATE, options=options
        )
        stream.width, stream.height, stream.pix_fmt = film.width, film.height, plan.pixel_format
        stream.time_base = stream.codec_context.time_base = film.time_base
        stream.sample_aspect_ratio = film.sample_aspect
        stream.thread_type = "AUTO"  # PyAV's default, slices, makes H.264 files larger
        stream.colorspace, stream.color_range = self._colours.matrix, self._colours.range
        stream.color_primaries, stream.color_trc = self._colours.primaries, self._colours.transfer
        if plan.codec.tag:
            stream.codec_tag = plan.codec.tag
        return stream

    @property
    def _colours(self) -> Colours:
        """The colour space of the file."""
        colours = self._plan.film.colours
        return colours if self._plan.pixel_format.startswith("yuv") else colours._replace(matrix=RGB, range=FULL)

    def _frame(self, picture: Picture) -> av.VideoFrame:
        """A picture as a frame in the pixel format and colour space of the file."""
        samples = self._samples(picture)
        layout = LAYOUTS[samples.dtype == np.uint16, samples.shape[2] == 4]
        frame = av.VideoFrame.from_ndarray(samples, format=layout)
        if self._sited is not None:
            frame = self._sited(frame)
        colours, conversion = self._colours, {}
        if colours.matrix != RGB:
            conversion = {"dst_colorspace": colours.conversion, "dst_color_range": colours.range}
        frame = frame.reformat(format=self._plan.pixel_format, interpolation=SWSCALE_FLAGS, **conversion)
        frame.colorspace, frame.color_range = colours.matrix, colours.range  # ProRes takes its tags from the frame
        frame.color_primaries, frame.color_trc = colours.primaries, colours.transfer
        return frame

    def _samples(self, picture: Picture) -> np.ndarray:
        """The samples, uint8 or uint16 `[H,W,3 or 4]`, in the size of the plan."""
        pixels, film = _integers(picture), self._plan.film
        if pixels.shape[2] == 1:
            pixels = pixels.repeat(3, axis=2)
        if picture.alpha is not None:
            pixels = np.concatenate([pixels, picture.alpha], axis=2)
            if not self._plan.layout.alpha:
                pixels = opaque(pixels)
        missing = (film.height - pixels.shape[0], film.width - pixels.shape[1])
        if not all(0 <= each <= 1 for each in missing):
            sizes = f"{pixels.shape[1]} x {pixels.shape[0]} pixels, expected {film.width} x {film.height}"
            raise PictureError(f"one of its frames has {sizes}")
        if any(missing):
            pixels = np.pad(pixels, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
        return np.ascontiguousarray(pixels)

    def _mux(self, packets: list[av.Packet]) -> None:
        for packet in packets:
            packet.dts = self._times.next()
            packet.duration = self._duration  # joining.py reads the last frame's duration from the last packet
            if self._path.suffix in MATROSKA:  # store a tick as a millisecond, or times would be rounded
                packet.time_base = Fraction(1, 1000)
            self._container.mux(packet)


def _integers(picture: Picture) -> np.ndarray:
    if picture.pixels.dtype != np.float32:
        return picture.pixels
    black, white = picture.span
    top = 65535 if picture.alpha is None or picture.alpha.dtype == np.uint16 else 255
    levels = np.rint(np.clip((picture.pixels - black) / (white - black), 0.0, 1.0) * np.float32(top))
    return levels.astype(np.uint16 if top == 65535 else np.uint8)


@contextlib.contextmanager
def ffmpeg_errors(task: str) -> Iterator[None]:
    """Turns FFmpeg's errors into OSError (the file) or PictureError (its content), with messages of one line.

    `task`: what failed, such as "FFmpeg cannot write it".
    """
    try:
        yield
    except (av.error.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        if isinstance(error, OSError):
            raise OSError(error.errno, reason) from error
        raise PictureError(f"{task}: {reason}") from error
