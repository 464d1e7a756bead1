"""What a film has beside its pictures, packet by packet: sound, subtitles, chapters, covers, fonts, metadata."""

from __future__ import annotations

import contextlib
import io
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av

from jaxgan.media.films.decoding import JUMP
from jaxgan.media.films.film import open_container, pictures, restarts
from jaxgan.media.films.frames import reading
from jaxgan.media.kinds import SUFFIX_OF
from jaxgan.media.reading import PictureError

ADVISED = {each: SUFFIX_OF[each] for each in ("matroska", "mp4", "mov", "webm")}  # in this order
ISO = ("mp4", "mov")
ATTACHED_PICTURE = 0x400  # of a stream's disposition
DISCARD_ALL = 48  # of a stream that FFmpeg reads for the container's sake, such as that of MP4's chapters
LACKING = 1.0  # seconds of sound that may be less than is told
SEAM = 0.001  # seconds that packets of sound are apart where two parts of a film overlap
LATE = 10.0  # seconds that something may come after the end that is told
UNREADABLE = 100  # errors one after another that end the reading of a source
OUTDATED = re.compile(  # metadata that tell of the source's file
    r"major_brand|minor_version|compatible_brands|encoder|encoded_by|vendor_id|rotate|alpha_mode|name"
    r"|duration.*|bps.*|number_of_.*|_statistics_.*|source_id.*|xmp",
    re.IGNORECASE,
)
COVERS = {"png": "image/png", "mjpeg": "image/jpeg", "bmp": "image/bmp", "gif": "image/gif", "webp": "image/webp"}
NEVER = ("1904-01-01T00:00:00", "1970-01-01T00:00:00")  # clocks that nobody set
NO_TEXT = b"\0\0"  # the packets between MP4's subtitles, which are made anew
WORDS = {"audio": "sound", "video": "more pictures", "subtitle": "subtitles"}


class TimedPacket(NamedTuple):
    """A packet with the times of the target."""

    time: Fraction  # when it is decoded, in seconds
    packet: Any  # av.Packet


class Span(NamedTuple):
    """The part of a film that is kept."""

    zero: Fraction  # the time in the source that is 0 in the target, in seconds
    length: Fraction | None = None  # in seconds; None: to the end
    cut: bool = False  # something of the source lies before it


class Source:
    """The file that a film is from. `lost` grows: what of it the target does not hold, in words."""

    def __init__(self, container: Any, path: Path, kind: str):
        """`kind`: the target's, by FFmpeg's name."""
        self.lost: list[str] = []
        self._container, self._path, self._kind = container, path, kind
        self._pictures = pictures(container)
        self._metadata = _lasting(container.metadata)
        if any(key.lower() == "xmp" for each in (container, *container.streams) for key in each.metadata):
            self.lost.append("its XMP is not kept")  # it tells of the source's edits, and of what made the source
        self._shifts: list[Fraction] | None = None
        self._refused = Counter[int]()  # packets that the target did not take, by its stream

    @classmethod
    @contextlib.contextmanager
    def opened(cls, path: Path, kind: str) -> Iterator[Source | None]:
        """The source, which is closed at the end; None: FFmpeg does not know such files, as animated WebP.

        Raises PictureError for one that cannot be read.
        """
        try:
            container = open_container(path)
        except av.error.FFmpegError as error:
            if isinstance(error, OSError):
                raise PictureError(f"{path} cannot be read: {error.strerror}") from error
            yield None
            return
        with container:
            if pictures(container) is None:  # it was a film when its frames were read
                raise PictureError(f"{path} cannot be read: there are no pictures in it any more")
            yield cls(container, path, kind)

    @property
    def clocks(self) -> set[int]:
        """Ticks a second of its sound."""
        return {stream.rate for stream in self._container.streams.audio if stream.codec_context and stream.rate}

    def span(self, first: Fraction, start: float, end: float | None) -> Span:
        """The part from `start` to `end`, in seconds after its beginning; its first frame is shown at `first`."""
        origin, shown = self._origin(), _start_of(self._pictures)
        zero = origin + _exact(start)
        if start > 0 and (shown is None or first > shown):
            zero = first
        return Span(zero, None if end is None else origin + _exact(end) - zero, start > 0)

    def carry(self, out: Any, film: Any, span: Span) -> list[Iterator[TimedPacket]]:
        """Adds to the target what it holds of this; the packets of it. `film`: the target's stream of pictures."""
        out.metadata.update(self._metadata)
        out.set_chapters(list(self._chapters(span)))
        self._describe(film, self._pictures)
        copies, feeds = {}, list[Iterator[TimedPacket]]()
        for stream in self._container.streams:
            if stream is self._pictures or _belongs_to_others(stream, self._kind):
                continue
            if stream.type == "attachment" and self._kind == "matroska":
                out.add_attachment(stream.name or "attachment", stream.mimetype or "", stream.data)
            elif _is_cover(stream) and _keeps_cover(self._kind, stream):
                feeds += self._cover(out, stream)
            elif stream.type in ("audio", "subtitle") and _holds(self._kind, stream):
                copies[stream.index] = out.add_stream_from_template(stream, opaque=True)
                self._describe(copies[stream.index], stream)
            else:
                self.lost.append(_left_out(stream, self._kind))
        return [*feeds, self._packets(copies, span)] if copies else feeds

    def refused(self, packet: Any) -> None:
        """The target could not take a packet."""
        self._refused[packet.stream.index] += 1

    def untold(self, target: Path) -> tuple[str, ...]:
        """Metadata that are not found in the target."""
        with open_container(target) as container:
            told = {key.lower() for key in container.metadata}
        missing = sorted(key for key in self._metadata if key.lower() not in told)
        return (f"metadata left out: {', '.join(missing)} (.mkv keeps them)",) if missing else ()

    def _origin(self) -> Fraction:
        """When it begins, by its own clock."""
        told = Fraction(self._container.start_time or 0, av.time_base)  # rounded; one of the streams knows it exactly
        starts = [start for stream in self._container.streams if (start := _start_of(stream)) is not None]
        return min(starts, key=lambda start: abs(start - told), default=told)

    def _chapters(self, span: Span) -> Iterator[dict[str, Any]]:
        for chapter in self._container.chapters():
            tick = chapter["time_base"]
            start, end = (max(0, round(chapter[side] - span.zero / tick)) for side in ("start", "end"))
            end = end if span.length is None else min(end, round(span.length / tick))
            if start < end:
                yield {**chapter, "start": start, "end": end}

    def _describe(self, copy: Any, stream: Any) -> None:
        """Tells language, title and role of a stream."""
        unwanted = ("creation_time",) if self._kind in ISO else ("creation_time", "handler_name")
        metadata = {key: value for key, value in _lasting(stream.metadata).items() if key.lower() not in unwanted}
        if title := _title(stream):
            metadata["title"] = title
        copy.metadata.update(metadata)
        copy.disposition = int(stream.disposition)

    def _cover(self, out: Any, stream: Any) -> list[Iterator[TimedPacket]]:
        with reading(str(self._path), av.error.FFmpegError), open_container(self._path) as container:
            data = next((bytes(each) for each in container.demux(container.streams[stream.index]) if each.size), b"")
        if self._kind == "matroska":
            mime = COVERS[stream.codec_context.name]
            name = stream.metadata.get("filename") or f"cover.{'jpg' if mime == 'image/jpeg' else mime[6:]}"
            out.add_attachment(name, mime, data)
            return []
        copy = out.add_stream_from_template(stream, opaque=True)
        self._describe(copy, stream)
        packet = av.Packet(data)
        packet.stream, packet.time_base, packet.pts, packet.dts = copy, Fraction(1, 1000), 0, 0
        return [iter([TimedPacket(Fraction(0), packet)])]

    def _packets(self, copies: Mapping[int, Any], span: Span) -> Iterator[TimedPacket]:
        """The packets of the streams that are copied, as far as they can be read, in the target's time."""
        latest = self._latest()
        clocks = {index: _Clock(self._container.streams[index], span, latest, self._restarts) for index in copies}
        for packet in self._readable([self._container.streams[index] for index in copies]):
            index = packet.stream.index
            if clocks[index].set(packet):
                packet.stream = copies[index]
                yield TimedPacket(packet.dts * packet.time_base, packet)
        for index, clock in clocks.items():
            clock.impossible += self._refused[copies[index].index]
            if remark := clock.remark:
                self.lost.append(f"{_named(self._container.streams[index])} is damaged: {remark}")

    def _restarts(self) -> list[Fraction]:
        """By how many seconds the pictures of its parts are moved, see `jaxgan.media.films.decoding.Packets`."""
        if self._shifts is None:
            with reading(str(self._path), av.error.FFmpegError):
                self._shifts = restarts(self._path)
        return self._shifts

    def _latest(self) -> float:
        """The time, in seconds of its own clock, after which nothing can be right."""
        duration = self._container.duration
        start = self._container.start_time or 0
        return math.inf if not duration else (start + duration) / av.time_base + LATE

    def _readable(self, streams: list[Any]) -> Iterator[Any]:
        errors = Counter[str]()
        in_a_row = 0
        while True:
            try:
                for packet in self._container.demux(streams):
                    in_a_row = 0
                    yield packet
                break
            except av.error.FFmpegError as error:
                errors[error.strerror] += 1
                in_a_row += 1
                if isinstance(error, OSError) or in_a_row > UNREADABLE:
                    break
        if errors:
            self.lost.append(f"its sound and subtitles are damaged and copied as far as readable: {', '.join(errors)}")


class _Clock:
    """Moves the packets of one stream to the target's time, in each part of the film with its pictures."""

    def __init__(self, stream: Any, span: Span, latest: float, restarts: Callable[[], list[Fraction]]):
        """`latest`: seconds; `restarts`: by how many the parts of the film are moved."""
        tick = stream.time_base
        self.impossible = 0  # packets whose times are, or whose content
        self._text, self._cut = stream.type == "subtitle", span.cut
        self._read, self._seconds = 0.0, 0.0  # how much there was, and should be
        if stream.type == "audio" and stream.duration and span.length is None:
            self._seconds = float(stream.duration * tick)
        self._tick, self._start, self._latest = tick, stream.start_time or 0, latest
        self._zero = round(span.zero / tick)
        self._end = None if span.length is None else span.length / tick
        self._last: int | None = None
        self._restarts, self._part, self._shift = restarts, 0, 0
        self._before: int | None = None  # the time of the packet before, in the source

    @property
    def remark(self) -> str:
        """What was wrong with it."""
        if self.impossible:
            return f"{self.impossible} of its packets {'is' if self.impossible == 1 else 'are'} left out"
        if self._seconds - self._read > LACKING:
            return f"{self._read:.1f} of its {self._seconds:.1f} seconds are there"
        return ""

    def set(self, packet: Any) -> bool:
        """Gives a packet its new times; whether it is kept."""
        times = [time for time in (packet.pts, packet.dts) if time is not None]
        if not packet.size or not times or (self._text and bytes(packet) == NO_TEXT):
            return False
        shift = self._moved(times[-1]) - self._zero
        pts, dts = times[0] + shift, times[-1] + shift
        length = packet.duration or 0
        self._read = max(self._read, float((times[0] + length - self._start) * self._tick))
        if self._text and self._cut and pts < 0 < pts + length:  # what is still read
            pts, dts, length = 0, 0, pts + length
        if (self._cut and pts < 0) or (self._end is not None and pts >= self._end):
            return False
        if self._text:
            length = length if self._end is None else min(length, int(self._end - pts))
            dts = dts if self._last is None else max(dts, self._last + 1)  # two may come at once
            pts = max(pts, dts)
        if times[0] * self._tick > self._latest:  # those that go back are refused by the container itself
            self.impossible += 1
            return False
        if self._part and self._last is not None and not self._text:  # the sound of the part before may be longer
            dts = max(dts, self._last + math.ceil(SEAM / self._tick))
            pts = max(pts, dts)
        self._last = dts
        packet.pts, packet.dts, packet.duration = pts, dts, length
        return True

    def _moved(self, time: int) -> int:
        """Ticks by which a packet is moved that comes at a time of the source."""
        if self._before is not None and time < self._before - JUMP / self._tick and (shifts := self._restarts()):
            self._part = min(self._part + 1, len(shifts))
            self._shift = round(shifts[self._part - 1] / self._tick)
        self._before = time
        return self._shift


def _exact(seconds: float) -> Fraction:
    return Fraction(seconds).limit_denominator(av.time_base)


def _start_of(stream: Any) -> Fraction | None:
    return None if stream.start_time is None or not stream.time_base else stream.start_time * stream.time_base


def _lasting(metadata: Mapping[str, str]) -> dict[str, str]:
    """Metadata that are as true of another file; without those that only repeat one for a language."""
    return {
        key: value
        for key, value in metadata.items()
        if not OUTDATED.fullmatch(key)
        and not (key[-4:-3] == "-" and key[:-4] in metadata)
        and not (key == "creation_time" and value.startswith(NEVER))
    }


def _belongs_to_others(stream: Any, kind: str) -> bool:
    """Whether a stream only stores what is told elsewhere: MP4's chapters, and a time code where one can be told."""
    return stream.type == "data" and (
        int(stream.discard) == DISCARD_ALL or ("timecode" in stream.metadata and kind in (*ISO, "matroska"))
    )


def _is_cover(stream: Any) -> bool:
    return stream.type == "video" and bool(int(stream.disposition) & ATTACHED_PICTURE)


def _keeps_cover(kind: str, stream: Any) -> bool:
    return _name(stream) in COVERS if kind == "matroska" else kind == "mp4" and _holds(kind, stream)


def _name(stream: Any) -> str | None:
    """The codec's name, not that of what decodes it here."""
    return None if stream.codec_context is None else stream.codec_context.codec.canonical_name


def _holds(kind: str, stream: Any) -> bool:
    """Whether a container holds a stream. FFmpeg knows it for certain only when it writes the head of the file."""
    if stream.codec_context is None:
        return False
    probe = av.open(io.BytesIO(), "w", format=kind)
    try:
        probe.add_stream_from_template(stream, opaque=True)
        probe.start_encoding()
    except (av.error.FFmpegError, ValueError):
        return False
    finally:
        with contextlib.suppress(av.error.FFmpegError, ValueError):
            probe.close()
    return True


def _title(stream: Any) -> str | None:
    return stream.metadata.get("title") or stream.metadata.get("name")  # MP4 has the latter


def _named(stream: Any) -> str:
    told = (_name(stream), stream.metadata.get("language"), _title(stream))
    details = ", ".join(each for each in told if each and each != "und")
    what = "a cover" if _is_cover(stream) else WORDS.get(stream.type, stream.type)
    return f"stream {stream.index} ({what}{f': {details}' if details else ''})"


def _left_out(stream: Any, kind: str) -> str:
    """What is told of a stream that the target does not hold, and who would."""
    if _is_cover(stream):
        keepers = [each for each in ADVISED if _keeps_cover(each, stream)]
    elif stream.type in ("audio", "subtitle"):
        keepers = [each for each in ADVISED if _holds(each, stream)]
    else:
        keepers = ["matroska"] if stream.type == "attachment" else []
    advice = f" ({ADVISED[keepers[0]]} keeps it)" if keepers and kind not in keepers else ""
    return f"{_named(stream)} is left out{advice}"
