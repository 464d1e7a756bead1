"""Packets of a film's pictures into frames, in the order of their times; damage is bridged and counted."""

from __future__ import annotations

import bisect
import collections
import os
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import av

TRIES = 16  # to read on after errors, and to empty a decoder
SEAM = 3  # packets before one whose clock starts anew that may not be whole
REMEMBERED = 256  # times of repeated frames, lest they come after all
EBML, SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
JUMP = 1.0  # seconds: a film whose times go back further begins anew


class Shown(NamedTuple):
    """A decoded frame and when it is shown."""

    frame: Any  # av.VideoFrame
    pts: int
    duration: int
    repeated: bool = False  # in the place of one that is lost
    corrupt: bool = False  # its decoder made up some of it


class Packets:
    """The packets of one stream, to the end of the file. The other streams are looked at to see where it ends.

    Where its clock goes back, as in transport streams that were put together, a new part begins: the times of its
    packets are moved, so that it follows the one before.
    """

    def __init__(self, container: Any, stream: Any, others: bool, step: Fraction):
        """`step`: ticks of a frame that does not tell how long it is."""
        self._container, self._stream, self._others = container, stream, others
        self._step, self._jump = max(1, round(step)), round(JUMP / stream.time_base)
        self._latest: int | None = None  # when the last of its frames ends, as moved
        self._flawed = collections.deque[bool](maxlen=SEAM)  # which of the last packets are not whole
        self.shifts = list[int]()  # ticks by which each part is moved, without the first
        self.ended = False  # the file was read to its end
        self.last: int | None = None  # dts of the last packet
        self.reached = 0.0  # seconds: where the last packet of all streams ends
        self.corrupt = 0  # packets that are not whole, and errors of reading

    def __iter__(self) -> Iterator[Any]:
        streams = [each for each in self._container.streams if each.type in ("video", "audio", "subtitle")]
        held = None  # a packet that is not whole: at a film's end it is what was left of one when the file was cut
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

    def _wanted(self, packet: Any) -> bool:
        time = packet.pts if packet.pts is not None else packet.dts
        if time is not None and not packet.is_corrupt:
            self.reached = max(self.reached, float((time + (packet.duration or 0)) * packet.time_base))
        self.corrupt += packet.is_corrupt
        return packet.stream.index == self._stream.index and bool(packet.size)  # an empty one would end the decoder

    def _given(self, packet: Any) -> Any:
        begin = packet.pts if packet.pts is not None else packet.dts
        if packet.dts is not None:
            if self.last is not None and packet.dts < self.last - self._jump and self._latest is not None:
                self.shifts.append(self._latest - begin)
                self.corrupt -= sum(self._flawed)  # what is left of a packet between two parts is no damage
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
    """Frames out of packets.

    A frame whose packet cannot be decoded is replaced by the last good one (at the beginning: by the first), so that
    count and times stay. An error may come to light packets later, where a decoder works on several frames at once;
    which frames are lost is therefore told by the times of packets that were given and of frames that came.
    """

    def __init__(self, packets: Packets, decoder: Any, step: Fraction, *, ordered: bool, strict: bool, tick: Fraction):
        """`step`: ticks of a frame where no times are told. `ordered`: packets have times, but not of their frames.

        `strict`: each packet has a frame, unless it is one of two fields; a decoder that gives none has failed.
        """
        self._packets, self._decoder, self._step, self._ordered = packets, decoder, step, ordered
        self._strict = strict
        self._waiting: list[int] = []  # times of packets whose frames have not come
        self._trouble = 0  # errors whose lost frames are not found yet
        self._bad: collections.deque[int | None] = collections.deque(maxlen=REMEMBERED)  # packets that gave errors
        self._silent = False  # packets without a frame are usual here: hidden frames, second fields
        self._repeated: collections.deque[int] = collections.deque(maxlen=REMEMBERED)
        self._known, self._since = 0, -1  # the last time that was told, and frames since then
        self._last: Shown | None = None
        self._floor: int | None = None  # the last time that was handed out
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
            self._trouble += not self._silent  # where each packet had its frame, the last ones had theirs
            for pts in self._lost(len(self._waiting), self._last):
                yield self._repeat(pts, self._last)

    def _arrived(self, frame: Any) -> Iterator[Shown]:
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
        """The times of frames that will not come, of the first `count` that are waited for."""
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
        """When the next frame is shown, of a film that does not tell times of frames."""
        return self._waiting.pop(0) if self._ordered and self._waiting else self._told(None)

    def _time(self, frame: Any) -> int:
        return self._told(self._waiting[0] if self._ordered and self._waiting else frame.pts)

    def _told(self, told: int | None) -> int:
        """When a frame is shown: as it tells, else so many frames after the last that told."""
        self._since += 1
        if told is None:
            return self._known + round(self._since * self._step)
        self._known, self._since = int(told), 0
        return self._known

    def _placed(self, pts: int) -> int:
        """A time after the last one."""
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
    """Whether a file of RIFF (AVI) or EBML (Matroska, WebM) is shorter than it says. Raises OSError."""
    with open(path, "rb") as file:
        head = file.read(4096)
        size = os.fstat(file.fileno()).st_size
    if head[:4] == b"RIFF":
        told = int.from_bytes(head[4:8], "little")
        return 0 < told < 2**32 - 9 and told + 8 > size
    if head[:4] == EBML:
        at, length = _ebml_number(head, 4)
        at += length or 0
        if head[at : at + 4] == SEGMENT:
            at, length = _ebml_number(head, at + 4)
            return length is not None and at + length > size
    return False


def _ebml_number(data: bytes, at: int) -> tuple[int, int | None]:
    """Where a number of variable length ends, and the number; None: it says that it is not known (RFC 8794, 4)."""
    if at >= len(data) or not data[at]:
        return at, None
    length = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + length], "big") & (1 << 7 * length) - 1
    return at + length, None if value == (1 << 7 * length) - 1 else value
