"""Reads film files with FFmpeg's libraries, frame by frame."""

from __future__ import annotations

import collections
import functools
import os
from collections.abc import Container, Iterator
from fractions import Fraction
from pathlib import Path
from typing import SupportsInt

import av
import numpy as np

from jaxgan.media.films.colours import LIMITED, PQ, Colours
from jaxgan.media.films.decoding import Decoding, Packets, Shown, cut_off
from jaxgan.media.films.deinterlacing import deinterlaced
from jaxgan.media.films.frames import USUAL_RATE, FilmFormat, Frame, Remarks, Unfit, check_span, reading
from jaxgan.media.films.mastering import mastering_of
from jaxgan.media.films.siting import LEFT, SWSCALE_FLAGS, TOP_LEFT, UNTOLD, Sited, siting_of
from jaxgan.media.films.upright import Turn, turn_of
from jaxgan.media.reading import Picture, PictureError

NO_FILM = 0x400 | 0x800  # dispositions of streams that are not films: an attached picture, thumbnails
LAYOUTS = {(False, False): "rgb24", (False, True): "rgba", (True, False): "rgb48le", (True, True): "rgba64le"}
PLANES = {(False, False): "gbrp", (False, True): "gbrap", (True, False): "gbrp16le", (True, True): "gbrap16le"}
ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # FFmpeg's own decoders ignore the alpha
WITHOUT_HIDDEN = ("h264", "hevc", "libdav1d", "av1")  # codecs in which each packet is shown
LONG_TOLD = ("matroska", "flv", "asf")  # containers that state their length once they are complete
LENGTH_GUESSED = ("mpeg", "avi")  # containers that state no length, or a wrong one
PUT_TOGETHER = ("mpeg",)  # containers whose files may be concatenated
SHORTEST_LOSS = 0.5  # seconds that a film may be shorter than it states
MARGIN = 3  # frames decoded before the start, for filters that look back
FURTHER = 8  # factor by which the next seek goes back further if one did not find the place


class Film:
    """An open film file, see `jaxgan.media.films.frames.Frames`."""

    still = False

    def __init__(self, path: str | os.PathLike[str], *, start: float = 0.0, end: float | None = None):
        """`start`, `end`: in seconds from the beginning of the film.

        Raises PictureError for a file that cannot be read, and Unfit for a start that is not before the end.
        """
        self.path, self.damaged = Path(path), False
        self._notes = Remarks()
        self.remarks = self._notes.lines
        self._start, self._end = start, end
        self._alpha_decoder: str | None = None
        self._sited: Sited | None = None  # for frames without a chroma location
        self._open()
        try:
            with reading("it", av.error.FFmpegError):
                self._examine()
        except BaseException:
            self.close()
            raise

    @property
    def origin(self) -> float:
        """The start time of the film, in seconds of its own clock."""
        return self._origin

    def close(self) -> None:
        """Closes the file."""
        self._container.close()

    def count(self) -> int | None:
        """The number of packets between start and end. It includes hidden frames of VP8 and VP9."""
        with reading("it", av.error.FFmpegError):
            return self._counted()

    def _counted(self) -> int | None:
        begin = self._origin + self._start - float(self._time_base) / 2
        until = None if self._end is None else self._origin + self._end - float(self._time_base) / 2
        count = 0
        with open_container(self.path) as container:
            stream = pictures(container)
            assert stream is not None  # as when it was opened
            for packet in Packets(container, stream, False, self._step):
                if packet.is_discard:
                    continue
                if packet.pts is None:
                    if self._start or self._end is not None:
                        return None
                    count += 1
                    continue
                time = float(packet.pts * self._time_base)
                count += begin <= time and (until is None or time < until)
        return count or int(self._start > 0)  # the frame that is still shown

    @property
    def turned(self) -> bool:
        """Whether its frames are stored rotated or mirrored."""
        return self._turn != Turn()

    @functools.cached_property
    def seeks(self) -> bool:
        """Whether a frame can be found by its time; else everything before it has to be read, too."""
        if not self._timed or "avi" in self._kind:  # frames without times can only be counted from the beginning
            return False
        return not any(kind in self._kind for kind in PUT_TOGETHER) or not restarts(self.path)

    def frames(self, skip: int = 0, chosen: Container[int] | None = None) -> Iterator[Frame]:
        """Yields the frames in display order; the first `skip` are decoded but not yielded.

        With `chosen`, only frames of these numbers are yielded, counted from 0. Each call reads the film again, and
        invalidates the iterator of the previous call.
        """
        with reading("it", av.error.FFmpegError):
            for number, shown in enumerate(self._selected()):
                if number >= skip and (chosen is None or number in chosen):
                    yield Frame(self._picture(shown.frame), shown.pts, shown.duration, _is_key(shown))

    def _open(self) -> None:
        try:
            self._container = open_container(self.path)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise PictureError(_reason(error)) from error
        stream = pictures(self._container)
        if stream is None:
            self._container.close()
            raise PictureError("it has no video stream")
        self._stream = stream
        self._stream.thread_type = "AUTO"
        self._decoder = self._stream.codec_context
        if self._alpha_decoder is not None:
            self._decoder = av.CodecContext.create(self._alpha_decoder, "r")
            self._decoder.extradata = self._stream.codec_context.extradata or None

    def _examine(self) -> None:
        """Finds everything that is known before the frames are read."""
        stream = self._stream
        self._kind = str(self._container.format.name)
        self._time_base = Fraction(stream.time_base)
        self._rate = _rate(stream)
        self._origin = (self._container.start_time or 0) / av.time_base
        self._step = _step(stream)
        tags = {key.lower(): value for key, value in stream.metadata.items()}
        self._timed = True
        first = self._first()
        self._turn, exact = turn_of(first)
        if tags.get("alpha_mode") == "1" and stream.codec_context.name in ALPHA_DECODERS:
            self._alpha_decoder = ALPHA_DECODERS[stream.codec_context.name]
            self._reopen()
            first = self._first()
        if not exact:
            self._notes.report("turn", "its rotation is not a multiple of 90 degrees and is ignored")
        self.format = self._describe(first)
        others = [each for each in self._container.streams.video if _film(each)][1:]
        if others:
            self._notes.report("others", f"the first of its {1 + len(others)} video streams")
        guessed = any(kind in self._kind for kind in LENGTH_GUESSED)
        self.seconds = check_span(self._length(), self._start, self._end, exact=not guessed)
        if cut_off(self.path):
            self._cut("it is cut off: the file is shorter than its header states")

    def _first(self) -> av.VideoFrame:
        packets = Packets(self._container, self._stream, False, self._step)
        for number, packet in enumerate(packets):
            if number == 0:
                self._timed = packet.pts is not None or packet.dts is not None
            try:
                if found := self._decoder.decode(packet):
                    return found[0]
            except av.error.FFmpegError:
                continue
        for _ in range(2):
            try:
                if found := self._decoder.decode(None):
                    return found[0]
            except av.error.FFmpegError:
                continue
        raise PictureError("not one of its frames can be decoded")

    def _describe(self, frame: av.VideoFrame) -> FilmFormat:
        stream, layout = self._stream, frame.format
        context, name = stream.codec_context, frame.format.name
        tagged = Colours(
            matrix=_first_tagged(frame.colorspace, context.colorspace, untagged=2),
            range=_first_tagged(frame.color_range, context.color_range, untagged=0),
            primaries=_first_tagged(frame.color_primaries, context.color_primaries, untagged=2),
            transfer=_first_tagged(frame.color_trc, context.color_trc, untagged=2),
        )
        self._expand = name.startswith(("gray", "ya")) and tagged.range == LIMITED
        colours = tagged.settled(frame.height, rgb=layout.is_rgb or "pal" in name)
        if colours.high_dynamic_range:
            which = "PQ" if tagged.transfer == PQ else "HLG"
            self._notes.report("hdr", f"it is HDR ({which}), on which networks for ordinary films were not trained")
        if tagged.foreign:
            self._notes.report("matrix", f"its colour matrix {tagged.matrix} is read as matrix {colours.matrix}")
        aspect = _fraction(stream.sample_aspect_ratio) or Fraction(1)
        width, height = frame.width, frame.height
        self._stored = (width, height)
        if self._turn.transposed:
            width, height, aspect = height, width, 1 / aspect
        wide, high = layout.chroma_width(64), layout.chroma_height(64)
        coloured = not layout.is_rgb and len(layout.components) >= 3
        subsampling = 420 if not coloured else 444 if wide == 64 else 422 if (wide, high) == (32, 64) else 420
        siting = siting_of(frame) if coloured and subsampling < 444 else LEFT
        if siting is None and context.codec.canonical_name in UNTOLD:
            self._sited = Sited(LEFT)
        return FilmFormat(
            width=width,
            height=height,
            rate=self._rate,
            time_base=self._time_base,
            deep=any(part.bits > 8 for part in layout.components),
            alpha=any(part.is_alpha for part in layout.components),
            subsampling=subsampling,
            top_left=siting == TOP_LEFT and subsampling == 420,
            colours=colours,
            sample_aspect=aspect,
            mastering=mastering_of(frame),
        )

    def _length(self) -> float | None:
        """The stated duration in seconds, from the film's beginning to the end of its pictures."""
        stream, container = self._stream, self._container
        if stream.duration:
            begin = stream.start_time if stream.start_time is not None else round(self._origin / self._time_base)
            return float((begin + stream.duration) * self._time_base) - self._origin
        return container.duration / av.time_base if container.duration else None

    def _reopen(self) -> None:
        self._container.close()
        self._open()

    def _selected(self) -> Iterator[Shown]:
        """The frames between start and end, at least the one that is shown at the start."""
        tick = float(self._time_base)
        begin, until = self._origin + self._start, None if self._end is None else self._origin + self._end
        losses, before = _Losses(), None
        decoding, decoded = self._decoded(begin, until)
        try:
            for shown in deinterlaced(decoded, self._time_base, self._deinterlaced):
                time = shown.pts * tick
                if time < begin - tick / 2:
                    decoding.errors, before = 0, shown
                    continue
                if until is not None and time >= until - tick / 2:
                    break
                self._check_size(shown, time)
                losses.count(shown)
                yield shown
            if not losses.frames and before is not None and self._still_shown(before, begin):
                losses.count(before)
                yield before
        except av.error.FFmpegError as error:
            raise PictureError(_reason(error)) from error
        finally:
            self._conclude(losses, decoding)
        if not losses.frames:
            raise Unfit(f"it has no frame at {self._start:g} seconds or later")

    def _still_shown(self, shown: Shown, begin: float) -> bool:
        return (shown.pts + max(shown.duration, float(self._step))) * float(self._time_base) > begin

    def _decoded(self, begin: float, until: float | None) -> tuple[Decoding, Iterator[Shown]]:
        """All frames from a position before `begin`, exactly as if everything had been decoded.

        A decoder that starts in the middle may drop frames, or conceal errors, until it has the frames that they refer
        to. So the first one must be intact and before `begin`; else decoding starts further back.
        """
        margin = MARGIN / float(self._rate or USUAL_RATE)
        while True:
            self._reopen()
            ordered = "avi" in self._kind
            sought = self._start > margin and self.seeks and self._seek(begin - margin)
            others = any(kind in self._kind for kind in LONG_TOLD)
            self._packets = Packets(self._container, self._stream, others, self._step)
            decoding = Decoding(
                self._packets,
                self._decoder,
                self._step,
                ordered=ordered,
                strict=self._stream.codec_context.name in WITHOUT_HIDDEN,
                tick=self._time_base,
            )
            if until is not None:
                decoding.counts_until = int(until / self._time_base)
            frames = iter(decoding)
            if not sought:
                return decoding, frames
            first = next(frames, None)
            if first is not None and not (first.corrupt or first.repeated) and first.pts * self._time_base < begin:
                return decoding, _after(first, frames)
            margin = max(1.0, margin * FURTHER)

    def _seek(self, seconds: float) -> bool:
        try:
            self._container.seek(int(seconds / self._time_base), stream=self._stream, backward=True)
        except (av.error.FFmpegError, OSError):
            self._reopen()
            return False
        return True

    def _check_size(self, shown: Shown, time: float) -> None:
        size = (shown.frame.width, shown.frame.height)
        if size != self._stored:
            before, after = (f"{width} x {height}" for width, height in (self._stored, size))
            raise PictureError(f"its size changes from {before} to {after} at {time - self._origin:.2f} seconds")

    def _conclude(self, losses: _Losses, decoding: Decoding) -> None:
        """Adds the remarks on what was found while reading."""
        if decoding.moved:
            had = "1 frame" if decoding.moved == 1 else f"{decoding.moved} frames"
            self._notes.report("moved", f"{had} had a time not after the previous one, and moved by a tick")
        if decoding.jumped or self._packets.shifts:
            self._notes.report("jumped", "its clock restarts, and the parts are read one after the other")
        if self._packets.ended:
            self._compare_length()
        lines = losses.lines()
        # if the file is cut off, an incomplete packet is expected
        errors = decoding.errors + (0 if self._notes.reported("cut") else self._packets.corrupt)
        if errors and not lines:
            lines = [f"{errors} error{'s' * (errors > 1)} while decoding, no frame is lost"]
        if lines:
            self.damaged = True
            self._notes.report("damage", f"damaged: {', '.join(lines)}")

    def _compare_length(self) -> None:
        """Checks that a file that was read to its end has everything that its header or index states."""
        last, entries = self._packets.last, self._stream.index_entries
        if "mov" in self._kind and last is not None:
            missing = 0
            for number in range(len(entries) - 1, -1, -1):
                if entries[number].timestamp <= last:
                    break
                missing += 1
            if missing:
                there = float(last * self._time_base) - self._origin
                more = "1 frame is" if missing == 1 else f"{missing} frames are"
                self._cut(f"it is cut off at {max(0.0, there):.2f} seconds, {more} missing")
        elif any(kind in self._kind for kind in LONG_TOLD) and self._container.duration:
            # some writers state how long the film is, others, such as FFmpeg, when it ends
            stated, reached = self._container.duration / av.time_base, self._packets.reached
            if stated - reached > SHORTEST_LOSS:
                there = max(0.0, reached - self._origin)
                self._cut(f"it is cut off at {there:.2f} of {max(there, stated - self._origin):.2f} seconds")

    def _cut(self, why: str) -> None:
        self.damaged = True
        self._notes.report("cut", why)

    def _deinterlaced(self) -> None:
        self._notes.report("interlaced", "it is interlaced, and was deinterlaced (bwdif)")

    def _picture(self, frame: av.VideoFrame) -> Picture:
        form = self.format
        layout, arguments = LAYOUTS[form.deep, form.alpha], {}
        if not frame.format.is_rgb:  # planes have the same values, and these flags are 2 to 3 times as fast with them
            layout, colours = PLANES[form.deep, form.alpha], form.colours
            arguments = {"src_colorspace": colours.conversion, "src_color_range": colours.range}
        if self._sited is not None:
            frame = self._sited(frame)
        samples = frame.reformat(format=layout, interpolation=SWSCALE_FLAGS, **arguments).to_ndarray()
        span = (0.0, 65535.0 if form.deep else 255.0)
        if self._expand:
            samples = _expanded(samples, form.alpha)
        if self._turn != Turn():
            samples = self._turn(samples)
        return Picture(samples[..., :3], samples[..., 3:] if form.alpha else None, span)


class _Losses:
    """Counts frames that are lost or damaged."""

    def __init__(self) -> None:
        self.frames = self.repeated = self.corrupt = 0

    def count(self, shown: Shown) -> None:
        self.frames += 1
        self.repeated += shown.repeated
        self.corrupt += shown.corrupt and not shown.repeated

    def lines(self) -> list[str]:
        lines = []
        if self.repeated:
            each = "" if self.repeated == 1 else " of each"
            lines.append(
                f"{self.repeated} of {self.frames} frames cannot be decoded, the previous one is shown instead{each}"
            )
        if self.corrupt:
            lines.append(f"{self.corrupt} of {self.frames} frames can only be decoded in part")
        return lines


def _expanded(samples: np.ndarray, alpha: bool) -> np.ndarray:
    """Expands grey of limited range to full range, since FFmpeg takes all grey as full range."""
    top = np.iinfo(samples.dtype).max
    shares = (np.arange(top + 1, dtype=np.float32) / ((top + 1) // 256) - 16) / (235 - 16)
    table = np.rint(np.clip(shares, 0, 1) * top).astype(samples.dtype)
    if alpha:
        return np.concatenate([table[samples[..., :3]], samples[..., 3:]], axis=2)
    return table[samples]


def open_container(path: str | os.PathLike[str]) -> av.container.InputContainer:
    """Opens a film with PyAV; metadata that is not UTF-8 is tolerated. Raises av.error.FFmpegError."""
    arguments = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}  # later the default
    return av.open(address(path), **arguments)


def address(path: str | os.PathLike[str]) -> str:
    """The absolute path: FFmpeg would read a relative one with a colon as a protocol."""
    return os.path.abspath(path)


def restarts(path: str | os.PathLike[str]) -> list[Fraction]:
    """The seconds by which each part of a film is moved that begins where the clock goes back, see `Packets`.

    Reads the whole file without decoding. Raises av.error.FFmpegError.
    """
    with open_container(path) as container:
        stream = pictures(container)
        assert stream is not None, "restarts are asked of films only"
        packets = Packets(container, stream, False, _step(stream))
        collections.deque(packets, maxlen=0)
        return [shift * Fraction(stream.time_base) for shift in packets.shifts]


def pictures(container: av.container.InputContainer) -> av.VideoStream | None:
    """The first video stream that is not a cover; None if there is none."""
    return next(filter(_film, container.streams.video), None)


def _film(stream: av.VideoStream) -> bool:
    return not int(stream.disposition) & NO_FILM and getattr(stream, "codec_context", None) is not None


def _rate(stream: av.VideoStream) -> Fraction | None:
    """The average number of frames per second, limited to the rate of which all times are multiples."""
    average, base = _fraction(stream.average_rate), _fraction(stream.base_rate)
    if average and base and average > base * Fraction(3, 2):
        return base
    return average or base or _fraction(stream.guessed_rate)


def _step(stream: av.VideoStream) -> Fraction:
    """The average number of ticks per frame."""
    return 1 / ((_rate(stream) or USUAL_RATE) * Fraction(stream.time_base))


def _fraction(value: Fraction | None) -> Fraction | None:
    """A ratio of FFmpeg as a Fraction; None if it is unknown, which is None or 0/1 depending on the release."""
    return Fraction(int(value.numerator), int(value.denominator)) if value and value.denominator else None


def _first_tagged(*values: SupportsInt, untagged: int) -> int:
    return next((int(value) for value in values if int(value) != untagged), untagged)


def _is_key(shown: Shown) -> bool:
    return bool(shown.frame.key_frame) and not shown.repeated


def _after(first: Shown, rest: Iterator[Shown]) -> Iterator[Shown]:
    yield first
    yield from rest


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return "it is not a film of a known format, or it is cut off" if "Invalid data" in text else text
