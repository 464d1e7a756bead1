"""Features for scores from a small classifier, trained once on the data set's own labels.

Nothing is downloaded. The classifier is a function of the data, the recipe and the seed; the three
make its fingerprint, which is part of the name of every score made with it.
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
from jaxgan.models.classifier import Classification, Classifier, ClipClassifier

VERSION = 1  # raise it when the same recipe would give another classifier
MOST, LEAST = 512, 64  # images that a device classifies at a time
SCALING_IMAGES = 5_000  # of the training images, on which features get their scale
TOTAL_VARIANCE = 100.0  # of all features together

logger = logging.getLogger(__name__)

Made = tuple[Any, np.ndarray, float | None]  # params, images on which features get their scale, accuracy


class Classified(NamedTuple):
    """Features float32 `[n,D]` and predicted classes int32 `[n]`."""

    features: np.ndarray
    predicted: np.ndarray


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How the classifier is built and trained; every field is part of its fingerprint."""

    widths: tuple[int, ...] = (16, 32)
    hidden: int = 64
    epochs: int = 3  # but at least and at most so many images:
    least_images: int = 60_000
    most_images: int = 150_000
    batch_size: int = 50
    learning_rate: float = 3e-3  # at its peak; one cosine with a short warm-up
    weight_decay: float = 1e-2
    shift: int = 1  # pixels at most
    seed: int = 0


OF_CLIPS = Recipe(widths=(16, 32, 64))  # of `ClipClassifier`
Network = Classifier | ClipClassifier


class NetworkFeatures:
    """A trained classifier as a feature net: uint8 images -> features and predicted classes.

    Features are its hidden layer and its texture (see `jaxgan.models.classifier`), each with half of a
    total variance of 100 over the training images. So a Frechet distance reads as a percentage: 100 is
    that of a generator which always draws the mean of the features.
    """

    def __init__(self, model: Network, stored: StoredClassifier, kind: str = KIND):
        """`kind` of network begins its name."""
        self.fingerprint = stored.fingerprint
        self.name = f"{kind}-{stored.fingerprint[:8]}"
        self.accuracy = stored.accuracy  # on images held out of its training
        self.checksum = stored.checksum  # of its weights
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
    """The classifier of a data set: from `cache_dir` if it lies there whole, else trained and stored.

    `clips`: the data are clips, not images. `data` tells the data set from all others, `sources` what it is and holds
    (see `sources.describe`). `read` gives the images to train on and those held out; it is called only if the
    classifier must be trained, and of several processes in the first alone.
    The accuracy on those held out is measured then and kept.
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
            logger.info("trained a classifier for the scores: %.1f%% of the held-out images right", 100 * accuracy)
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
    """The network of this kind and description: from `cache_dir` if it lies there whole, else made and stored."""
    hashed = description if kind == KIND else {kind: description}
    fingerprint = hashlib.sha256(json.dumps(hashed, sort_keys=True, allow_nan=False).encode()).hexdigest()

    def find() -> StoredClassifier:
        stored = load_classifier(cache_dir, fingerprint, kind=kind, data=sources)
        if stored is not None:
            return stored
        params, images, accuracy = make()
        arrays = {"network": params, "scales": scales(feature_parts(classify(model, params, images)))}
        told: dict[str, Any] = {"description": description, "kind": kind, "data": sources}
        return save_classifier(cache_dir, fingerprint, arrays, accuracy=accuracy, **told)

    return NetworkFeatures(model, by_leader(fingerprint, find), kind)


def train_classifier(model: Network, train: Images, recipe: Recipe) -> Any:
    """Params of `model` after one run of the recipe: cross-entropy, AdamW, one cosine. Deterministic."""
    images_seen = min(max(recipe.epochs * len(train.images), recipe.least_images), recipe.most_images)

    def loss(params: Any, key: Any, images: Any, labels: Any) -> Any:
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


def classify(model: Network, params: Any, images: np.ndarray) -> Classification:
    """Numpy arrays of what `model` makes of uint8 images `[n,H,W,C]`."""
    return looking(model, params)(images)


def looking(model: Network, params: Any) -> Features:
    """`model` as a function of uint8 images `[n,H,W,C]` to a `Classification` of numpy arrays, on all devices."""
    return Features(functools.partial(_classify, model), params, most=MOST, least=LEAST)


def feature_parts(found: Classification) -> tuple[np.ndarray, ...]:
    """What the features are put together from."""
    return found.hidden, found.texture


def scales(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Factors that give each part of the features `[n,D]` its equal share of the total variance of 100."""
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
def _classify(model: Network, params: Any, images: Any) -> Classification:
    """Classify uint8 images, on which the model looks in [-1, 1]."""
    return model.apply(params, images.astype(jnp.float32) / 127.5 - 1.0)
