"""Clips per second read from PNG records and from an H.264 film, by number of threads.

python -m benchmarks.clips --threads 2
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from jaxgan.building.opening import open_source
from jaxgan.config.run import DataConfig
from jaxgan.data.sources import Source
from jaxgan.data.tfds_catalogue import FORMAT

CLIPS, FRAMES, SIDE = 128, 16, 64


def frames() -> np.ndarray:
    """A moving soft texture, uint8 `[128*16,64,64,3]`."""
    noise = np.random.default_rng(0).uniform(0, 255, (SIDE, SIDE + 2 * FRAMES, 3))
    for _ in range(3):
        noise = (noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1)) / 3
    clip = [noise[:, 2 * k : 2 * k + SIDE] for k in range(FRAMES)]
    return np.concatenate([np.stack(clip) * (0.5 + number / CLIPS / 2) for number in range(CLIPS)]).astype(np.uint8)


class PngClips(tfds.core.GeneratorBasedBuilder):
    """Clips stored like videos in tfds: encoded frame by frame."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        image = tfds.features.Image(shape=(SIDE, SIDE, 3), encoding_format="png")
        features = {"video": tfds.features.Sequence(image, length=FRAMES)}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        del dl_manager  # nothing to download
        return {"train": self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, clip in enumerate(frames().reshape(CLIPS, FRAMES, SIDE, SIDE, 3)):
            yield number, {"video": [Image.fromarray(frame) for frame in clip]}


def write_film(path: Path) -> None:
    """All frames as one film, with a keyframe every 48 frames."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.codec_context.gop_size = SIDE, SIDE, "yuv420p", 48
        for frame in frames():
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(stream.encode())


def seconds(source: Source, batch: int, threads: int, within: float) -> float:
    """Read batches of random clips, each thread a part of a batch; returns the mean over some time."""
    random, count = np.random.default_rng(0), 0
    with ThreadPoolExecutor(threads) as pool:
        start = time.perf_counter()
        while time.perf_counter() - start < within:
            parts = np.array_split(random.integers(0, source.spec.size, batch), threads)
            list(pool.map(source.read, parts))
            count += 1
    return (time.perf_counter() - start) / count


def main() -> None:
    """Time both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        builder = tfds.builder("png_clips", data_dir=folder, file_format=FORMAT)
        tfds.disable_progress_bar()
        builder.download_and_prepare(file_format=FORMAT)
        films = Path(folder) / "films"
        films.mkdir()
        write_film(films / "film.mp4")
        for what, name in (("PNG records", str(builder.data_path)), ("an H.264 film", str(films))):
            source = open_source(DataConfig(name, frames=FRAMES, resolution=SIDE), "train")
            took = seconds(source, arguments.batch_size, arguments.threads, arguments.seconds)
            print(
                f"{what:14} {arguments.batch_size} clips of {FRAMES} frames in {took:.3f} s with {arguments.threads} "
                f"threads, {arguments.batch_size / took:,.0f} clips/s",
                flush=True,
            )


if __name__ == "__main__":
    main()
