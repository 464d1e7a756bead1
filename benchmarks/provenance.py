"""Cost of writing provenance into files; most of it is c2pa's time, which is proportional to the file size.

    python -m benchmarks.provenance

needs the extras demo, video and provenance. Prints for each kind and size of picture, of a photograph, and for films
the milliseconds and the bytes that XMP alone adds, those with a credential of a generated picture, and those with one
of a restored picture, whose parent is a signed one; and whether the first two stay within 20 ms + 4 ms a megapixel.
The three take turns; medians.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from skimage.data import astronaut

from jaxgan.media.provenance import credentials
from jaxgan.media.provenance.origin import Origin, mark_file
from jaxgan.media.reading import Picture
from jaxgan.media.videos import save_animation
from jaxgan.media.writing import write_picture

SIDES = {64: 21, 512: 21, 2048: 7, 4899: 3}  # side of square pictures in pixels: number of times each is marked
KINDS = (".png", ".jpg", ".webp", ".tif")
FRAMES = 48
BASE, EACH = 20.0, 4.0  # milliseconds allowed per file, and per megapixel
CREATED = Origin("created", "samples of a generator", "a run", step=1000, seed=0, config_sha256="0" * 64)


def milliseconds(plain: Path, origin: Origin, *, signed: bool) -> tuple[float, int]:
    """The time to mark a copy of a file, and its growth in bytes."""
    copy = plain.with_name(f"copy{plain.suffix}")
    shutil.copyfile(plain, copy)
    available = credentials.available
    credentials.available = available if signed else lambda: False
    try:
        start = time.perf_counter()
        mark_file(copy, plain.suffix, origin, title=copy.name)
        return (time.perf_counter() - start) * 1e3, copy.stat().st_size - plain.stat().st_size
    finally:
        credentials.available = available


def report(name: str, plain: Path, megapixels: float, reps: int) -> None:
    """Mark a file in three ways in turn and print a row."""
    parent = plain.with_name(f"parent{plain.suffix}")
    shutil.copyfile(plain, parent)
    mark_file(parent, plain.suffix, CREATED, title=parent.name)
    restored = dataclasses.replace(CREATED, action="restored", parent=parent)
    ways = {"XMP": (CREATED, False), "credential": (CREATED, True), "restored": (restored, True)}
    found = {way: list[tuple[float, int]]() for way in ways}
    for _ in range(1 + reps):
        for way, (origin, signed) in ways.items():
            found[way].append(milliseconds(plain, origin, signed=signed))
    cells, times = [], []
    for measured in found.values():
        times.append(statistics.median(each for each, _ in measured[1:]))  # the first is not counted
        cells.append(f"{times[-1]:9.1f} ms {measured[-1][1]:6,} B")
    allowed = BASE + EACH * megapixels
    verdict = "within" if max(times[:2]) <= allowed else "BEYOND"
    print(
        f"{name:18}{plain.stat().st_size / 1e6:7.2f} MB" + "".join(cells) + f"   {verdict} {allowed:.0f} ms", flush=True
    )


def main() -> None:
    """Make the files, mark each and print the table."""
    photograph, random = astronaut(), np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["XDG_CONFIG_HOME"] = str(folder / "config")
        print(f"{'':28}{'XMP':>21}{'with a credential':>21}{'of a signed parent':>21}")
        for side, reps in SIDES.items():
            times = -(-side // len(photograph))
            tiles = np.tile(photograph, (times, times, 1))[:side, :side]
            noise = random.integers(-3, 4, tiles.shape, dtype=np.int16)  # without it PNG compresses the repeated tiles
            picture = Picture(np.clip(tiles + noise, 0, 255).astype(np.uint8))
            for suffix in KINDS:
                plain = folder / f"plain{suffix}"
                write_picture(plain, picture)
                report(f"{suffix[1:]} {side} x {side}", plain, side * side / 1e6, reps)
        frames = random.integers(0, 256, (FRAMES, 128, 128, 3), dtype=np.uint8)
        for suffix in (".gif", ".mp4"):
            plain = folder / f"plain{suffix}"
            save_animation(frames, plain, 24)
            report(f"{suffix[1:]} of {FRAMES} frames", plain, FRAMES * 128 * 128 / 1e6, SIDES[64])


if __name__ == "__main__":
    main()
