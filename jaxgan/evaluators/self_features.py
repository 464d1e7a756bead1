"""Features for scores of pictures without labels, from a small network with self-supervised training on them.

The network learns two tasks that need no labels. The first is to find which two of many views, made by differentiable
augmentation, show the same picture (Chen et al. 2020, "A simple framework for contrastive learning of visual
representations", eq. 1); this teaches it how pictures differ. The second is to classify pictures as unchanged, blurred,
noisy or JPEG-compressed; this teaches it fine detail. As for the classifier, data, recipe and seed determine it.
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
from jaxgan.game import Params
from jaxgan.models.classifier import LARGEST, Classifier

VERSION = 1  # increase it if the same recipe would yield another network
STATES = 4  # classes of the second task: unchanged, blurred, noisy, JPEG
KIND = "self"  # prefix of its file and score names

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class SelfRecipe:
    """How the network is built and trained; every field is part of its fingerprint."""

    widths: tuple[int, ...] = (16, 32)
    hidden: int = 64
    embedding: int = 32
    steps: int = 400
    batch_size: int = 64  # pictures, each with two views; a quarter of them in each state
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
    """The network of a data set: read from `cache_dir` if an intact one is stored there, else trained and stored.

    `data` is an identifier of the data set; `sources` describes its sources and their contents (see
    `sources.describe`). `read` returns the training images, uint8 `[n,H,W,C]`, at most 64 pixels a side; it is called
    only if the network must be trained, and only in the first process.
    """
    recipe = recipe or SelfRecipe()
    model = Classifier(STATES + recipe.embedding, recipe.widths, recipe.hidden)
    description = {"version": VERSION, "data": data, "recipe": dataclasses.asdict(recipe)}

    def make() -> Made:
        images = read()
        logger.info("training a network for the scores on %s images, without labels", len(images))
        return train_self(model, images, recipe), images[:SCALING_IMAGES], None

    return load_or_make(model, description, make, cache_dir=cache_dir, sources=sources, kind=KIND)


def train_self(model: Classifier, images: np.ndarray, recipe: SelfRecipe) -> Params:
    """Params of `model` after training by the recipe on uint8 images `[n,H,W,C]` of its input size. Deterministic."""
    view = DiffAugment()
    jpeg, colours = Jpeg(recipe.quality), min(3, images.shape[-1])

    def save(key: Array, part: Array) -> Array:
        return jnp.concatenate([jpeg(key, part[..., :colours]), part[..., colours:]], axis=-1)  # alpha is unchanged

    spoil: tuple[Callable[[Array, Array], Array], ...] = (
        Blur(recipe.blur, kinds=("isotropic",)),
        GaussianNoise(recipe.noise),
        save,
    )
    share = recipe.batch_size // STATES
    states = jnp.repeat(jnp.arange(STATES), share)

    def loss(params: Params, key: Array, batch: Array) -> Array:
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
    """Mean NT-Xent loss of b views, where views i and i + b/2 show the same picture (Chen et al. 2020, eq. 1)."""
    count = len(embeddings)
    unit = embeddings / (jnp.linalg.norm(embeddings, axis=1, keepdims=True) + 1e-6)
    similarity = unit @ unit.T / temperature
    others = jnp.where(jnp.eye(count, dtype=bool), -jnp.inf, similarity)
    return cross_entropy(others, (jnp.arange(count) + count // 2) % count)


def cross_entropy(logits: Float[Array, "b k"], labels: Int[Array, " b"]) -> Float[Array, ""]:
    """Mean softmax cross-entropy over the rows."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def seen_as(height: int, width: int) -> str:
    """The size at which the network sees images, for a manifest: larger ones are reduced to 64 pixels."""
    scale = min(1.0, LARGEST / max(height, width))
    return "x".join(str(max(1, round(side * scale))) for side in (height, width))
