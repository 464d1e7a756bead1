"""Copies what a film has besides its pictures: sound, subtitles, chapters, covers, fonts, metadata."""

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
DISCARD_ALL = 48  # AVDISCARD_ALL, of a stream that FFmpeg reads for the container only, such as MP4's chapters
LACKING = 1.0  # seconds of sound that may be missing without a remark
SEAM = 0.001  # seconds between packets of sound where two parts of a film overlap
LATE = 10.0  # seconds after the stated end up to which a packet is accepted
UNREADABLE = 100  # consecutive errors after which the source is no longer read
OUTDATED = re.compile(  # metadata that describe the source's file
    r"major_brand|minor_version|compatible_brands|encoder|encoded_by|vendor_id|rotate|alpha_mode|name"
    r"|duration.*|bps.*|number_of_.*|_statistics_.*|source_id.*|xmp",
    re.IGNORECASE,
)
COVERS = {"png": "image/png", "mjpeg": "image/jpeg", "bmp": "image/bmp", "gif": "image/gif", "webp": "image/webp"}
NEVER = ("1904-01-01T00:00:00", "1970-01-01T00:00:00")  # creation times of clocks that were never set
NO_TEXT = b"\0\0"  # the empty packets between MP4's subtitles, which the target's writer creates itself
WORDS = {"audio": "sound", "video": "more pictures", "subtitle": "subtitles"}


class TimedPacket(NamedTuple):
    """A packet with the timestamps of the target."""

    time: Fraction  # of decoding, in seconds
    packet: av.Packet


class Span(NamedTuple):
    """The part of a film that is kept."""

    zero: Fraction  # the time in the source, in seconds, that becomes 0 in the target
    length: Fraction | None = None  # in seconds; None: to the end
    cut: bool = False  # whether a part of the source before it is left out


class Source:
    """The source file of a film. `lost` collects remarks on what the target cannot hold."""

    def __init__(self, container: av.container.InputContainer, path: Path, kind: str):
        """`kind`: FFmpeg's name of the target's container."""
        self.lost: list[str] = []
        self._container, self._path, self._kind = container, path, kind
        self._pictures = pictures(container)
        self._metadata = _lasting(container.metadata)
        if any(key.lower() == "xmp" for each in (container, *container.streams) for key in each.metadata):
            self.lost.append("its XMP is not kept")  # it describes the source's edits and origin
        self._shifts: list[Fraction] | None = None
        self._refused = Counter[int]()  # packets that the target refused, by the index of its stream

    @classmethod
    @contextlib.contextmanager
    def opened(cls, path: Path, kind: str) -> Iterator[Source | None]:
        """The open source, closed at the end; None for files that FFmpeg does not know, such as animated WebP.

        Raises PictureError if it cannot be read.
        """
        try:
            container = open_container(path)
        except av.error.FFmpegError as error:
            if isinstance(error, OSError):
                raise PictureError(f"{path} cannot be read: {error.strerror}") from error
            yield None
            return
        with container:
            if pictures(container) is None:  # it had some when its frames were read
                raise PictureError(f"{path} cannot be read: it no longer has a video stream")
            yield cls(container, path, kind)

    @property
    def clocks(self) -> set[int]:
        """The sample rates of its sound, in ticks per second."""
        return {stream.rate for stream in self._container.streams.audio if stream.codec_context and stream.rate}

    def span(self, first: Fraction, start: float, end: float | None) -> Span:
        """The part from `start` to `end`, in seconds from the beginning; its first frame is shown at `first`."""
        origin, shown = self._origin(), _start_of(self._pictures)
        zero = origin + _exact(start)
        if start > 0 and (shown is None or first > shown):
            zero = first
        return Span(zero, None if end is None else origin + _exact(end) - zero, start > 0)

    def carry(self, out: av.container.OutputContainer, film: av.VideoStream, span: Span) -> list[Iterator[TimedPacket]]:
        """Adds the streams that the target can hold; returns their packets. `film`: the target's video stream."""
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

    def refused(self, packet: av.Packet) -> None:
        """Counts a packet that the target refused."""
        self._refused[packet.stream.index] += 1

    def untold(self, target: Path) -> tuple[str, ...]:
        """A remark on metadata that are missing from the target."""
        with open_container(target) as container:
            found = {key.lower() for key in container.metadata}
        missing = sorted(key for key in self._metadata if key.lower() not in found)
        return (f"metadata left out: {', '.join(missing)} (.mkv keeps them)",) if missing else ()

    def _origin(self) -> Fraction:
        """The start time by its own clock, in seconds."""
        rounded = Fraction(self._container.start_time or 0, av.time_base)  # one of the streams has the exact time
        starts = [start for stream in self._container.streams if (start := _start_of(stream)) is not None]
        return min(starts, key=lambda start: abs(start - rounded), default=rounded)

    def _chapters(self, span: Span) -> Iterator[dict[str, Any]]:
        for chapter in self._container.chapters():
            tick = chapter["time_base"]
            start, end = (max(0, round(chapter[side] - span.zero / tick)) for side in ("start", "end"))
            end = end if span.length is None else min(end, round(span.length / tick))
            if start < end:
                yield {**chapter, "start": start, "end": end}

    def _describe(self, copy: av.stream.Stream, stream: av.stream.Stream) -> None:
        """Copies language, title and role of a stream."""
        unwanted = ("creation_time",) if self._kind in ISO else ("creation_time", "handler_name")
        metadata = {key: value for key, value in _lasting(stream.metadata).items() if key.lower() not in unwanted}
        if title := _title(stream):
            metadata["title"] = title
        copy.metadata.update(metadata)
        copy.disposition = int(stream.disposition)

    def _cover(self, out: av.container.OutputContainer, stream: av.stream.Stream) -> list[Iterator[TimedPacket]]:
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

    def _packets(self, copies: Mapping[int, av.stream.Stream], span: Span) -> Iterator[TimedPacket]:
        """The readable packets of the copied streams, with the target's timestamps."""
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
        """The seconds by which the pictures of each part are moved, see `jaxgan.media.films.decoding.Packets`."""
        if self._shifts is None:
            with reading(str(self._path), av.error.FFmpegError):
                self._shifts = restarts(self._path)
        return self._shifts

    def _latest(self) -> float:
        """The time, in seconds of its own clock, after which a timestamp must be wrong."""
        duration = self._container.duration
        start = self._container.start_time or 0
        return math.inf if not duration else (start + duration) / av.time_base + LATE

    def _readable(self, streams: list[av.stream.Stream]) -> Iterator[av.Packet]:
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
    """Moves the packets of one stream to the target's time, by the same amount as the pictures of each part."""

    def __init__(self, stream: av.stream.Stream, span: Span, latest: float, restarts: Callable[[], list[Fraction]]):
        """`latest`: in seconds; `restarts`: gives the seconds by which each part of the film is moved."""
        tick = stream.time_base
        self.impossible = 0  # packets with impossible times or content
        self._text, self._cut = stream.type == "subtitle", span.cut
        self._read, self._seconds = 0.0, 0.0  # seconds that were found, and that were expected
        if stream.type == "audio" and stream.duration and span.length is None:
            self._seconds = float(stream.duration * tick)
        self._tick, self._start, self._latest = tick, stream.start_time or 0, latest
        self._zero = round(span.zero / tick)
        self._end = None if span.length is None else span.length / tick
        self._last: int | None = None
        self._restarts, self._part, self._shift = restarts, 0, 0
        self._before: int | None = None  # time of the previous packet, in the source

    @property
    def remark(self) -> str:
        """What was wrong with the stream; empty if nothing was."""
        if self.impossible:
            return f"{self.impossible} of its packets {'is' if self.impossible == 1 else 'are'} left out"
        if self._seconds - self._read > LACKING:
            return f"{self._read:.1f} of its {self._seconds:.1f} seconds are there"
        return ""

    def set(self, packet: av.Packet) -> bool:
        """Sets the new timestamps of a packet; returns whether it is kept."""
        times = [time for time in (packet.pts, packet.dts) if time is not None]
        if not packet.size or not times or (self._text and bytes(packet) == NO_TEXT):
            return False
        shift = self._moved(times[-1]) - self._zero
        pts, dts = times[0] + shift, times[-1] + shift
        length = packet.duration or 0
        self._read = max(self._read, float((times[0] + length - self._start) * self._tick))
        if self._text and self._cut and pts < 0 < pts + length:  # a subtitle still on screen at the start
            pts, dts, length = 0, 0, pts + length
        if (self._cut and pts < 0) or (self._end is not None and pts >= self._end):
            return False
        if self._text:
            length = length if self._end is None else min(length, int(self._end - pts))
            dts = dts if self._last is None else max(dts, self._last + 1)  # two may have the same time
            pts = max(pts, dts)
        if times[0] * self._tick > self._latest:  # times that go back are refused by the container itself
            self.impossible += 1
            return False
        if self._part and self._last is not None and not self._text:  # the previous part's sound may overlap
            dts = max(dts, self._last + math.ceil(SEAM / self._tick))
            pts = max(pts, dts)
        self._last = dts
        packet.pts, packet.dts, packet.duration = pts, dts, length
        return True

    def _moved(self, time: int) -> int:
        """The ticks by which a packet with this time in the source is moved."""
        if self._before is not None and time < self._before - JUMP / self._tick and (shifts := self._restarts()):
            self._part = min(self._part + 1, len(shifts))
            self._shift = round(shifts[self._part - 1] / self._tick)
        self._before = time
        return self._shift


def _exact(seconds: float) -> Fraction:
    return Fraction(seconds).limit_denominator(av.time_base)


def _start_of(stream: av.stream.Stream) -> Fraction | None:
    return None if stream.start_time is None or not stream.time_base else stream.start_time * stream.time_base


def _lasting(metadata: Mapping[str, str]) -> dict[str, str]:
    """Metadata that are also valid for another file, without duplicates for single languages."""
    return {
        key: value
        for key, value in metadata.items()
        if not OUTDATED.fullmatch(key)
        and not (key[-4:-3] == "-" and key[:-4] in metadata)
        and not (key == "creation_time" and value.startswith(NEVER))
    }


def _belongs_to_others(stream: av.stream.Stream, kind: str) -> bool:
    """Whether a stream only repeats what is stored elsewhere: MP4's chapters, or a time code that the target keeps."""
    return stream.type == "data" and (
        int(stream.discard) == DISCARD_ALL or ("timecode" in stream.metadata and kind in (*ISO, "matroska"))
    )


def _is_cover(stream: av.stream.Stream) -> bool:
    return stream.type == "video" and bool(int(stream.disposition) & ATTACHED_PICTURE)


def _keeps_cover(kind: str, stream: av.stream.Stream) -> bool:
    return _name(stream) in COVERS if kind == "matroska" else kind == "mp4" and _holds(kind, stream)


def _name(stream: av.stream.Stream) -> str | None:
    """The name of the codec, not of its decoder."""
    return None if stream.codec_context is None else stream.codec_context.codec.canonical_name


def _holds(kind: str, stream: av.stream.Stream) -> bool:
    """Whether a container can hold a stream. FFmpeg decides that only when it writes the file's header."""
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


def _title(stream: av.stream.Stream) -> str | None:
    return stream.metadata.get("title") or stream.metadata.get("name")  # MP4 uses the latter


def _named(stream: av.stream.Stream) -> str:
    known = (_name(stream), stream.metadata.get("language"), _title(stream))
    details = ", ".join(each for each in known if each and each != "und")
    what = "a cover" if _is_cover(stream) else WORDS.get(stream.type, stream.type)
    return f"stream {stream.index} ({what}{f': {details}' if details else ''})"


def _left_out(stream: av.stream.Stream, kind: str) -> str:
    """The remark on a stream that the target cannot hold, with a suffix that can."""
    if _is_cover(stream):
        keepers = [each for each in ADVISED if _keeps_cover(each, stream)]
    elif stream.type in ("audio", "subtitle"):
        keepers = [each for each in ADVISED if _holds(each, stream)]
    else:
        keepers = ["matroska"] if stream.type == "attachment" else []
    advice = f" ({ADVISED[keepers[0]]} keeps it)" if keepers and kind not in keepers else ""
    return f"{_named(stream)} is left out{advice}"
