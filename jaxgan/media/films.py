"""Film files through FFmpeg's libraries, frame by frame."""

from __future__ import annotations

import bisect
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.video.reformatter import Interpolation

from jaxgan.media.colours import Colours
from jaxgan.media.frames import FilmFormat, Frame
from jaxgan.media.reading import Picture, PictureError

SWSCALE_FLAGS = int(Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND)
ATTACHED_PICTURE = 0x400  # of a stream's disposition
USUAL_RATE = Fraction(25)  # of a film that tells none
LAYOUTS = {(False, False): "rgb24", (False, True): "rgba", (True, False): "rgb48le", (True, True): "rgba64le"}


class _Shown(NamedTuple):
    frame: Any  # av.VideoFrame
    pts: int
    duration: int


class Film:
    """A film file that is open, see `jaxgan.media.frames.Frames`."""

    still = False

    def __init__(self, path: str | os.PathLike[str], *, start: float = 0.0, end: float | None = None):
        """`start`, `end`: in seconds from where the film begins. Raises PictureError for what cannot be read."""
        self.path, self.remarks, self.damaged = Path(path), list[str](), False
        self._start, self._end = start, end
        try:
            self._container = av.open(str(path), metadata_errors="replace")
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise PictureError(_reason(error)) from error
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        self._stream = pictures(self._container)
        if self._stream is None:
            raise PictureError("it has no stream of pictures")
        stream = self._stream
        stream.thread_type = "AUTO"
        self._time_base = stream.time_base
        self._rate = stream.average_rate or stream.guessed_rate
        first = self._first()
        if first is None:
            raise PictureError("not one of its frames can be decoded")
        self.format = self._describe(first)
        self.seconds = self._length()
        if self._end is not None and self.seconds is not None:
            self.seconds = min(self.seconds, self._end)
        if self.seconds is not None:
            self.seconds = max(0.0, self.seconds - self._start)

    def close(self) -> None:
        """Lets the file go."""
        self._container.close()

    def count(self) -> int | None:
        """The packets between start and end: hidden frames of VP9 and AV1 count, so compare films with their kind."""
        tick, origin = float(self._time_base), self.origin
        with av.open(str(self.path), metadata_errors="replace") as container:
            stream = pictures(container)
            times = [packet.pts for packet in container.demux(stream) if packet.size]
        if None in times:
            return None if self._start or self._end is not None else len(times)
        seconds = [time * tick - origin + tick / 2 for time in times]
        return sum(self._start <= each and (self._end is None or each < self._end) for each in seconds)

    def frames(self, skip: int = 0) -> Iterator[Frame]:
        """The frames in the order of their times; the first `skip` are decoded and not handed on."""
        for number, shown in enumerate(self._selected()):
            if number >= skip:
                yield Frame(self._picture(shown.frame), shown.pts, shown.duration)

    def _first(self) -> Any:
        for packet in self._container.demux(self._stream):
            try:
                if found := packet.decode():
                    return found[0]
            except av.error.FFmpegError:
                continue
        return None

    def _describe(self, frame: Any) -> FilmFormat:
        stream, layout = self._stream, frame.format
        context = stream.codec_context
        told = Colours(
            matrix=int(context.colorspace),
            range=int(context.color_range),
            primaries=int(context.color_primaries),
            transfer=int(context.color_trc),
        )
        rgb = layout.is_rgb or "pal" in layout.name
        colours = told.settled(frame.height, rgb=rgb)
        names = layout.name
        aspect = stream.sample_aspect_ratio or Fraction(1)
        width, height = frame.width, frame.height
        self._turns = round(frame.rotation / 90) % 4
        if self._turns % 2:
            width, height, aspect = height, width, 1 / aspect
        return FilmFormat(
            width=width,
            height=height,
            rate=self._rate,
            time_base=self._time_base,
            deep=any(part.bits > 8 for part in layout.components),
            alpha=any(part.is_alpha for part in layout.components),
            subsampling=444 if "444" in names else 422 if "422" in names else 420,
            colours=colours,
            sample_aspect=aspect,
        )

    def _length(self) -> float | None:
        stream, container = self._stream, self._container
        told = [float(stream.duration * stream.time_base)] if stream.duration else []
        told += [container.duration / av.time_base] if container.duration else []
        return min(told) if told else None

    @property
    def origin(self) -> float:
        """When the film begins, in seconds of its own clock."""
        return (self._container.start_time or 0) / av.time_base

    def _selected(self) -> Iterator[_Shown]:
        """Frames between start and end."""
        tick, origin = float(self._time_base), self.origin
        self._container.seek(int((origin + self._start) / tick), stream=self._stream, backward=True)
        count = 0
        for shown in self._decoded():
            time = shown.pts * tick - origin
            if time < self._start - tick / 2:
                continue
            if self._end is not None and time >= self._end - tick / 2:
                break
            count += 1
            yield shown
        if not count:
            raise PictureError(f"it has no frame at {self._start:g} seconds or later")

    def _decoded(self) -> Iterator[_Shown]:
        """All frames from here on; one that is damaged is replaced by the last good one, and counted."""
        waiting: list[int] = []  # times of packets whose frames have not come
        last: _Shown | None = None
        step = max(1, round(1 / (float(self._rate or USUAL_RATE) * float(self._time_base))))
        errors = 0
        for packet in self._container.demux(self._stream):
            if packet.pts is not None:
                bisect.insort(waiting, packet.pts)
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                errors += 1
                continue
            for frame in frames:
                pts = frame.pts if frame.pts is not None else 0 if last is None else last.pts + step
                del waiting[: bisect.bisect_right(waiting, pts)]
                last = _Shown(frame, pts, int(frame.duration or 0))
                yield last

    def _picture(self, frame: Any) -> Picture:
        form = self.format
        layout = LAYOUTS[form.deep, form.alpha]
        arguments = {}
        if not frame.format.is_rgb:
            colours = form.colours
            arguments = {"src_colorspace": colours.conversion, "src_color_range": colours.range}
        samples = frame.reformat(format=layout, interpolation=SWSCALE_FLAGS, **arguments).to_ndarray()
        if self._turns:
            samples = np.ascontiguousarray(np.rot90(samples, self._turns))
        span = (0.0, 65535.0 if form.deep else 255.0)
        return Picture(samples[..., :3], samples[..., 3:] if form.alpha else None, span)


def pictures(container: Any) -> Any:
    """The first stream of pictures that is no cover; None: there is none."""
    return next((each for each in container.streams.video if not int(each.disposition) & ATTACHED_PICTURE), None)


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return "it is no film of a format that is known" if "Invalid data" in text else text
