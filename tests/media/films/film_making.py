"""Small films for tests: pictures through the writer, and source files with sound and subtitles through PyAV."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.subtitles.subtitle import SubtitleSet
from PIL import Image

from jaxgan.media.films.colours import Colours
from jaxgan.media.films.encoding import SegmentWriter
from jaxgan.media.films.frames import FilmFormat
from jaxgan.media.films.joining import Segment, join
from jaxgan.media.reading import Picture

TICK = Fraction(1, 12800)  # of most films here
SPAN = {"u1": (0.0, 255.0), "u2": (0.0, 65535.0)}
ASS = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,Arial,16

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def form(width=64, height=48, **given):
    """A film format with 25 frames per second."""
    given = {"rate": Fraction(25), "time_base": TICK, "colours": Colours(1, 1, 1, 1)} | given
    return FilmFormat(width=width, height=height, **given)


def picture(pixels, alpha=None):
    return Picture(pixels, alpha, SPAN[pixels.dtype.str[1:]])


def greys(count, width=64, height=48):
    """Uniform pictures whose level rises."""
    return [picture(np.full((height, width, 3), 20 + 4 * (number % 50), np.uint8)) for number in range(count)]


def write(folder, plan, pictures, times, lengths, last=512):
    """Segments with these numbers of frames; the last frame is shown for `last` ticks."""
    segments, number = [], 0
    assert sum(lengths) == len(pictures) == len(times)
    for length in lengths:
        path = Path(folder) / f"{number:04}{plan.codec.segment}"
        writer = SegmentWriter(path, plan)
        for index in range(number, number + length):
            writer.add(pictures[index], times[index], last if index + 1 == len(times) else 0)
        writer.close()
        segments.append(Segment(path, times[number]))
        number += length
    return segments


def film(folder, plan, suffix, pictures, times=None, lengths=None, last=512, **how):
    """A complete film without a source."""
    times = [512 * number for number in range(len(pictures))] if times is None else times
    segments = write(folder, plan, pictures, times, lengths or [len(pictures)], last)
    target = Path(folder) / f"film{suffix}"
    join(segments, target, suffix, source=None, time_base=plan.film.time_base, **how)
    return target


def shown(path):
    """The exact display times of frames, in seconds."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [frame.pts * stream.time_base for frame in container.decode(stream)]


def packets(path, kind):
    """For each stream of a kind: (pts in seconds, duration in seconds, bytes) of every packet."""
    with av.open(str(path)) as container:
        found = {stream.index: [] for stream in container.streams if stream.type == kind}
        for each in container.demux([container.streams[index] for index in found]) if found else ():
            if each.size:
                timed = (each.pts * each.time_base, (each.duration or 0) * each.time_base, bytes(each))
                found[each.stream.index].append(timed)
        return list(found.values())


def source(path, *, frames=50, first=0, sounds=(), texts=(), cover=None, fonts=(), chapters=(), metadata=None):
    """A film file with 25 frames per second of 64 x 48, and optional other streams.

    `sounds`: (codec, rate, seconds, stream's metadata, disposition); `texts`: (codec, lines of (start and length in
    ms, words), metadata, disposition); `first`: when the first frame is shown, in ticks.
    """
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = stream.codec_context.time_base = TICK
        feeds = [_pictures(stream, frames, first)]
        feeds += [_sound(out, *each) for each in sounds]
        feeds += [_text(out, *each) for each in texts]
        if cover is not None:
            feeds.append(_cover(out, cover))
        for name in fonts:
            out.add_attachment(name, "application/x-truetype-font", name.encode() * 9)
        out.metadata.update(metadata or {})
        if chapters:
            out.set_chapters(
                [
                    {
                        "id": number,
                        "start": start,
                        "end": end,
                        "time_base": Fraction(1, 1000),
                        "metadata": {"title": title},
                    }
                    for number, (start, end, title) in enumerate(chapters)
                ]
            )
        timed = sorted((each for feed in feeds for each in feed), key=lambda each: each.dts * each.time_base)
        for each in timed:
            out.mux(each)


def _pictures(stream, count, first):
    made = []
    for number in range(count):
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number * 4 % 256, np.uint8), format="rgb24")
        frame.pts, frame.time_base = first + 512 * number, TICK
        made += stream.encode(frame)
    return made + stream.encode()


def _sound(out, codec, rate, seconds, metadata, disposition):
    stream = out.add_stream(codec, rate=rate)
    stream.layout = "mono"
    stream.metadata.update(metadata)
    stream.disposition = disposition
    stream.codec_context.open(strict=False)
    size = stream.codec_context.frame_size or 1024
    samples = (np.sin(np.arange(int(rate * seconds)) * 0.06) * 8000).astype(np.int16)
    resampler = av.AudioResampler(format=stream.codec_context.format.name, layout="mono", rate=rate)
    made = []
    for begin in range(0, len(samples) - size + 1, size):
        frame = av.AudioFrame.from_ndarray(samples[None, begin : begin + size], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, begin, Fraction(1, rate)
        for each in resampler.resample(frame):
            each.pts, each.time_base = begin, Fraction(1, rate)
            made += stream.encode(each)
    return made + stream.encode(None)


def _text(out, codec, lines, metadata, disposition):
    stream = out.add_stream(codec)
    stream.codec_context.subtitle_header = ASS
    stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
    stream.metadata.update(metadata)
    stream.disposition = disposition
    made = []
    for start, length, words in lines:
        text = SubtitleSet.create(text=f"0,0,Default,,0,0,0,,{words}".encode(), start=0, end=length, pts=start * 1000)
        packet = stream.codec_context.encode_subtitle(text)
        packet.stream, packet.time_base, packet.duration = stream, Fraction(1, 1000), length
        packet.pts = packet.dts = start
        made.append(packet)
    return made


def _cover(out, suffix):
    content = io.BytesIO()
    Image.new("RGB", (32, 32), (7, 77, 177)).save(content, "PNG")
    if suffix == ".mkv":
        out.add_attachment("cover.png", "image/png", content.getvalue())
        return []
    stream = out.add_stream("png")
    stream.width, stream.height, stream.pix_fmt, stream.disposition = 32, 32, "rgb24", 0x400
    packet = av.Packet(content.getvalue())
    packet.stream, packet.time_base, packet.pts, packet.dts = stream, Fraction(1, 1000), 0, 0
    return [packet]
