"""The real images that samples are compared with, drawn at random from a source."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import numpy as np

from jaxgan.data.sources import Source

log = logging.getLogger(__name__)

MOST_BYTES = 500_000_000  # of the images drawn together


class Images(NamedTuple):
    """Images uint8 `[n,H,W,C]` and labels int32 `[n]`, empty if the data set has none."""

    images: np.ndarray
    labels: np.ndarray


def random_examples(source: Source, most: int, seed: int) -> Images:
    """Up to `most` different examples, in random order; of large images fewer, with a warning."""
    spec = source.spec
    wanted, fitting = min(most, spec.size), MOST_BYTES // spec.image.nbytes
    count = min(wanted, fitting)
    if count < wanted:
        log.warning("%s: %d images are used instead of %d, which take too much memory", spec.name, count, wanted)
    examples = source.read(np.random.default_rng(seed).permutation(spec.size)[:count])
    return Images(examples["image"], examples.get("label", np.empty(0, np.int32)))


def identity(source: Source) -> str:
    """An identifier of the source's images, which does not depend on where they are stored."""
    spec = source.spec
    return f"{spec.fingerprint} {'x'.join(map(str, spec.image.shape))}"


def description_of(source: Source, count: int, seed: int) -> dict[str, Any]:
    """The manifest entries that identify `count` images drawn from a source with this seed."""
    return {
        "data": f"{source.spec.name}/{source.spec.split}",
        "reference": identity(source),
        "reference_images": count,
        "reference_seed": seed,
    }
