"""Decodes a film's packets into frames in display order; damage is bridged and counted."""

from __future__ import annotations

import bisect
import collections
import os
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import av

TRIES = 16  # attempts to read on after errors, and to drain a decoder
SEAM = 3  # packets before a restart of the clock that may be incomplete
REMEMBERED = 256  # times of repeated frames that are remembered, in case the frames arrive late
EBML, SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
JUMP = 1.0  # seconds: if times go back by more, a new part begins


class Shown(NamedTuple):
    """A decoded frame and its display time."""

    frame: av.VideoFrame
    pts: int
    duration: int
    repeated: bool = False  # shown in place of a lost frame
    corrupt: bool = False  # the decoder concealed errors in it


class Packets:
    """The packets of one stream, to the end of the file. The other streams are read to find where the file ends.

    When the clock goes back, as in concatenated transport streams, a new part begins: the times of its packets are
    moved so that it follows the previous part.
    """

    def __init__(self, container: av.container.InputContainer, stream: av.VideoStream, others: bool, step: Fraction):
        """`others`: read the other streams, too. `step`: ticks of a frame without a duration."""
        self._container, self._stream, self._others = container, stream, others
        self._step, self._jump = max(1, round(step)), round(JUMP / stream.time_base)
        self._latest: int | None = None  # end of the last frame, after moving
        self._flawed = collections.deque[bool](maxlen=SEAM)  # which of the last packets are incomplete
        self.shifts = list[int]()  # ticks by which each part but the first is moved
        self.ended = False  # the file was read to its end
        self.last: int | None = None  # dts of the last packet
        self.reached = 0.0  # seconds: end of the last packet of all streams
        self.corrupt = 0  # incomplete packets and read errors

    def __iter__(self) -> Iterator[av.Packet]:
        streams = [each for each in self._container.streams if each.type in ("video", "audio", "subtitle")]
        held = None  # an incomplete packet; the last one of a film that was cut off is dropped
        for _ in range(TRIES):
            try:
                for packet in self._container.demux(streams if self._others else [self._stream]):
                    if not self._wanted(packet):
                        continue
                    if held is not None:
                        yield self._given(held)
                    held = packet if packet.is_corrupt else None
                    if held is None:
                        yield self._given(packet)
                self.ended = True
                return
            except av.error.EOFError:
                self.ended = True
                return
            except av.error.FFmpegError:
                self.corrupt += 1
        self.ended = True

    def _wanted(self, packet: av.Packet) -> bool:
        time = packet.pts if packet.pts is not None else packet.dts
        if time is not None and not packet.is_corrupt:
            self.reached = max(self.reached, float((time + (packet.duration or 0)) * packet.time_base))
        self.corrupt += packet.is_corrupt
        has_content = bool(packet.size)  # an empty packet would drain the decoder
        return packet.stream.index == self._stream.index and has_content

    def _given(self, packet: av.Packet) -> av.Packet:
        begin = packet.pts if packet.pts is not None else packet.dts
        if packet.dts is not None:
            if self.last is not None and packet.dts < self.last - self._jump and self._latest is not None:
                self.shifts.append(self._latest - begin)
                self.corrupt -= sum(self._flawed)  # an incomplete packet between two parts is not damage
            self.last = packet.dts
        self._flawed.append(packet.is_corrupt)
        if begin is None:
            return packet
        if self.shifts:
            packet.pts = None if packet.pts is None else packet.pts + self.shifts[-1]
            packet.dts = None if packet.dts is None else packet.dts + self.shifts[-1]
            begin += self.shifts[-1]
        ends = begin + (packet.duration or self._step)
        self._latest = ends if self._latest is None else max(self._latest, ends)
        return packet


class Decoding:
    """Decodes packets into frames.

    A frame whose packet cannot be decoded is replaced by the last good one (at the beginning: by the first), so that
    count and times do not change. A decoder that works on several frames at once may report an error some packets
    later, so lost frames are found by comparing the times of the packets sent with those of the frames received.
    """

    def __init__(
        self,
        packets: Packets,
        decoder: av.VideoCodecContext,
        step: Fraction,
        *,
        ordered: bool,
        strict: bool,
        tick: Fraction,
    ):
        """`step`: ticks per frame if frames have no times. `ordered`: packets have times, but not their frames'.

        `strict`: each packet has a frame, unless it is one of two fields; a missing frame means the decoder failed.
        """
        self._packets, self._decoder, self._step, self._ordered = packets, decoder, step, ordered
        self._strict = strict
        self._waiting: list[int] = []  # times of packets whose frames have not arrived
        self._trouble = 0  # errors whose lost frames are not found yet
        self._bad: collections.deque[int | None] = collections.deque(maxlen=REMEMBERED)  # times of failed packets
        self._silent = False  # packets without a frame are usual in this film: hidden frames, second fields
        self._repeated: collections.deque[int] = collections.deque(maxlen=REMEMBERED)
        self._known, self._since = 0, -1  # the last known time, and the number of frames since then
        self._last: Shown | None = None
        self._floor: int | None = None  # the last time that was returned
        self._shift, self._jump = 0, round(JUMP / tick)
        self.errors = 0
        self.counts_until: int | None = None  # errors of later packets are not counted
        self.moved = self.jumped = 0  # frames whose times did not increase

    def __iter__(self) -> Iterator[Shown]:
        for packet in self._packets:
            if packet.pts is not None and not packet.is_discard:
                bisect.insort(self._waiting, packet.pts)
            try:
                frames = self._decoder.decode(packet)
            except av.error.FFmpegError:
                self._failed(packet.pts)
                if self._last is not None and (self._ordered or packet.pts is None):
                    yield self._repeat(self._next(), self._last)
                continue
            for frame in frames:
                yield from self._arrived(frame)
        yield from self._rest()

    def _failed(self, pts: int | None) -> None:
        self._trouble += 1
        self._bad.append(pts)
        self.errors += self.counts_until is None or pts is None or pts < self.counts_until

    def _rest(self) -> Iterator[Shown]:
        for _ in range(TRIES):
            try:
                for frame in self._decoder.decode(None):
                    yield from self._arrived(frame)
                break
            except av.error.EOFError:
                break
            except av.error.FFmpegError:
                self._failed(None)
        if self._last is not None:
            self._trouble += not self._silent  # if each packet had a frame so far, the last ones had, too
            for pts in self._lost(len(self._waiting), self._last):
                yield self._repeat(pts, self._last)

    def _arrived(self, frame: av.VideoFrame) -> Iterator[Shown]:
        pts = self._time(frame)
        if pts in self._repeated and self._last is not None and pts + self._shift <= self._last.pts:
            return
        corrupt = bool(frame.is_corrupt)
        shown = Shown(frame, pts, int(frame.duration or 0), corrupt=corrupt)
        if not self._ordered:
            for lost in self._lost(bisect.bisect_left(self._waiting, pts), shown):
                yield self._repeat(lost, self._last or shown)
        del self._waiting[: bisect.bisect_right(self._waiting, pts)]
        self._trouble += corrupt
        self._last = shown._replace(pts=self._placed(pts))
        yield self._last

    def _lost(self, count: int, shown: Shown) -> list[int]:
        """The times of lost frames among the first `count` that are awaited."""
        lost = self._waiting[:count]
        if not lost:
            return []
        if not self._trouble:
            if self._strict and self._last is not None and not shown.frame.interlaced_frame:
                return lost
            self._silent = True
            return []
        if self._silent:
            lost = [pts for pts in lost if pts in self._bad] or lost[: self._trouble]
        self._trouble = 0
        self._bad.clear()
        return lost

    def _repeat(self, pts: int, of: Shown) -> Shown:
        self._repeated.append(pts)
        shown = Shown(of.frame, self._placed(pts), 0, repeated=True, corrupt=of.corrupt)
        self._last = shown if self._last is not None else None
        self._floor = shown.pts
        return shown

    def _next(self) -> int:
        """The time of the next frame, in a film whose frames have no times."""
        return self._waiting.pop(0) if self._ordered and self._waiting else self._estimated(None)

    def _time(self, frame: av.VideoFrame) -> int:
        return self._estimated(self._waiting[0] if self._ordered and self._waiting else frame.pts)

    def _estimated(self, pts: int | None) -> int:
        """The time of a frame: its own, else counted in steps from the last known one."""
        self._since += 1
        if pts is None:
            return self._known + round(self._since * self._step)
        self._known, self._since = int(pts), 0
        return self._known

    def _placed(self, pts: int) -> int:
        """The time, moved if it is not after the previous one."""
        pts += self._shift
        if self._floor is not None and pts <= self._floor:
            if self._floor - pts > self._jump:
                self._shift += self._floor + max(1, round(self._step)) - pts
                pts = self._floor + max(1, round(self._step))
                self.jumped += 1
            else:
                pts = self._floor + 1
                self.moved += 1
        self._floor = pts
        return pts


def cut_off(path: str | os.PathLike[str]) -> bool:
    """Whether a RIFF (AVI) or EBML (Matroska, WebM) file is shorter than its header states. Raises OSError."""
    with open(path, "rb") as file:
        head = file.read(4096)
        size = os.fstat(file.fileno()).st_size
    if head[:4] == b"RIFF":
        stated = int.from_bytes(head[4:8], "little")
        return 0 < stated < 2**32 - 9 and stated + 8 > size
    if head[:4] == EBML:
        at, length = _ebml_number(head, 4)
        at += length or 0
        if head[at : at + 4] == SEGMENT:
            at, length = _ebml_number(head, at + 4)
            return length is not None and at + length > size
    return False


def _ebml_number(data: bytes, at: int) -> tuple[int, int | None]:
    """The end of a variable-length number, and its value; None for the reserved value "unknown" (RFC 8794, 4)."""
    if at >= len(data) or not data[at]:
        return at, None
    length = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + length], "big") & (1 << 7 * length) - 1
    return at + length, None if value == (1 << 7 * length) - 1 else value
