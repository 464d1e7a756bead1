"""Features for scores of pictures without labels, from a small network that trains itself on them, once.

It learns two things that need no label. Which two of many views are of one picture (Chen et al. 2020, "A simple
framework for contrastive learning of visual representations", eq. 1), views being made by differentiable
augmentation: so it learns what pictures differ in. And whether a picture is as it was, blurred, noisy or saved as
JPEG: so it learns what its details look like. Like the classifier it is a function of data, recipe and seed.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from jaxgan.augment.degradations import Blur, GaussianNoise, Jpeg
from jaxgan.augment.diffaugment import DiffAugment
from jaxgan.evaluators.classifier_features import SCALING_IMAGES, Made, NetworkFeatures, load_or_make
from jaxgan.evaluators.fitting import Course, fit
from jaxgan.models.classifier import LARGEST, Classifier

VERSION = 1  # raise it when the same recipe would give another network
STATES = 4  # that a picture can be in: as it was, blurred, noisy, saved as JPEG
KIND = "self"  # how its files and scores are named

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class SelfRecipe:
    """How the network is built and trained; every field is part of its fingerprint."""

    widths: tuple[int, ...] = (16, 32)
    hidden: int = 64
    embedding: int = 32
    steps: int = 400
    batch_size: int = 64  # pictures, of each of which there are two views; a quarter of them in each state
    learning_rate: float = 3e-3  # at its peak; one cosine with a short warm-up
    weight_decay: float = 1e-2
    temperature: float = 0.2
    blur: tuple[float, float] = (0.4, 2.0)  # pixels
    noise: tuple[float, float] = (4.0, 50.0)  # grey levels of 255
    quality: tuple[int, int] = (5, 70)  # of the JPEG
    seed: int = 0


def load_or_train_self(
    *,
    data: str,
    read: Callable[[], np.ndarray],
    cache_dir: str,
    recipe: SelfRecipe | None = None,
    sources: Sequence[Mapping[str, Any]] = (),
) -> NetworkFeatures:
    """The network of a data set: from `cache_dir` if it lies there whole, else trained and stored.

    `data` tells the data set from all others, `sources` what it is and holds (see `sources.describe`). `read` gives
    the images uint8 `[n,H,W,C]` to train on, of at most 64 pixels a side; it is called only if the network must be
    trained, and of several processes in the first alone.
    """
    recipe = recipe or SelfRecipe()
    model = Classifier(STATES + recipe.embedding, recipe.widths, recipe.hidden)
    description = {"version": VERSION, "data": data, "recipe": dataclasses.asdict(recipe)}

    def make() -> Made:
        images = read()
        logger.info("training a network for the scores on %s images without their labels", len(images))
        return train_self(model, images, recipe), images[:SCALING_IMAGES], None

    return load_or_make(model, description, make, cache_dir=cache_dir, sources=sources, kind=KIND)


def train_self(model: Classifier, images: np.ndarray, recipe: SelfRecipe) -> Any:
    """Params of `model` after one run of the recipe on uint8 images `[n,H,W,C]`, at the size it sees. Deterministic."""
    view = DiffAugment()
    jpeg, colours = Jpeg(recipe.quality), min(3, images.shape[-1])

    def save(key: Array, part: Array) -> Array:
        return jnp.concatenate([jpeg(key, part[..., :colours]), part[..., colours:]], axis=-1)  # alpha stays

    spoil: tuple[Callable[[Array, Array], Array], ...] = (
        Blur(recipe.blur, kinds=("isotropic",)),
        GaussianNoise(recipe.noise),
        save,
    )
    share = recipe.batch_size // STATES
    states = jnp.repeat(jnp.arange(STATES), share)

    def loss(params: Any, key: Array, batch: Array) -> Array:
        batch = batch.astype(jnp.float32) / 127.5 - 1.0
        view_keys, spoil_keys = jnp.split(jax.random.split(key, 2 + len(spoil)), [2])
        views = [view(view_key, batch, 1.0) for view_key in view_keys]
        parts = [batch[state * share : (state + 1) * share] for state in range(STATES)]
        spoiled = [parts[0], *(each(key, part) for each, key, part in zip(spoil, spoil_keys, parts[1:]))]
        found = model.apply(params, jnp.concatenate([*views, *spoiled])).logits
        pairs, named = found[: 2 * len(batch), STATES:], found[2 * len(batch) :, :STATES]
        return contrastive(pairs, temperature=recipe.temperature) + cross_entropy(named, states)

    shape = (1, *images.shape[1:])
    course = Course(recipe.steps, recipe.batch_size, recipe.learning_rate, recipe.weight_decay, recipe.seed)
    return fit(
        lambda key: model.init(key, jnp.zeros(shape)),
        loss,
        lambda rows, random: (images[rows],),  # noqa: ARG005
        len(images),
        course,
    )


def contrastive(embeddings: Float[Array, "b e"], *, temperature: float) -> Float[Array, ""]:
    """The mean NT-Xent loss of b views, of which i and i + b/2 are of one picture (Chen et al. 2020, eq. 1)."""
    count = len(embeddings)
    unit = embeddings / (jnp.linalg.norm(embeddings, axis=1, keepdims=True) + 1e-6)
    similarity = unit @ unit.T / temperature
    others = jnp.where(jnp.eye(count, dtype=bool), -jnp.inf, similarity)
    return cross_entropy(others, (jnp.arange(count) + count // 2) % count)


def cross_entropy(logits: Float[Array, "b k"], labels: Int[Array, " b"]) -> Float[Array, ""]:
    """Mean over the rows."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def seen_as(height: int, width: int) -> str:
    """At what size the network looks at images, for a manifest: larger ones are reduced to 64 pixels."""
    scale = min(1.0, LARGEST / max(height, width))
    return "x".join(str(max(1, round(side * scale))) for side in (height, width))
