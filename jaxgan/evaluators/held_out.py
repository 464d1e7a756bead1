"""How the discriminator judges real images that it was trained on beside some that it never saw.

A gap that grows says that it learns its images by heart (Karras et al. 2020a, section 3.1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxgan.config import RunConfig
from jaxgan.data.opening import open_source
from jaxgan.data.sources import Source
from jaxgan.evaluators.reference import Images, draw

Judge = Callable[[np.ndarray, np.ndarray | None], Any]  # images float32 [n,H,W,C], labels int32 [n] -> logits [n]

IMAGES = 1_000  # of each split, at most
BATCH = 100  # images judged at a time


class HeldOutGap:
    """Mean logits of the training split and of the held-out one, each of the same images every time."""

    def __init__(self, source: Source, held_out: Source, *, seed: int = 0):
        """`seed` chooses the images."""
        count = min(source.spec.size, held_out.spec.size, IMAGES)
        self._batch = min(BATCH, count)
        self._parts = {
            "held_out/train_logits": draw(source, count, seed),
            "held_out/real_logits": draw(held_out, count, seed),
        }

    def __call__(self, judge: Judge) -> dict[str, float]:
        """Both means, by name."""
        return {name: self._mean(judge, images) for name, images in self._parts.items()}

    def _mean(self, judge: Judge, data: Images) -> float:
        logits = []
        for start in range(0, len(data.images) - self._batch + 1, self._batch):  # whole batches: one compile
            rows = slice(start, start + self._batch)
            images = data.images[rows].astype(np.float32) / 127.5 - 1.0
            logits.append(np.asarray(judge(images, data.labels[rows] if len(data.labels) else None)))
        return float(np.concatenate(logits).mean())


def make_held_out_gap(config: RunConfig) -> HeldOutGap | None:
    """The measurement of a run; None where the config names no split to hold out."""
    data = config.data
    if data.evaluation_split == data.split:
        return None
    return HeldOutGap(open_source(data, data.split), open_source(data, data.evaluation_split))
