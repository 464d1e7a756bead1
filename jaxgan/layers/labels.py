"""Conditions of networks as vectors: a class, a mixture of classes, or a given vector.

The fields of a network declare what it takes: `num_classes` for labels `[b]` or shares of classes `[b,num_classes]`;
`condition_dim` for vectors `[b,condition_dim]`; `vocabulary` and `length` for tokens `[b,length]`, which only custom
networks read. A network that sets none of them takes no condition. One linear map serves labels and vectors: it has a
row per class or per element of a vector, and returns the row of a label or a weighted sum of rows.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxgan.errors import UserError
from jaxgan.fields import Field
from jaxgan.layers.conv import Initializer

Condition = Int[Array, " b"] | Float[Array, "b k"]  # labels; shares of classes, or vectors


def taken(network: Any, condition: Any, *, needed: bool = True) -> Array | None:
    """The condition passed to a network if its fields declare that it takes one, otherwise None.

    Raises UserError if the condition has the wrong shape or dtype, or is `needed` and missing.
    """
    classes, size = network.num_classes, network.condition_dim
    family = type(network).__module__.rpartition(".")[2]
    if classes and size:
        raise UserError(f"{family}: got num_classes {classes} and condition_dim {size}, expected one of the two")
    if not (classes or size) or (condition is None and not needed):
        return None
    expected = (
        f"labels [B] of integers or shares [B,{classes}] of floats" if classes else f"vectors [B,{size}] of floats"
    )
    if condition is None:
        raise UserError(f"{family}: got no condition, expected {expected}")
    condition = jnp.asarray(condition)
    labels = classes and condition.ndim == 1 and jnp.issubdtype(condition.dtype, jnp.integer)
    vectors = condition.ndim == 2 and condition.shape[1] == (classes or size)
    if not labels and not (vectors and jnp.issubdtype(condition.dtype, jnp.floating)):
        got = f"shape {condition.shape} of {condition.dtype}"
        raise UserError(f"{family}: got a condition of {got}, expected {expected}")
    return condition


def condition_field(network: Any) -> Field | None:
    """The field that a network takes besides labels, declared by `vocabulary` and `length`, or by `condition_dim`."""
    if words := getattr(network, "vocabulary", 0):
        return Field((network.length,), "int32", "tokens", tuple(map(str, range(words))))
    size = getattr(network, "condition_dim", 0)
    return Field((size,), kind="vector") if size else None


def takes_condition(network: Any, num_classes: int) -> bool:
    """Whether a network takes labels if there are classes, otherwise whether it takes tokens or vectors.

    Its number of classes is filled in from the data; a network that is never trained may leave it out.
    """
    if num_classes:
        return hasattr(network, "num_classes")
    return any(getattr(network, field, 0) for field in ("vocabulary", "condition_dim"))


def sizes(network: Any) -> dict[str, Any]:
    """The sizes of a network's condition, as arguments for `Embedding` and the functions that use it."""
    return {"num_classes": network.num_classes, "condition_dim": network.condition_dim}


def as_vector(condition: Condition, num_classes: int) -> Float[Array, "b k"]:
    """Labels as one-hot vectors of `num_classes` numbers; shares and vectors unchanged, as float32."""
    return jax.nn.one_hot(condition, num_classes) if condition.ndim == 1 else condition.astype(jnp.float32)


def looked_up(table: nn.Embed, condition: Condition) -> Float[Array, "b f"]:
    """The rows of labels; for shares and vectors, weighted sums of rows, exact for one-hot vectors."""
    if condition.ndim == 1:
        return table(condition)
    sums = jnp.matmul(condition.astype(jnp.float32), table.embedding, precision=jax.lax.Precision.HIGHEST)
    return sums.astype(table.dtype)


class Embedding(nn.Module):
    """A learned vector per class `[b] -> [b,features]`, whose elements have initial variance `scale^2`.

    Shares of classes `[b,num_classes]` give the mixture of their vectors. With `condition_dim` instead of
    `num_classes` it is a linear map of vectors `[b,condition_dim]`, with the same variance for vectors of unit
    variance. `table_init` replaces the initializer of the table `[num_classes or condition_dim,features]`.
    """

    num_classes: int
    features: int
    scale: float = 1.0
    table_init: Initializer | None = None
    dtype: Any = jnp.float32
    condition_dim: int = 0

    @nn.compact
    def __call__(self, condition: Condition) -> Float[Array, "b f"]:
        """The vectors of labels, of mixtures or of vectors."""
        rows = self.num_classes or self.condition_dim
        scale = self.scale if self.num_classes else self.scale * rows**-0.5
        init = nn.initializers.normal(scale) if self.table_init is None else self.table_init
        return looked_up(nn.Embed(rows, self.features, embedding_init=init, dtype=self.dtype, name="table"), condition)


def with_embedding(
    x: Float[Array, "b f"],
    condition: Condition,
    *,
    num_classes: int,
    condition_dim: int = 0,
    features: int | None = None,
    scale: float = 1.0,
    dtype: Any = jnp.float32,
) -> Float[Array, "b f2"]:
    """x and an embedding of its condition, `features` long or as long as x: submodule `label` of the caller."""
    length = x.shape[-1] if features is None else features
    module = Embedding(num_classes, length, scale=scale, dtype=dtype, condition_dim=condition_dim, name="label")
    return jnp.concatenate([x, module(condition)], axis=-1)


def projection(features: Float[Array, "b f"], embedded: Float[Array, "b f"]) -> Float[Array, " b"]:
    """The term a class adds to an image's logit: <embed(label), features> (Miyato & Koyama 2018, eq. 4), float32."""
    return (features.astype(jnp.float32) * embedded.astype(jnp.float32)).sum(axis=-1)
