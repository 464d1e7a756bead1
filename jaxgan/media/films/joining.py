"""Joins segments of a film into one file, with the source's sound, subtitles, chapters and metadata.

No frame is decoded: packets are copied one by one, in the order of their times, so that no stream waits for another.
"""

from __future__ import annotations

import contextlib
import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av

from jaxgan.media.films.carrying import Source, Span, TimedPacket
from jaxgan.media.films.encoding import MATROSKA, DecodingTimes, ffmpeg_errors
from jaxgan.media.films.film import address
from jaxgan.media.films.frames import CONTAINERS

FINEST = 2**31 - 1  # the largest number of ticks per second in MP4
WAITING = 500_000  # microseconds that a stream waits for another, which may have ended; packets come in order anyway


class Segment(NamedTuple):
    """A complete file of some frames."""

    path: Path
    first: int  # pts of its first frame, in the film's time base


def join(
    segments: Sequence[Segment],
    target: Path,
    suffix: str,
    *,
    source: Path | None,
    time_base: Fraction,
    start: float = 0.0,
    end: float | None = None,
    rate: Fraction | None = None,
    tags: Mapping[str, str] | None = None,
) -> tuple[str, ...]:
    """Writes the segments and the other streams of the source, from `start` to `end`; returns remarks on what is lost.

    All times are moved by the same amount, so that the source's beginning, or its first frame after `start`, is at 0.
    `rate`: the stated frames per second, by default those of the first segment. `tags`: further metadata of the
    target, whose container follows from `suffix`. On an error the target is deleted. Raises OSError if a segment
    cannot be read or the target cannot be written, and PictureError for a source that cannot be read and for streams
    that FFmpeg cannot join.
    """
    kind = CONTAINERS[suffix]
    with contextlib.ExitStack() as stack:
        stack.enter_context(ffmpeg_errors("FFmpeg cannot join its parts"))
        given = None if source is None else stack.enter_context(Source.opened(source, kind))
        first = segments[0].first * time_base
        span = Span(first) if given is None else given.span(first, start, end)
        out = av.open(address(target), "w", format=kind, container_options=_options(kind, given, time_base))
        try:
            stream = _add_film(out, segments[0].path, kind, rate)
            feeds = [_frames(segments, stream, time_base, round(span.zero / time_base))]
            if given is not None:
                feeds += given.carry(out, stream, span)
            out.metadata.update(tags or {})
            for _, packet in heapq.merge(*feeds, key=lambda each: each.time):
                try:
                    out.mux(packet)
                except av.error.FFmpegError as error:
                    if given is None or packet.stream is stream or isinstance(error, OSError):
                        raise
                    given.refused(packet)
            out.close()
        except BaseException:
            with contextlib.suppress(av.error.FFmpegError):
                out.close()
            target.unlink(missing_ok=True)
            raise
        return () if given is None else (*given.lost, *given.untold(target))


def _options(kind: str, given: Source | None, time_base: Fraction) -> dict[str, str]:
    options = {"fflags": "+bitexact", "max_interleave_delta": str(WAITING)}
    if kind in ("mp4", "mov"):
        ticks = math.lcm(time_base.denominator, *(() if given is None else given.clocks))
        ticks = ticks if ticks <= FINEST else min(time_base.denominator, FINEST)
        options |= {"movflags": "+faststart", "movie_timescale": str(ticks)}  # makes the offsets of all streams exact
    return options


def _add_film(out: av.container.OutputContainer, segment: Path, kind: str, rate: Fraction | None) -> av.VideoStream:
    """Adds a video stream for the packets of segments like this one."""
    with av.open(address(segment)) as container:
        given = container.streams.video[0]
        stream = out.add_stream_from_template(given, opaque=True)
        stream.framerate = rate or given.average_rate
        if kind in ("mp4", "mov") and segment.suffix not in MATROSKA:
            stream.codec_tag = given.codec_tag  # FFmpeg's default for HEVC is refused by Apple's players
        if given.sample_aspect_ratio:
            stream.sample_aspect_ratio = given.sample_aspect_ratio
        if given.metadata.get("alpha_mode"):  # FFmpeg's own decoder does not detect the alpha
            stream.pix_fmt = "yuva420p"
    return stream


def _frames(
    segments: Sequence[Segment], stream: av.VideoStream, time_base: Fraction, zero: int
) -> Iterator[TimedPacket]:
    """The packets of all segments, with new decoding times that rise across the borders of segments."""
    stream.time_base = time_base
    decoding: DecodingTimes | None = None
    first = segments[0].first - zero
    for segment, following in zip(segments, [*segments[1:], None], strict=True):
        times, last, reordered = _order(segment.path, time_base)
        after = first + times[-1] + max(last, 1)
        if following is not None:
            after = max(following.first - zero, first + times[-1] + 1)
        ends = dict(zip(times, [*times[1:], after - first], strict=True))
        decoding = decoding or DecodingTimes(reordered, ends[0])
        for time in times:
            decoding.show(first + time)
        for packet, time in _read(segment.path, time_base):
            packet.time_base, packet.stream = time_base, stream
            packet.pts, packet.dts, packet.duration = first + time, decoding.next(), ends[time] - time
            yield TimedPacket(packet.dts * time_base, packet)
        first = after


def _order(path: Path, time_base: Fraction) -> tuple[list[int], int, int]:
    """The sorted display times of its frames from 0 on, the duration of the last one, and the codec's reorder depth."""
    times, last = list[int](), 0
    for packet, time in _read(path, time_base):
        times.append(time)
        last = round((packet.duration or 0) * _tick(path, packet.time_base, time_base))
    with av.open(address(path)) as container:
        return sorted(times), last, container.streams.video[0].codec_context.reorder_depth


def _read(path: Path, time_base: Fraction) -> Iterator[tuple[av.Packet, int]]:
    """The packets of a segment, each with its display time after the first one in ticks of the film's time base."""
    options = {"fflags": "+noparse"}  # a parser would guess the duration of VP9's frames
    with av.open(address(path), container_options=options) as container:
        beginning = None
        for packet in container.demux(container.streams.video[0]):
            if packet.size:
                beginning = packet.pts if beginning is None else beginning
                yield packet, round((packet.pts - beginning) * _tick(path, packet.time_base, time_base))


def _tick(path: Path, time_base: Fraction, film: Fraction) -> Fraction:
    """Ticks of the film per tick of a segment's file, see `SegmentWriter`."""
    return Fraction(1) if path.suffix in MATROSKA else time_base / film
