"""Segments of a film into one file, with all else that the source has: sound, subtitles, chapters, metadata."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av

from jaxgan.media.films import pictures
from jaxgan.media.frames import CONTAINERS


class Segment(NamedTuple):
    """A closed file of some frames."""

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
) -> tuple[str, ...]:
    """Writes the frames of segments and the other streams of the source, from `start` to `end`; what is left out.

    Nothing is decoded. The target has the kind of the suffix. Raises OSError.
    """
    lost: list[str] = []
    options = {"movflags": "faststart", "movie_timescale": str(time_base.denominator)}
    kind = CONTAINERS[suffix]
    with av.open(str(target), "w", format=kind, container_options=options if kind in ("mp4", "mov") else {}) as out:
        with av.open(str(segments[0].path)) as first:
            stream = out.add_stream_from_template(first.streams.video[0], opaque=True)
        stream.time_base = time_base
        feeds = [_frames(segments, stream, time_base)]
        given = av.open(str(source), metadata_errors="replace") if source is not None else None
        try:
            if given is not None:
                out.metadata.update(given.metadata)
                copies = _copies(given, out, kind, lost)
                out.set_chapters(given.chapters())
                if copies:
                    feeds.append(_packets(given, copies))
            for _, _, packet in heapq.merge(*feeds, key=lambda each: each[0]):
                out.mux(packet)
        finally:
            if given is not None:
                given.close()
    return tuple(lost)


def _copies(given: Any, out: Any, kind: str, lost: list[str]) -> dict[int, Any]:
    copies = {}
    shown = pictures(given)
    for stream in given.streams:
        if stream is shown or stream.index == shown.index:
            continue
        name = stream.codec_context.name if getattr(stream, "codec_context", None) is not None else None
        if stream.type not in ("audio", "subtitle") or name not in out.supported_codecs:
            lost.append(f"stream {stream.index} ({stream.type}{f', {name}' if name else ''}) is left out: {kind}")
            continue
        copies[stream.index] = out.add_stream_from_template(stream, opaque=True)
        copies[stream.index].metadata.update(stream.metadata)
    return copies


def _frames(segments: Sequence[Segment], stream: Any, time_base: Fraction) -> Iterator[tuple[float, int, Any]]:
    for segment in segments:
        with av.open(str(segment.path)) as container:
            for packet in container.demux(container.streams.video[0]):
                if packet.dts is None:
                    continue
                ticks = packet.time_base / time_base
                packet.pts = round(packet.pts * ticks) + segment.first
                packet.dts = round(packet.dts * ticks) + segment.first
                packet.duration = round(packet.duration * ticks)
                packet.time_base, packet.stream = time_base, stream
                yield float(packet.dts * time_base), 0, packet


def _packets(given: Any, copies: dict[int, Any]) -> Iterator[tuple[float, int, Any]]:
    for packet in given.demux([given.streams[index] for index in copies]):
        if packet.dts is None:
            continue
        time = float(packet.dts * packet.time_base)
        packet.stream = copies[packet.stream.index]
        yield time, 1, packet
