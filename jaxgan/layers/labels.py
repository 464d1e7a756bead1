"""Class labels as vectors."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxgan.layers.conv import Initializer


class Embedding(nn.Module):
    """A learned vector a class `[b] -> [b,features]`, of variance `scale^2` an element at the start.

    With `table_init` the table `[num_classes,features]` starts by that instead.
    """

    num_classes: int
    features: int
    scale: float = 1.0
    table_init: Initializer | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, label: Int[Array, " b"]) -> Float[Array, "b f"]:
        """The vectors of labels."""
        init = nn.initializers.normal(self.scale) if self.table_init is None else self.table_init
        return nn.Embed(self.num_classes, self.features, embedding_init=init, dtype=self.dtype, name="table")(label)


def projection(features: Float[Array, "b f"], embedded: Float[Array, "b f"]) -> Float[Array, " b"]:
    """What a class adds to the logit of an image: <embed(label), features> (Miyato & Koyama 2018, eq. 4), float32."""
    return (features.astype(jnp.float32) * embedded.astype(jnp.float32)).sum(axis=-1)
