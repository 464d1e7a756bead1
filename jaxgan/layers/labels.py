"""What a network is conditioned on, as a vector: a class, a mixture of classes, or a vector that is given as such.

A network says by its fields what it takes: `num_classes` for labels `[b]` of so many classes, or the shares of classes
`[b,num_classes]`; `condition_dim` for vectors `[b,condition_dim]`; `vocabulary` and `length` for tokens `[b,length]`,
which networks of one's own read; with none of them it takes none. One linear map serves labels and vectors: it has a
row for each class, or for each number of a vector, and gives the row of a label, or a weighted sum.
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
    """The condition that a network was called with, where its fields say that it takes one; else None.

    Raises UserError for a condition of another shape or dtype, and where one is `needed` and missing.
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
    """The field that a network says it takes beside labels, by `vocabulary` and `length`, or by `condition_dim`."""
    if words := getattr(network, "vocabulary", 0):
        return Field((network.length,), "int32", "tokens", tuple(map(str, range(words))))
    size = getattr(network, "condition_dim", 0)
    return Field((size,), kind="vector") if size else None


def takes_condition(network: Any, num_classes: int) -> bool:
    """Whether a network says that it takes labels, where there are classes, else that it takes tokens or vectors.

    How many classes it takes is filled in from the data; a network that is never trained may leave that out.
    """
    if num_classes:
        return hasattr(network, "num_classes")
    return any(getattr(network, field, 0) for field in ("vocabulary", "condition_dim"))


def sizes(network: Any) -> dict[str, Any]:
    """The fields by which a network says what it takes, as arguments for `Embedding` and what is made with it."""
    return {"num_classes": network.num_classes, "condition_dim": network.condition_dim}


def as_vector(condition: Condition, num_classes: int) -> Float[Array, "b k"]:
    """Labels as one-hot vectors of `num_classes` numbers; shares and vectors as they are, float32."""
    return jax.nn.one_hot(condition, num_classes) if condition.ndim == 1 else condition.astype(jnp.float32)


def looked_up(table: nn.Embed, condition: Condition) -> Float[Array, "b f"]:
    """The rows of labels; of shares and vectors the sums of rows by their numbers, exactly a row for a one-hot one."""
    if condition.ndim == 1:
        return table(condition)
    sums = jnp.matmul(condition.astype(jnp.float32), table.embedding, precision=jax.lax.Precision.HIGHEST)
    return sums.astype(table.dtype)


class Embedding(nn.Module):
    """A learned vector a class `[b] -> [b,features]`, of variance `scale^2` an element at the start.

    Of shares of classes `[b,num_classes]` it is their mixture. With `condition_dim` in the place of `num_classes` it is
    a linear map of vectors `[b,condition_dim]`, of the same variance for vectors of unit variance. With `table_init`
    the table `[num_classes or condition_dim,features]` starts by that instead.
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
    """x and beside it the embedding of its condition, as long or of `features`: submodule `label` of the caller."""
    length = x.shape[-1] if features is None else features
    module = Embedding(num_classes, length, scale=scale, dtype=dtype, condition_dim=condition_dim, name="label")
    return jnp.concatenate([x, module(condition)], axis=-1)


def projection(features: Float[Array, "b f"], embedded: Float[Array, "b f"]) -> Float[Array, " b"]:
    """What a class adds to the logit of an image: <embed(label), features> (Miyato & Koyama 2018, eq. 4), float32."""
    return (features.astype(jnp.float32) * embedded.astype(jnp.float32)).sum(axis=-1)
