"""The head of a discriminator: one logit per image, optionally conditioned on its class."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.errors import UserError
from jaxgan.game import Judgement
from jaxgan.layers.conv import Initializer
from jaxgan.layers.labels import Condition, Embedding, projection
from jaxgan.layers.spectral import spectral_norm

lecun = nn.initializers.lecun_normal()


def judge(
    features: Float[Array, "b f"],
    label: Condition | None,
    *,
    num_classes: int,
    conditioning: str,
    train: bool,
    condition_dim: int = 0,
    projected: int | None = None,
    spectral: bool = False,
    kernel_init: Initializer = lecun,
    table_init: Initializer | None = None,
    dtype: Any = jnp.float32,
) -> Judgement:
    """The judgement of features, computed by submodules `logit`, `label` and so on of the calling network.

    With labels, `conditioning` selects how they are used: "projection" adds <embedding of the class, features> to the
    logit (Miyato & Koyama 2018, eq. 4); with `projected`, the features are first mapped linearly to this length.
    "classifier" leaves the logit alone and predicts the class (Odena et al. 2017). "concat" is applied at the input.
    Shares of classes, and vectors with `condition_dim`, are used like labels, but vectors cannot be predicted.
    `table_init` initializes the embedding; None: variance 1 / its length. Raises UserError for other conditioning.
    """
    if num_classes and conditioning not in ("projection", "concat", "classifier"):
        raise UserError(f"conditioning: got {conditioning!r}, expected one of 'projection', 'concat', 'classifier'")
    if condition_dim and conditioning not in ("projection", "concat"):
        raise UserError(f"conditioning: got {conditioning!r}, expected 'projection' or 'concat' for vectors")

    def layer(module: nn.Module, x: Any) -> Array:
        return spectral_norm(module, x, train=train, wanted=spectral)

    logits = layer(nn.Dense(1, kernel_init=kernel_init, dtype=dtype, name="logit"), features)[:, 0]
    logits, class_logits = logits.astype(jnp.float32), None
    if (num_classes or condition_dim) and conditioning == "projection":
        compared = features
        if projected is not None:
            compared = layer(nn.Dense(projected, kernel_init=kernel_init, dtype=dtype, name="projected"), features)
        width = compared.shape[-1]
        embedding = Embedding(
            num_classes,
            width,
            scale=width**-0.5,
            table_init=table_init,
            dtype=dtype,
            condition_dim=condition_dim,
            name="label",
        )
        logits += projection(compared, layer(embedding, label))
    elif num_classes and conditioning == "classifier":
        dense = nn.Dense(num_classes, kernel_init=kernel_init, dtype=dtype, name="class_logits")
        class_logits = layer(dense, features).astype(jnp.float32)
    return Judgement(logits=logits, features=features, class_logits=class_logits)


def with_label_plane(
    image: Float[Array, "b h w c"],
    label: Condition,
    *,
    num_classes: int,
    condition_dim: int = 0,
    dtype: Any = jnp.float32,
) -> Float[Array, "b h w c2"]:
    """The image with one more channel, a learned map of its class: submodule `label` of the calling network."""
    height, width = image.shape[1:3]
    plane = Embedding(num_classes, height * width, dtype=dtype, condition_dim=condition_dim, name="label")(label)
    return jnp.concatenate([image.astype(dtype), plane.reshape(-1, height, width, 1)], axis=-1)
