"""Features for scores from a small classifier that is trained once on the data set's own labels.

Nothing is downloaded. The data, the recipe and the seed determine the classifier and form its fingerprint, which is
part of the name of every score computed with it.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgan.evaluators.classifier_cache import KIND, StoredClassifier, by_leader, load_classifier, save_classifier
from jaxgan.evaluators.fitting import Course, fit
from jaxgan.evaluators.reference import Images
from jaxgan.evaluators.streams import Features
from jaxgan.game import Params
from jaxgan.models.classifier import Classification, Classifier, ClipClassifier

VERSION = 1  # increase it if the same recipe would yield another classifier
MOST, LEAST = 512, 64  # images per device and call
SCALING_IMAGES = 5_000  # training images used to scale the features
TOTAL_VARIANCE = 100.0  # sum over all features

logger = logging.getLogger(__name__)

Made = tuple[Params, np.ndarray, float | None]  # params, images used to scale the features, accuracy


class Classified(NamedTuple):
    """Features float32 `[n,D]` and predicted classes int32 `[n]`."""

    features: np.ndarray
    predicted: np.ndarray


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How the classifier is built and trained; every field is part of its fingerprint."""

    widths: tuple[int, ...] = (16, 32)
    hidden: int = 64
    epochs: int = 3  # limited by the next two fields
    least_images: int = 60_000
    most_images: int = 150_000
    batch_size: int = 50
    learning_rate: float = 3e-3  # at its peak; one cosine with a short warm-up
    weight_decay: float = 1e-2
    shift: int = 1  # pixels: largest random shift
    seed: int = 0


OF_CLIPS = Recipe(widths=(16, 32, 64))  # for `ClipClassifier`
Network = Classifier | ClipClassifier


class NetworkFeatures:
    """A trained classifier as a feature network: uint8 images -> features and predicted classes.

    The features are its hidden layer and its texture (see `jaxgan.models.classifier`), scaled so that each has half of
    a total variance of 100 over the training images. A Frechet distance therefore reads as a percentage: a generator
    that always outputs the mean of the features has a distance of 100.
    """

    def __init__(self, model: Network, stored: StoredClassifier, kind: str = KIND):
        """The name of the features is `kind` and the first 8 digits of the fingerprint."""
        self.fingerprint = stored.fingerprint
        self.name = f"{kind}-{stored.fingerprint[:8]}"
        self.accuracy = stored.accuracy  # on images held out of its training
        self.checksum = stored.checksum  # of its weights file
        self._look = looking(model, stored.arrays["network"])
        self._scales = [float(scale) for scale in stored.arrays["scales"]]

    def __call__(self, images: np.ndarray) -> Classified:
        """Features and predicted classes of uint8 images `[n,H,W,C]`."""
        found = self._look(images)
        parts = [scale * part for scale, part in zip(self._scales, feature_parts(found))]
        return Classified(np.concatenate(parts, axis=1), found.logits.argmax(axis=1).astype(np.int32))


def load_or_train_classifier(
    *,
    data: str,
    num_classes: int,
    read: Callable[[], tuple[Images, Images]],
    cache_dir: str,
    recipe: Recipe | None = None,
    clips: bool = False,
    sources: Sequence[Mapping[str, Any]] = (),
) -> NetworkFeatures:
    """The classifier of a data set: read from `cache_dir` if an intact one is stored there, else trained and stored.

    `clips`: the data are clips, not images. `data` is an identifier of the data set; `sources` describes its sources
    and their contents (see `sources.describe`). `read` returns the training and the held-out images; it is called only
    if the classifier must be trained, and only in the first process. The accuracy on the held-out images is measured
    after training and stored.
    """
    recipe = recipe or (OF_CLIPS if clips else Recipe())
    kind = ClipClassifier if clips else Classifier
    model = kind(num_classes=num_classes, widths=recipe.widths, hidden=recipe.hidden)
    description = {
        "version": VERSION,
        "data": data,
        "num_classes": num_classes,
        "recipe": dataclasses.asdict(recipe),
    }

    def make() -> Made:
        train, held_out = read()
        params = train_classifier(model, train, recipe)
        accuracy = None
        if len(held_out.images):
            predicted = classify(model, params, held_out.images).logits.argmax(axis=1)
            accuracy = float((predicted == held_out.labels).mean())
            logger.info("trained a classifier for the scores: %.1f%% accuracy on held-out images", 100 * accuracy)
        return params, train.images[:SCALING_IMAGES], accuracy

    return load_or_make(model, description, make, cache_dir=cache_dir, sources=sources)


def load_or_make(
    model: Network,
    description: Mapping[str, Any],
    make: Callable[[], Made],
    *,
    cache_dir: str,
    sources: Sequence[Mapping[str, Any]],
    kind: str = KIND,
) -> NetworkFeatures:
    """The network of this kind and description: read from `cache_dir` if intact there, else made and stored."""
    hashed = description if kind == KIND else {kind: description}
    fingerprint = hashlib.sha256(json.dumps(hashed, sort_keys=True, allow_nan=False).encode()).hexdigest()

    def find() -> StoredClassifier:
        stored = load_classifier(cache_dir, fingerprint, kind=kind, data=sources)
        if stored is not None:
            return stored
        params, images, accuracy = make()
        arrays = {"network": params, "scales": scales(feature_parts(classify(model, params, images)))}
        return save_classifier(
            cache_dir, fingerprint, arrays, accuracy=accuracy, description=description, kind=kind, data=sources
        )

    return NetworkFeatures(model, by_leader(fingerprint, find), kind)


def train_classifier(model: Network, train: Images, recipe: Recipe) -> Params:
    """Params of `model` after training by the recipe: cross-entropy, AdamW, cosine decay. Deterministic."""
    images_seen = min(max(recipe.epochs * len(train.images), recipe.least_images), recipe.most_images)

    def loss(params: Params, key: jax.Array, images: jax.Array, labels: jax.Array) -> jax.Array:
        del key
        logits = _classify(model, params, images).logits
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    def examples(rows: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, ...]:
        return _shifted(train.images[rows], recipe.shift, random), train.labels[rows]

    return fit(
        lambda key: model.init(key, jnp.zeros((1, *train.images.shape[1:]))),
        loss,
        examples,
        len(train.images),
        Course(
            steps=max(1, images_seen // recipe.batch_size),
            batch_size=recipe.batch_size,
            learning_rate=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            seed=recipe.seed,
        ),
    )


def classify(model: Network, params: Params, images: np.ndarray) -> Classification:
    """Apply `model` to uint8 images `[n,H,W,C]`; returns NumPy arrays."""
    return looking(model, params)(images)


def looking(model: Network, params: Params) -> Features:
    """`model` as a function of uint8 images `[n,H,W,C]` to a `Classification` of NumPy arrays, on all devices."""
    return Features(functools.partial(_classify, model), params, most=MOST, least=LEAST)


def feature_parts(found: Classification) -> tuple[np.ndarray, ...]:
    """The parts that are concatenated to the features."""
    return found.hidden, found.texture


def scales(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Factors that give all parts of the features, each `[n,D]`, equal shares of the total variance of 100."""
    variances = [part.var(axis=0, dtype=np.float64).sum() for part in parts]
    return np.sqrt(TOTAL_VARIANCE / len(parts) / np.maximum(variances, 1e-12))


def _shifted(images: np.ndarray, most: int, random: np.random.Generator) -> np.ndarray:
    """Images or clips each moved by up to `most` pixels in height and width, their border repeated."""
    outer = ((0, 0),) * (images.ndim - 3)
    padded = np.pad(images, (*outer, (most, most), (most, most), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, images.shape[-3:-1], axis=(-3, -2))
    top, left = random.integers(0, 2 * most + 1, (2, len(images)))
    rows = (np.arange(len(images)), *(slice(None),) * (images.ndim - 4))
    return np.moveaxis(windows[*rows, top, left], -3, -1)


@functools.partial(jax.jit, static_argnums=0)
def _classify(model: Network, params: Params, images: jax.Array) -> Classification:
    """Classify uint8 images, scaled to [-1, 1]."""
    return model.apply(params, images.astype(jnp.float32) / 127.5 - 1.0)
