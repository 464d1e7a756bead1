"""The real images that samples are compared with: drawn from a source at random, by seed."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import numpy as np

from jaxgan.data.sources import Source

log = logging.getLogger(__name__)

MOST_BYTES = 500_000_000  # of images drawn at a time


class Images(NamedTuple):
    """Images uint8 `[n,H,W,C]` and labels int32 `[n]`, empty where the data set has none."""

    images: np.ndarray
    labels: np.ndarray


def random_examples(source: Source, most: int, seed: int) -> Images:
    """Up to `most` different examples, in random order; fewer where the images are large, which the log says."""
    spec = source.spec
    wanted, fitting = min(most, spec.size), MOST_BYTES // spec.image.nbytes
    count = min(wanted, fitting)
    if count < wanted:
        told = "of %s %d images are used instead of %d, which take too much memory"
        log.warning(told, spec.name, count, wanted)
    examples = source.read(np.random.default_rng(seed).permutation(spec.size)[:count])
    return Images(examples["image"], examples.get("label", np.empty(0, np.int32)))


def identity(source: Source) -> str:
    """What tells the source's images from all others', wherever they lie."""
    spec = source.spec
    return f"{spec.fingerprint} {'x'.join(map(str, spec.image.shape))}"


def told_of(source: Source, count: int, seed: int) -> dict[str, Any]:
    """What tells `count` images, drawn from a source by seed, from all others, for manifests."""
    return {
        "data": f"{source.spec.name}/{source.spec.split}",
        "reference": identity(source),
        "reference_images": count,
        "reference_seed": seed,
    }
