"""Detect samples that copy training images, by their distances to the training set compared with held-out images.

Held-out images show how far images of the same distribution are from the training set if they were not memorised.
Samples that are nearer, by the rank test of Mann and Whitney, were copied (Meehan et al. 2020, "A non-parametric test
to detect data-copying in generative models"). A few copies among many samples hardly change the ranks; therefore the
nearest samples are counted as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxgan.building.opening import open_source
from jaxgan.data.sources import Source
from jaxgan.data.stacked import StackedSource
from jaxgan.evaluators.classifier_scores import classifier_of
from jaxgan.evaluators.reference import identity, random_examples

if TYPE_CHECKING:
    from jaxgan.config.run import RunConfig

MOST_TRAINING_IMAGES = 200_000
MOST_HELD_OUT_IMAGES = 2_000
CHUNK_BYTES, CHUNK_IMAGES = 8_000_000, 2_000  # training images in memory, maximum
LARGEST = 64  # pixels: larger images are compared at a half, a quarter, ... of their size
NEAR = 1.0  # percentile of the held-out images' distances, below which a sample is suspiciously near
SOME, MOST = 0.05, 0.5  # shares of such samples beyond that of held-out images
CERTAIN = 3.0  # standard errors above one half from which samples count as significantly nearer than held-out images
COPIED = 0.75  # share of pairs with the sample nearer: far above the effect of blur (digits, 1 pixel: 0.62)

Describe = Callable[[np.ndarray], np.ndarray]  # uint8 images [n,H,W,C] -> features [n,D]


class Nearest(NamedTuple):
    """The training image nearest to each of n images: its index, the distance, and itself uint8 `[n,H,W,C]`."""

    indices: np.ndarray
    distances: np.ndarray
    images: np.ndarray


class Memorisation(NamedTuple):
    """Distances of samples to the training images, and a verdict."""

    nearest: Nearest  # to each sample
    held_out: np.ndarray  # distances of held-out images; empty if there are none
    near: float  # 1st percentile of the held-out images' distances; NaN without them
    share: float  # of samples at most this distance away
    nearer: float  # share of (sample, held-out image) pairs in which the sample is nearer
    verdict: str


class NeighbourSearch:
    """Finds the nearest training images, by the features of a classifier or by pixels."""

    def __init__(self, source: Source, held_out: Source | None, *, describe: Describe, features: str, seed: int = 0):
        """`describe` computes the features named `features`; `seed` selects images if there are too many."""
        self._source, self._held_out, self._describe, self._seed = source, held_out, describe, seed
        self.features = features
        count = min(source.spec.size, MOST_TRAINING_IMAGES)
        self._rows = np.sort(np.random.default_rng(seed).permutation(source.spec.size)[:count])
        self.manifest: dict[str, Any] = {
            "features": features,
            "training_images": count,
            "reference": identity(source),
            "held_out": None if held_out is None else identity(held_out),
        }

    def __call__(self, samples: np.ndarray) -> Memorisation:
        """The verdict on float images `[n,H,W,C]` in [-1, 1], which are rounded to 8 bits, or on uint8 images."""
        if samples.dtype != np.uint8:
            samples = np.rint(np.clip(samples, -1.0, 1.0) * 127.5 + 127.5).astype(np.uint8)
        others = samples[:0]
        if self._held_out is not None:
            others = random_examples(self._held_out, MOST_HELD_OUT_IMAGES, self._seed).images
        found = self._nearest(np.concatenate([samples, others]))
        nearest = Nearest(*(each[: len(samples)] for each in found))
        return memorisation(nearest, found.distances[len(samples) :])

    def _nearest(self, images: np.ndarray) -> Nearest:
        """Exact search through blocks of training images, of which only the nearest so far are kept."""
        points = self._describe(images).astype(np.float64)
        squares = np.einsum("nd,nd->n", points, points)
        best = np.full(len(images), np.inf)
        rivals, indices, kept = points.copy(), np.zeros(len(images), np.int64), images.copy()
        for rows, block in self._training():
            described = self._describe(block).astype(np.float64)
            squared = np.einsum("nd,nd->n", described, described) - 2.0 * points @ described.T + squares[:, None]
            winner = squared.argmin(axis=1)
            value = squared[np.arange(len(images)), winner]
            nearer = value < best
            best[nearer], indices[nearer] = value[nearer], rows[winner[nearer]]
            rivals[nearer], kept[nearer] = described[winner[nearer]], block[winner[nearer]]
        return Nearest(indices, np.linalg.norm(points - rivals, axis=1), kept)  # exactly 0 for a copy

    def _training(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        spec = self._source.spec
        count = min(CHUNK_IMAGES, max(1, CHUNK_BYTES // spec.image.nbytes))
        for start in range(0, len(self._rows), count):
            rows = self._rows[start : start + count]
            yield rows, self._source.read(rows)["image"]


def memorisation(nearest: Nearest, held_out: np.ndarray) -> Memorisation:
    """The verdict on samples at these distances, given the distances `held_out` `[m]` of held-out images."""
    if not len(held_out):
        verdict = "no verdict: there are no held-out images to compare with (config.data.evaluation_split)"
        return Memorisation(nearest, held_out, float("nan"), float("nan"), float("nan"), verdict)
    near = float(np.percentile(held_out, NEAR))
    share, usual = (
        float((distances <= near).mean()) for distances in (nearest.distances, held_out)
    )  # `usual` exceeds 1% if distances are tied
    nearer, errors = rank_test(nearest.distances, held_out)
    description = (
        f"a sample is nearer to the training images than a held-out image in {nearer:.0%} of the pairs (chance: 50%), "
        f"and {share:.1%} of the samples are as near as the nearest {usual:.0%} of held-out images"
    )
    if share - usual > MOST or (nearer > COPIED and errors > CERTAIN):
        verdict = f"memorised: {description}"
    elif share - usual > SOME or errors > CERTAIN:
        verdict = f"perhaps memorised in part: {description}; look at the pairs"
    else:
        verdict = f"not memorised: {description}"
    return Memorisation(nearest, held_out, near, share, nearer, verdict)


class Ranks(NamedTuple):
    """Share of pairs in which the first number is smaller (ties count half), and its standard errors above 1/2."""

    smaller: float
    errors: float


def rank_test(first: np.ndarray, second: np.ndarray) -> Ranks:
    """Test whether the numbers `first` `[n]` are smaller than `second` `[m]` (Mann and Whitney 1947, sections 2 and 4).

    The standard error assumes equal distributions without ties: sqrt((n + m + 1) / (12 n m)).
    """
    n, m = len(first), len(second)
    second = np.sort(second)
    larger = m - np.searchsorted(second, first, side="right")
    ties = np.searchsorted(second, first, side="right") - np.searchsorted(second, first, side="left")
    smaller = float((larger + 0.5 * ties).mean() / m)
    return Ranks(smaller, (smaller - 0.5) / float(np.sqrt((n + m + 1) / (12 * n * m))))


def pixels(images: np.ndarray) -> np.ndarray:
    """Images as vectors `[n,D]` whose distance is the root mean square difference of the images in [-1, 1]."""
    values = images.astype(np.float32) / 127.5 - 1.0
    while max(values.shape[1:3]) > LARGEST and not any(side % 2 for side in values.shape[1:3]):
        n, h, w, c = values.shape
        values = values.reshape(n, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))
    flat = values.reshape(len(images), -1)
    return flat / np.sqrt(flat.shape[1])


def make_neighbour_search(config: RunConfig, *, cache_dir: str, allow: Sequence[str] = ()) -> NeighbourSearch:
    """The search of a run: in the features of the scores' classifier, or by pixels if the data have no labels.

    Raises UserError for a data set or split that cannot be opened.
    """
    data = config.data
    source = open_source(data, data.split, allow)
    held_out = open_source(data, data.evaluation_split, allow) if data.evaluation_split != data.split else None
    labels = source.spec.classes and not isinstance(source, StackedSource)  # it has too many classes
    if not labels or config.evaluation.features == "patches":
        return NeighbourSearch(source, held_out, describe=pixels, features="pixels")
    classifier = classifier_of(source, held_out, cache_dir=cache_dir, seed=0)
    return NeighbourSearch(
        source, held_out, describe=lambda images: classifier(images).features, features=classifier.name
    )
