"""The discriminator's logits on training images, on held-out real images and on fakes.

If the logits of held-out images move away from those of training images towards those of fakes, the discriminator is
overfitting (Karras et al. 2020a, section 3).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from jaxgan.building.opening import open_source
from jaxgan.config.run import RunConfig
from jaxgan.data.sources import Source
from jaxgan.evaluators.reference import Images, random_examples

Judge = Callable[[np.ndarray, np.ndarray | None], Any]  # images float32 [n,H,W,C], labels int32 [n] -> logits [n]
DrawFakes = Callable[[int, int, np.ndarray | None], np.ndarray]  # seed, count, labels -> images float32 [n,H,W,C]

IMAGES = 1_000  # of each kind, maximum
BATCH = 250  # images given to the discriminator at a time, maximum


class HeldOutGap:
    """Mean logits of the training split, the held-out split and fakes, with the same images and seeds every time.

    The discriminator sees all of them without augmentation and uses the statistics accumulated in training. The fakes
    should come from the generator that the discriminator is trained against, not from its moving average.
    """

    def __init__(self, source: Source, held_out: Source, *, seed: int = 0, batch_size: int = BATCH, pack: int = 1):
        """`seed` selects the images. `pack` images are judged together; images that fill no pack are left out."""
        count = min(source.spec.size, held_out.spec.size, IMAGES)
        self._seed = seed
        self._parts = {
            "held_out/train_logits": random_examples(source, count, seed),
            "held_out/real_logits": random_examples(held_out, count, seed),
        }
        packs = min(len(part.images) for part in self._parts.values()) // pack  # large images: fewer than `count`
        self._batches = math.ceil(packs / max(1, batch_size // pack))  # all of one size, for a single compile
        self._size = packs // self._batches * pack if packs else 0

    def __call__(self, judge: Judge, draw_fakes: DrawFakes) -> dict[str, float]:
        """The three means by name; empty if a split has less than one pack.

        The fakes have the labels of the training images.
        """
        if not self._batches:
            return {}
        means = {name: self._mean(judge, _scaled(data, self._rows())) for name, data in self._parts.items()}
        return {**means, "held_out/fake_logits": self._mean(judge, self._fakes(draw_fakes))}

    def _rows(self) -> Iterator[slice]:
        return (slice(index * self._size, (index + 1) * self._size) for index in range(self._batches))

    def _fakes(self, draw_fakes: DrawFakes) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        for index, rows in enumerate(self._rows()):
            labels = _labels(self._parts["held_out/train_logits"], rows)
            yield draw_fakes(self._seed + index, self._size, labels), labels

    def _mean(self, judge: Judge, batches: Iterator[tuple[np.ndarray, np.ndarray | None]]) -> float:
        return float(np.concatenate([np.asarray(judge(images, labels)) for images, labels in batches]).mean())


def _scaled(data: Images, parts: Iterator[slice]) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    for rows in parts:
        yield data.images[rows].astype(np.float32) / 127.5 - 1.0, _labels(data, rows)


def _labels(data: Images, rows: slice) -> np.ndarray | None:
    return data.labels[rows] if len(data.labels) else None


def make_held_out_gap(config: RunConfig, allow: Sequence[str] = ()) -> HeldOutGap | None:
    """The measurement of a run; None if the config has no held-out split."""
    data = config.data
    if data.evaluation_split == data.split:
        return None
    return HeldOutGap(
        open_source(data, data.split, allow),
        open_source(data, data.evaluation_split, allow),
        batch_size=config.evaluation.batch_size,
        pack=config.adversary.get("pack", 1),
    )
